// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// One chunk of C tokens over a panel of state columns, all of its sums prepared by
/// chunk_prepare.hpp:
///   r_i = beta_i v_i - beta_i e^{G_i} S^T k_i           what the state gets wrong
///   (I + A) U = R                                       chunk_solve.hpp
///   o_i = scale e^{G_i} S^T q_i + sum_{j <= i} P_ij u_j
///   S   = e^{G_C} S + sum_i e^{G_C - G_i} k_i u_i^T
/// Decays per key channel are in the rows of K and Q, and their factors here are 1. State columns
/// never mix, so panels are independent. A panel of S and of U stays in the L1 cache while the rows
/// of K, Q, A and P stream past it.
#pragma once

#include <deltanet/cpu/kernels/chunk_prepare.hpp>
#include <deltanet/cpu/kernels/chunk_solve.hpp>
#include <deltanet/cpu/state_panel.hpp>

namespace deltanet::cpu::kernels {

/// f(column, panel, first, last) for all panels of a head in blocks of rows: memory is walked
/// through in its order, not in pieces of a panel's width at a time.
template <index_t Cols, class T, class F>
DELTANET_FORCE_INLINE void for_each_state_block(index_t width, index_t d_k, T* panels,
                                                F f) noexcept {
    for (index_t first = 0; first < d_k; first += tuning::state_rows) {
        const index_t last = least(first + tuning::state_rows, d_k);
        for (index_t col = 0; col < width; col += Cols) f(col, panels + d_k * col, first, last);
    }
}

/// state [d_k, width] -> panels [width / panel_cols, d_k, panel_cols], zeros behind the last
/// column; for a fresh sequence all zeros, and the state is not read.
template <class Arch, class T, class S>
DELTANET_KERNEL void chunk_load_state(const StateColumns<S>& state, bool fresh, index_t width,
                                      index_t d_k, T* panels) noexcept {
    constexpr index_t cols = tuning::tile_batches<Arch> * lanes<Arch, T>;
    if (fresh) {
        fill_zero<Arch>(panels, d_k * ((width + cols - 1) / cols * cols));
    } else if constexpr (std::is_same_v<S, i8>) {
        for (index_t col = 0; col < width; col += cols)
            load_state_panel<Arch, cols>(state.from(col), width - col, d_k, panels + d_k * col);
    } else {
        for_each_state_block<cols>(
            width, d_k, panels, [&](index_t col, T* panel, index_t first, index_t last) noexcept {
                read_state_rows<Arch, cols>(state.from(col), width - col, first, last, panel);
            });
    }
}

/// And back.
template <class Arch, class T, class S>
DELTANET_KERNEL void chunk_store_state(const T* panels, const StateColumns<S>& state, index_t width,
                                       index_t d_k) noexcept {
    constexpr index_t cols = tuning::tile_batches<Arch> * lanes<Arch, T>;
    if constexpr (std::is_same_v<S, i8>) {
        for (index_t col = 0; col < width; col += cols)
            store_state_panel<Arch, cols>(panels + d_k * col, state.from(col), width - col, d_k);
    } else {
        for_each_state_block<cols>(
            width, d_k, panels,
            [&](index_t col, const T* panel, index_t first, index_t last) noexcept {
                write_state_rows<Arch, cols>(panel, state.from(col), width - col, first, last);
            });
    }
}

/// Columns of a tensor whose rows the next chunk will touch: the line that they begin in and the
/// one that they end in, which is all of them where a panel has its share.
template <class T>
struct NextColumns {
    const T* data = nullptr;
    index_t stride = 0;
    index_t last = 0;  ///< from the first to the last column, elements

    static constexpr index_t kLine = 64 / static_cast<index_t>(sizeof(T));

    /// The part-th of several `each` columns that are whole lines, of n in all.
    [[nodiscard]] static DELTANET_FORCE_INLINE NextColumns part(const T* data, index_t stride,
                                                                index_t n, index_t each,
                                                                index_t part) noexcept {
        const index_t first = least(part * each, n - 1);
        return {data + first, stride, least(first + each, n) - 1 - first};
    }
    DELTANET_FORCE_INLINE void prefetch(index_t row) const noexcept {
        const T* const p = data + row * stride;
        __builtin_prefetch(p, 0, 2);
        if (last >= kLine) __builtin_prefetch(p + last, 0, 2);
    }
};

/// What the next chunk will touch, fetched into the second-level cache while this one computes:
/// rows of a model's tensors are too far apart for the hardware to guess. No branch differs from
/// one row to the next: a guess that goes wrong costs more than a line that is asked for twice.
template <class T>
struct NextChunk {
    NextColumns<T> columns[6];
    index_t n_tokens = 1;  ///< at least 1
};

/// Asks for row `row + r` of three of the tensors. A type and no lambda: g++ takes a function that
/// only prefetches for one without effect, and drops calls of it that it has not inlined yet.
template <class T>
struct RowsAhead {
    const NextColumns<T>* columns;
    index_t row;
    index_t n_tokens;
    DELTANET_FORCE_INLINE void operator()(int r) const noexcept {
        const index_t i = least(row + r, n_tokens - 1);
        columns[0].prefetch(i);
        columns[1].prefetch(i);
        columns[2].prefetch(i);
    }
};

/// One panel: panel_cols columns of one head. Strides in elements.
template <class T>
struct ChunkPanel {
    T* state;    ///< [d_k, panel_cols], read and written
    const T* v;  ///< [n_tokens, width]
    index_t v_stride;
    T* output;  ///< [n_tokens, width]
    index_t output_stride;
    index_t width;  ///< at most panel_cols
    index_t n_tokens;
    index_t d_k;
    NextChunk<T> next;
};

/// u of tokens [row, row + Rows).
template <class Arch, class T, index_t C, class Products, int Rows, bool Whole>
DELTANET_KERNEL void chunk_update(const ChunkPanel<T>& panel, const T* state_words,
                                  const ChunkScratch<Arch, T, C, Products>& scratch,
                                  index_t row) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    using Tile = RegisterTile<Arch, T, Rows, tuning::tile_batches<Arch>>;
    constexpr index_t cols = Tile::cols;
    const index_t width = Whole ? cols : panel.width;  // tests of a whole panel's width fold away
    const index_t row_words = scratch.row_words(panel.d_k);
    Tile u;
    u.zero();
    u.template add_product<Products>(scratch.k_words + row * row_words, row_words, 1, state_words,
                                     cols, scratch.words(panel.d_k));
    const T* const v = panel.v + row * panel.v_stride;
    u.each([&](Batch& acc, int r, int b) noexcept {
        const index_t c = b * lanes<Arch, T>;
        const Batch value = load<Arch>(v + r * panel.v_stride + c, width - c);
        acc =
            compat::fma(Batch(scratch.read_k[row + r]), acc, Batch(scratch.beta[row + r]) * value);
    });
    chunk_solve(u, scratch.minus_a, C, scratch.u, cols, row);
    u.store_to(scratch.u + row * cols, cols);
    u.scale_rows(scratch.write + row);
    u.store_to(scratch.u_write + row * cols, cols);
}

/// o of tokens [row, row + Rows), of which u is known, as P has a diagonal.
template <class Arch, class T, index_t C, class Products, int Rows, bool Whole>
DELTANET_KERNEL void chunk_output(const ChunkPanel<T>& panel, const T* state_words,
                                  const ChunkScratch<Arch, T, C, Products>& scratch,
                                  index_t row) noexcept {
    using Tile = RegisterTile<Arch, T, Rows, tuning::tile_batches<Arch>>;
    constexpr index_t cols = Tile::cols;
    const index_t row_words = scratch.row_words(panel.d_k);
    Tile o;
    o.zero();
    o.template add_product_while<Products>(
        scratch.q_words + row * row_words, row_words, 1, state_words, cols,
        scratch.words(panel.d_k), Rows,
        RowsAhead<T>{panel.next.columns + 3, row, panel.next.n_tokens});
    o.scale_rows(scratch.read_q + row);
    o.template add_product<Products>(scratch.p_words + row * scratch.words(C), scratch.words(C), 1,
                                     scratch.u_words, cols, scratch.words(row + Rows));
    o.store_to(panel.output + row * panel.output_stride, panel.output_stride,
               Whole ? cols : panel.width);
}

/// Rows [row, row + Rows) of the state behind the chunk.
template <class Arch, class T, index_t C, class Products, int Rows>
DELTANET_KERNEL void chunk_write(const ChunkPanel<T>& panel,
                                 const ChunkScratch<Arch, T, C, Products>& scratch,
                                 index_t row) noexcept {
    using Tile = RegisterTile<Arch, T, Rows, tuning::tile_batches<Arch>>;
    constexpr index_t cols = Tile::cols;
    Tile tile;
    tile.load_from(panel.state + row * cols, cols);
    tile.scale_rows(scratch.total + row);
    tile.template add_product<Products>(scratch.write_words + row, 1,
                                        scratch.write_stride(panel.d_k), scratch.u_write_words,
                                        cols, scratch.words(panel.n_tokens));
    tile.store_to(panel.state + row * cols, cols);
}

template <class Arch, class T, index_t C, class Products>
void chunk_panel(const ChunkPanel<T>& panel,
                 const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    constexpr index_t cols = ChunkScratch<Arch, T, C, Products>::panel_cols;
    constexpr int max_rows = tuning::tile_rows<Arch>;
    const T* state_words = panel.state;
    if constexpr (Products::depth == 2) {
        pack_rows<Arch>(panel.state, cols, scratch.state_words, cols, panel.d_k, cols);
        state_words = scratch.state_words;
    }
    // Tiles of whole panels are apart; not so in pairs, where the test is little beside the
    // packing.
    const auto for_each_tile = [&](auto&& f) noexcept {
        for_each_row_tile<max_rows>(panel.n_tokens, [&](auto rows, index_t row) noexcept {
            if constexpr (Products::depth == 1) {
                if (panel.width == cols) return f(rows, row, std::true_type{});
            }
            f(rows, row, std::false_type{});
        });
    };
    for_each_tile([&](auto rows, index_t row, auto whole) noexcept {
        chunk_update<Arch, T, C, Products, rows.value, whole.value>(panel, state_words, scratch,
                                                                    row);
    });
    if constexpr (Products::depth == 2) {
        pack_rows<Arch>(scratch.u, cols, scratch.u_words, cols, panel.n_tokens, cols);
        pack_rows<Arch>(scratch.u_write, cols, scratch.u_write_words, cols, panel.n_tokens, cols);
    }
    for_each_tile([&](auto rows, index_t row, auto whole) noexcept {
        chunk_output<Arch, T, C, Products, rows.value, whole.value>(panel, state_words, scratch,
                                                                    row);
    });
    // Half of what is fetched ahead is asked for here and half in chunk_output, where the panel is
    // in the L1 cache: chunk_update, which brings it there, needs the fill buffers for itself (d
    // 128, T 1024: 0.740 and 0.755 of the peak).
    const index_t tiles = (panel.d_k + max_rows - 1) / max_rows;
    const index_t tokens = (C + tiles - 1) / tiles;
    const RowsAhead<T> ahead{panel.next.columns, 0, panel.next.n_tokens};
    index_t token = 0;
    for_each_row_tile<max_rows>(panel.d_k, [&](auto rows, index_t row) noexcept {
        for (index_t i = 0; i < tokens; ++i, ++token) ahead(static_cast<int>(token));
        chunk_write<Arch, T, C, Products, rows.value>(panel, scratch, row);
    });
}

}  // namespace deltanet::cpu::kernels
