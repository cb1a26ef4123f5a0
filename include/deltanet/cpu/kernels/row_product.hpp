// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Products of a few rows of weights with a few tokens. Both lie along the inner dimension, and so
/// does the arithmetic: lane l sums products l, l + lanes and so on, and lanes are added up once,
/// at the end. So weights are read where they lie, without transposing. Every output is summed in
/// one order, whatever the rows and tokens beside it: bits do not depend on the batch.
#pragma once

#include <deltanet/cpu/kernels/gemm_micro.hpp>
#include <deltanet/cpu/kernels/row_steps.hpp>
#include <deltanet/cpu/lane_sums.hpp>
#include <deltanet/cpu/line_fetcher.hpp>

#include <type_traits>
#include <utility>

namespace deltanet::cpu::kernels {

/// Elements of a row between two steps of fetching.
inline constexpr index_t kRowFetch = 64;

/// What a tile of rows and tokens is made from: a part of the inner dimension, in whole steps.
template <class W>
struct RowProduct {
    const W* w;         ///< [Rows, n]
    index_t w_stride;   ///< from one row to the next
    const float* x;     ///< [Tokens, n], packed
    index_t x_stride;   ///< from one token to the next
    index_t n;          ///< elements of this part
    bool starts, ends;  ///< whether this is the first part, and the last one
    float* sums;        ///< between parts: [Rows, Tokens] batches
    float* floats;      ///< [Rows, tuning::row_part], if kept: w as floats in the order of x
    float* y;           ///< after the last part: [Tokens, rows]
    index_t y_stride;   ///< from one token to the next
    index_t rows;       ///< outputs that exist, at most Rows
};

/// Where a tile's weights come from: rows in memory, whose floats are kept for further tiles or
/// not, or such floats.
enum class RowSource { memory, memory_kept, kept };

/// The beginnings of N rows: computed once, or the compiler does so for each of their halves.
template <class T, int N>
struct RowStarts {
    const T* row[static_cast<std::size_t>(N)];

    template <int... I>
    [[nodiscard]] DELTANET_FORCE_INLINE static RowStarts of(
        const T* first, index_t stride, std::integer_sequence<int, I...>) noexcept {
        return {{(first + I * stride)...}};
    }
};
template <int N, class T>
[[nodiscard]] DELTANET_FORCE_INLINE RowStarts<T, N> row_starts(const T* first,
                                                               index_t stride) noexcept {
    return RowStarts<T, N>::of(first, stride, std::make_integer_sequence<int, N>{});
}

/// A tile. Takes a step of `next` every kRowFetch elements.
template <class Arch, class W, int Rows, int Tokens, RowSource Source>
DELTANET_KERNEL void row_product(const RowProduct<W>& product, LineFetcher<>& next) noexcept {
    using Tile = RegisterTile<Arch, float, Rows, Tokens>;
    using Batch = typename Tile::Batch;
    constexpr index_t size = lanes<Arch, float>, step = row_step<Arch>;
    const RowProduct<W> p = product;
    LineFetcher<> fetcher = next;

    Tile tile;
    if (p.starts)
        tile.zero();
    else
        tile.load_from(p.sums, Tokens * size);
    constexpr index_t kept_stride = tuning::row_part;
    const auto w_rows = row_starts<Rows>(p.w, Source == RowSource::kept ? kept_stride : p.w_stride);
    const auto x_rows = row_starts<Tokens>(p.x, p.x_stride);
    const auto add_half = [&]<index_t Half>(std::integral_constant<index_t, Half>,
                                            index_t i) noexcept {
        Batch x[static_cast<std::size_t>(Tokens)];
        Batch w;
        tile.each([&](Batch& acc, int r, int t) noexcept {
            if (r == 0) {
                x[t] = load<Arch>(x_rows.row[t] + i + Half * size);
                compat::keep_in_register(x[t]);
            }
            if (t == 0) {
                w = half_step<Arch, Half>(w_rows.row[r] + i);
                compat::keep_in_register(w);
                if constexpr (Source == RowSource::memory_kept)
                    w.store_unaligned(p.floats + r * kept_stride + i + Half * size);
            }
            acc = compat::fma(w, x[t], acc);
        });
    };
    for (index_t i = 0; i < p.n; i += step) {
        if (i % kRowFetch == 0) fetcher.step();
        add_half(std::integral_constant<index_t, 0>{}, i);
        add_half(std::integral_constant<index_t, 1>{}, i);
    }
    next = fetcher;
    if (!p.ends) return tile.store_to(p.sums, Tokens * size);

    constexpr index_t count = index_t{Rows} * Tokens;
    Batch all[static_cast<std::size_t>(count)];
    float outputs[static_cast<std::size_t>(count + size)];
    tile.each([&](Batch& acc, int r, int t) noexcept { all[t * Rows + r] = acc; });
    store_lane_sums<Arch, count>(all, outputs);
    for (index_t t = 0; t < Tokens; ++t) {
        for (index_t r = 0; r < p.rows; ++r) p.y[t * p.y_stride + r] = outputs[t * Rows + r];
    }
}

}  // namespace deltanet::cpu::kernels
