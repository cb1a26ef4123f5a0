// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Dot products of the rows of two matrices, the lower triangle:
///   product_ij = a_i . b_j  (j <= i)
/// A tile of rows of each is multiplied along the vectors of a row, and only at the end summed
/// across the lanes, for the whole tile at once. So rows are read as they stand: the usual product
/// would want one of the matrices transposed.
#pragma once

#include <deltanet/cpu/lane_sums.hpp>
#include <deltanet/cpu/products.hpp>
#include <deltanet/cpu/tuning.hpp>

#include <utility>

namespace deltanet::cpu::kernels {

template <class Arch, class T>
struct DotTile {
    using Batch = xsimd::batch<T, Arch>;
    static constexpr int rows = 4;
    static constexpr int cols = n_registers<Arch> == 32 ? 4 : 2;
    static constexpr int n = rows * cols;
    static_assert(n % lanes<Arch, T> == 0 || lanes<Arch, T> > n);

    /// product [rows, cols] with stride ld = a [rows, n_words] b [cols, n_words]^T in words of
    /// Products; n_words is a whole number of vectors.
    template <class Products, int... I, int... R, int... K>
    DELTANET_FORCE_INLINE static void run(const T* a, const T* b, index_t stride, index_t n_words,
                                          T* product, index_t ld, std::integer_sequence<int, I...>,
                                          std::integer_sequence<int, R...>,
                                          std::integer_sequence<int, K...>) noexcept {
        Batch sums[] = {(static_cast<void>(I), Batch(T(0)))...};
        for (index_t p = 0; p < n_words; p += lanes<Arch, T>) {
            const Batch left[] = {Batch::load_aligned(a + R * stride + p)...};
            const Batch right[] = {Batch::load_aligned(b + K * stride + p)...};
            ((sums[I] = Products::add(left[I / cols], right[I % cols], sums[I])), ...);
        }
        alignas(64) T dots[n < lanes<Arch, T> ? lanes<Arch, T> : n];
        for (int first = 0; first < n; first += lanes<Arch, T>)
            lane_sums<Arch>(sums + first).store_aligned(dots + first);
        for (int r = 0; r < rows; ++r) {
            for (int c = 0; c < cols; ++c) product[r * ld + c] = dots[r * cols + c];
        }
    }
};

/// a, b [n_tokens, n_words] with a stride, rows aligned, a multiple of a vector, and readable up to
/// a multiple of 4 rows. product [C, C], of which some above the diagonal or behind row n_tokens is
/// written too.
template <class Arch, class T, index_t C, class Products>
DELTANET_KERNEL void lower_dots(const T* a, const T* b, index_t stride, T* product,
                                index_t n_tokens, index_t n_words) noexcept {
    using Tile = DotTile<Arch, T>;
    static_assert(C % Tile::rows == 0);
    for (index_t row = 0; row < n_tokens; row += Tile::rows) {
        for (index_t col = 0; col < row + Tile::rows; col += Tile::cols) {
            Tile::template run<Products>(a + row * stride, b + col * stride, stride, n_words,
                                         product + row * C + col, C,
                                         std::make_integer_sequence<int, Tile::n>{},
                                         std::make_integer_sequence<int, Tile::rows>{},
                                         std::make_integer_sequence<int, Tile::cols>{});
        }
    }
}

}  // namespace deltanet::cpu::kernels
