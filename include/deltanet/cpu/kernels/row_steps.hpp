// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Rows of plain numbers in steps of two batches, as the products of rows take them. Weights of 16
/// bits become floats by one instruction a batch: of a pair of bfloat16 numbers the even one is
/// shifted into place and the odd one masked. Tokens are brought into that order beforehand.
#pragma once

#include <deltanet/cpu/convert.hpp>

#include <cstring>
#include <type_traits>

namespace deltanet::cpu::kernels {

/// Elements of a step along the inner dimension: two batches. Tokens are padded to whole steps.
template <class Arch>
inline constexpr index_t row_step = 2 * lanes<Arch, float>;

/// Half (0 or 1) of a step of weights: numbers in order, of bfloat16 the even or the odd ones.
template <class Arch, index_t Half, class W>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<float, Arch> half_step(const W* w) noexcept {
    constexpr index_t n = lanes<Arch, float>;
    if constexpr (std::is_same_v<W, bf16>) {
        typename detail::Lanes<n>::u32 pairs;
        std::memcpy(&pairs, w, sizeof(pairs));
        return detail::batch_of<Arch>(Half == 0 ? pairs << 16 : pairs & 0xFFFF0000U);
    } else {
        return load<Arch>(w + Half * n);
    }
}

/// One token x [n] for products with weights of W: as the halves of steps have it, zeros behind.
template <class Arch, class W>
DELTANET_FORCE_INLINE void pack_token(const float* x, index_t n, float* packed) noexcept {
    constexpr index_t step = row_step<Arch>, half = step / 2;
    for (index_t i = 0; i < n; i += step) {
        float whole[static_cast<std::size_t>(step)] = {};
        const index_t count = least(step, n - i);
        for (index_t j = 0; j < count; ++j) whole[j] = x[i + j];
        for (index_t j = 0; j < half; ++j) {
            const bool pairs = std::is_same_v<W, bf16>;
            packed[i + j] = whole[pairs ? 2 * j : j];
            packed[i + half + j] = whole[pairs ? 2 * j + 1 : half + j];
        }
    }
}

/// The first n elements of some rows of weights as floats in the order of packed tokens, zeros
/// behind them up to a whole step, and rows of zeros where there are fewer than Rows.
template <class Arch, int Rows, class W>
DELTANET_KERNEL void rows_as_floats(const W* w, index_t w_stride, index_t n_rows, index_t n,
                                    float* floats, index_t floats_stride) noexcept {
    constexpr index_t step = row_step<Arch>, half = step / 2;
    for (index_t r = 0; r < Rows; ++r) {
        for (index_t i = 0; i < n; i += step) {
            W whole[static_cast<std::size_t>(step)] = {};
            const index_t count = r < n_rows ? least(step, n - i) : 0;
            for (index_t j = 0; j < count; ++j) whole[j] = w[r * w_stride + i + j];
            float* const to = floats + r * floats_stride + i;
            half_step<Arch, 0>(whole).store_unaligned(to);
            half_step<Arch, 1>(whole).store_unaligned(to + half);
        }
    }
}

}  // namespace deltanet::cpu::kernels
