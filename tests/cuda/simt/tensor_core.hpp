// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// ldmatrix and mma.sync, by the fragment layouts of the PTX ISA: lane = 4 * group + place.
#pragma once

#include "location.hpp"

#include <cstdint>

namespace simt {

/// Loads `n` (1, 2, 4) matrices of 8 x 8 elements of 16 bits. Lane 8 m + i gives the address of
/// row i of matrix m, 16 bytes; lanes without a row may give anything. registers[m] of a lane
/// receives elements 2 * place (low half) and 2 * place + 1 of row `group` of matrix m; with
/// `transposed` of its column `group`.
void ldmatrix(std::uint32_t* registers, int n, bool transposed, const void* row,
              const Location& at);

/// d [16, 8] = a [16, 16] * b [16, 8] + c, bf16 in, float out. Products and sums are taken in
/// double and rounded once; tensor cores round more often and differently.
void mma_m16n8k16_bf16(float* d, const std::uint32_t* a, const std::uint32_t* b, const float* c,
                       const Location& at);

}  // namespace simt
