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

/// state [d_k, width] -> panels [width / panel_cols, d_k, panel_cols], zeros behind the last
/// column; for a fresh sequence all zeros, and the state is not read.
template <class Arch, class T, class S>
void chunk_load_state(const StateColumns<S>& state, bool fresh, index_t width, index_t d_k,
                      T* panels) noexcept {
    constexpr index_t cols = tuning::tile_batches<Arch> * lanes<Arch, T>;
    for (index_t col = 0; col < width; col += cols, panels += d_k * cols) {
        if (fresh) {
            fill_zero<Arch>(panels, d_k * cols);
        } else {
            load_state_panel<Arch, cols>(state.from(col), width - col, d_k, panels);
        }
    }
}

/// And back.
template <class Arch, class T, class S>
void chunk_store_state(const T* panels, const StateColumns<S>& state, index_t width,
                       index_t d_k) noexcept {
    constexpr index_t cols = tuning::tile_batches<Arch> * lanes<Arch, T>;
    for (index_t col = 0; col < width; col += cols, panels += d_k * cols)
        store_state_panel<Arch, cols>(panels, state.from(col), width - col, d_k);
}

/// Rows of a tensor that the next chunk will touch, or some columns of them. Their lines are
/// fetched while this chunk computes: rows of a model's tensors are too far apart for the hardware
/// to guess.
template <class T>
struct NextRows {
    const T* data = nullptr;
    index_t stride = 0;
    index_t n_rows = 0;
    index_t n_cols = 0;

    /// The columns that panel `part` of `parts` fetches.
    [[nodiscard]] DELTANET_FORCE_INLINE NextRows share(index_t part, index_t parts) const noexcept {
        constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
        const index_t lines = (n_cols + line - 1) / line;
        const index_t first = lines * part / parts;
        return {data + first * line, stride, n_rows, (lines * (part + 1) / parts - first) * line};
    }

    /// Row i, into the second-level cache.
    DELTANET_FORCE_INLINE void prefetch(index_t i) const noexcept {
        constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
        if (i >= n_rows) return;
        for (index_t c = 0; c < n_cols; c += line) __builtin_prefetch(data + i * stride + c, 0, 2);
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
    NextRows<T> next[4];  ///< what to fetch meanwhile
};

/// u of tokens [row, row + Rows).
template <class Arch, class T, index_t C, class Products, int Rows, bool Whole>
void chunk_update(const ChunkPanel<T>& panel, const T* state_words,
                  const ChunkScratch<Arch, T, C, Products>& scratch, index_t row) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    using Tile = RegisterTile<Arch, T, Rows, tuning::tile_batches<Arch>>;
    constexpr index_t cols = Tile::cols;
    const index_t width = Whole ? cols : panel.width;  // tests of a whole panel's width fold away
    for (const NextRows<T>& next : panel.next) {
        for (index_t r = 0; r < Rows; ++r) next.prefetch(row + r);
    }
    Tile u;
    u.zero();
    u.template add_product<Products>(scratch.kt_words + row, 1, C, state_words, cols,
                                     scratch.words(panel.d_k));
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
void chunk_output(const ChunkPanel<T>& panel, const T* state_words,
                  const ChunkScratch<Arch, T, C, Products>& scratch, index_t row) noexcept {
    using Tile = RegisterTile<Arch, T, Rows, tuning::tile_batches<Arch>>;
    constexpr index_t cols = Tile::cols;
    Tile o;
    o.zero();
    o.template add_product<Products>(scratch.qt_words + row, 1, C, state_words, cols,
                                     scratch.words(panel.d_k));
    o.scale_rows(scratch.read_q + row);
    o.template add_product<Products>(scratch.p_words + row * scratch.words(C), scratch.words(C), 1,
                                     scratch.u_words, cols, scratch.words(row + Rows));
    o.store_to(panel.output + row * panel.output_stride, panel.output_stride,
               Whole ? cols : panel.width);
}

/// The state behind the chunk.
template <class Arch, class T, index_t C, class Products>
void chunk_write(const ChunkPanel<T>& panel,
                 const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    constexpr index_t cols = ChunkScratch<Arch, T, C, Products>::panel_cols;
    constexpr bool in_pairs = ChunkScratch<Arch, T, C, Products>::in_pairs;
    const index_t k_row = in_pairs ? 1 : C;
    const index_t k_step = in_pairs ? panel.d_k : 1;
    for_each_row_tile<tuning::tile_rows<Arch>>(panel.d_k, [&](auto rows, index_t row) noexcept {
        RegisterTile<Arch, T, rows.value, tuning::tile_batches<Arch>> tile;
        tile.load_from(panel.state + row * cols, cols);
        tile.scale_rows(scratch.total + row);
        tile.template add_product<Products>(scratch.k_words + row * k_row, k_row, k_step,
                                            scratch.u_write_words, cols,
                                            scratch.words(panel.n_tokens));
        tile.store_to(panel.state + row * cols, cols);
    });
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
    chunk_write(panel, scratch);
}

}  // namespace deltanet::cpu::kernels
