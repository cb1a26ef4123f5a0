// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "tensor_core.hpp"

#include "block.hpp"
#include "collectives.hpp"
#include "metrics.hpp"
#include "shadow.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

namespace simt {
namespace {

struct LdmatrixCall {
    const void* row;
    std::uint32_t* registers;
    int n;
    bool transposed;
};

/// Turns of shared memory that eight rows of 16 bytes take: rows in the same quarter of the banks,
/// unless the same row, are served one after another.
unsigned turns_of(const std::array<const void*, 8>& rows) {
    std::array<std::vector<std::uintptr_t>, 8> in_banks;
    std::size_t most = 0;
    for (const void* row : rows) {
        const std::uintptr_t line = reinterpret_cast<std::uintptr_t>(row) / 16;
        auto& lines = in_banks[line % 8];
        if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
        most = std::max(most, lines.size());
    }
    return static_cast<unsigned>(most);
}

void load_matrix(void* const* arguments, int matrix) {
    std::uint16_t elements[8][8];
    std::array<const void*, 8> rows{};
    for (std::size_t i = 0; i < 8; ++i) {
        const std::size_t lane = static_cast<std::size_t>(matrix) * 8 + i;
        rows[i] = static_cast<const LdmatrixCall*>(arguments[lane])->row;
        std::memcpy(elements[i], rows[i], sizeof elements[i]);
    }
    metrics.ldmatrix_conflicts += turns_of(rows) - 1;
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        const auto& call = *static_cast<const LdmatrixCall*>(arguments[lane]);
        const unsigned group = lane / 4;
        const unsigned place = lane % 4;
        const std::uint32_t low = call.transposed ? elements[2 * place][group]  //
                                                  : elements[group][2 * place];
        const std::uint32_t high =
            call.transposed ? elements[2 * place + 1][group] : elements[group][2 * place + 1];
        call.registers[matrix] = low | high << 16;
    }
}

void do_ldmatrix(void* const* arguments, unsigned) {
    ++metrics.ldmatrix;
    const int n = static_cast<const LdmatrixCall*>(arguments[0])->n;
    for (int matrix = 0; matrix < n; ++matrix) load_matrix(arguments, matrix);
}

struct MmaCall {
    float* d;
    const std::uint32_t* a;
    const std::uint32_t* b;
    const float* c;
};

/// Half 0 or 1 of a register of two bf16.
float bf16_half(std::uint32_t pair, unsigned half) {
    return std::bit_cast<float>(half == 0 ? pair << 16 : pair & 0xFFFF0000U);
}

void do_mma(void* const* arguments, unsigned) {
    ++metrics.mma;
    float a[16][16];
    float b[16][8];
    double sums[16][8];
    // Each index as in the figures of the PTX ISA for mma.m16n8k16 with 16-bit elements.
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        const auto& call = *static_cast<const MmaCall*>(arguments[lane]);
        const unsigned group = lane / 4;
        const unsigned place = lane % 4;
        for (unsigned i = 0; i < 8; ++i) {
            const unsigned row = group + (i / 2 % 2) * 8;
            const unsigned column = place * 2 + i % 2 + (i / 4) * 8;
            a[row][column] = bf16_half(call.a[i / 2], i % 2);
        }
        for (unsigned i = 0; i < 4; ++i) {
            b[place * 2 + i % 2 + (i / 2) * 8][group] = bf16_half(call.b[i / 2], i % 2);
            sums[group + (i / 2) * 8][place * 2 + i % 2] = static_cast<double>(call.c[i]);
        }
    }
    for (unsigned i = 0; i < 16; ++i) {
        for (unsigned k = 0; k < 16; ++k) {
            const double factor = static_cast<double>(a[i][k]);
            for (unsigned j = 0; j < 8; ++j) sums[i][j] += factor * static_cast<double>(b[k][j]);
        }
    }
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        const auto& call = *static_cast<const MmaCall*>(arguments[lane]);
        for (unsigned i = 0; i < 4; ++i) {
            call.d[i] = static_cast<float>(sums[lane / 4 + (i / 2) * 8][lane % 4 * 2 + i % 2]);
        }
    }
}

}  // namespace

void ldmatrix(std::uint32_t* registers, int n, bool transposed, const void* row,
              const Location& at) {
    if (position.lane < static_cast<unsigned>(n) * 8) {
        if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) {
            fail("ldmatrix with a row that is not aligned to 16 bytes at " + to_string(at));
        }
        if (!is_shared_memory(row)) {
            fail("ldmatrix of what is not shared memory at " + to_string(at));
        }
        touch(row, 16, read_access, __builtin_return_address(0));
    }
    LdmatrixCall call{row, registers, n, transposed};
    warp_collective("ldmatrix", all_lanes, &call, do_ldmatrix, at);
}

void mma_m16n8k16_bf16(float* d, const std::uint32_t* a, const std::uint32_t* b, const float* c,
                       const Location& at) {
    MmaCall call{d, a, b, c};
    warp_collective("mma.sync", all_lanes, &call, do_mma, at);
}

}  // namespace simt
