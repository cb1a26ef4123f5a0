// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// One chunk of C tokens over a panel of state columns, all of its sums prepared by
/// chunk_prepare.hpp:
///   r_i = beta_i v_i - beta_i e^{G_i} S^T k_i           what the state gets wrong
///   (I + A) U = R                                       chunk_solve.hpp
///   o_i = scale e^{G_i} S^T q_i + sum_{j <= i} P_ij u_j
///   S   = e^{G_C} S + sum_i e^{G_C - G_i} k_i u_i^T
/// State columns never mix, so panels are independent. A panel of S and of U stays in the L1 cache
/// while the rows of K, Q, A and P stream past it.
#pragma once

#include <deltanet/cpu/kernels/chunk_prepare.hpp>
#include <deltanet/cpu/kernels/chunk_solve.hpp>

namespace deltanet::cpu::kernels {

/// v [C, width] -> scratch values, with zeros up to a whole panel. Whole rows at once: those of a
/// model's tensor lie a multiple of 4 KiB apart, and panel by panel every access would miss the
/// caches.
template <class Arch, class T>
void chunk_load_values(const T* v, index_t v_stride, index_t n_tokens, index_t width,
                       const ChunkScratch<Arch, T>& scratch) noexcept {
    constexpr index_t cols = ChunkScratch<Arch, T>::panel_cols;
    const index_t padded = (width + cols - 1) / cols * cols;
    for (index_t i = 0; i < n_tokens; ++i) {
        for (index_t c = 0; c < padded; c += lanes<Arch, T>) {
            load<Arch>(v + i * v_stride + c, width - c)
                .store_aligned(scratch.values + i * scratch.value_stride + c);
        }
    }
}

/// Scratch values, which hold o by now -> output [C, width].
template <class Arch, class T>
void chunk_store_outputs(T* output, index_t output_stride, index_t n_tokens, index_t width,
                         const ChunkScratch<Arch, T>& scratch) noexcept {
    for (index_t i = 0; i < n_tokens; ++i) {
        copy<Arch>(scratch.values + i * scratch.value_stride, output + i * output_stride, width);
    }
}

/// Columns [column, column + width) of the scratch values and of one head's state. Strides in
/// elements.
template <class T>
struct ChunkPanel {
    T* state;  ///< [d_k, width], read and written
    index_t state_stride;
    index_t column;
    index_t width;  ///< at most ChunkScratch::panel_cols
    index_t n_tokens;
    index_t d_k;
    T total_decay;  ///< e^{G_C}
};

/// Tokens [row, row + Rows): first their u, then, as P has a diagonal, their o.
template <class Arch, class T, int Rows>
void chunk_rows(const ChunkPanel<T>& panel, const ChunkScratch<Arch, T>& scratch,
                index_t row) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    using Tile = RegisterTile<Arch, T, Rows, tuning::tile_batches<Arch>>;
    constexpr index_t cols = Tile::cols;
    T* const values = scratch.values + row * scratch.value_stride + panel.column;
    Tile u;
    u.zero();
    u.add_product(scratch.k + row * panel.d_k, panel.d_k, scratch.state, cols, panel.d_k);
    u.each([&](Batch& acc, int r, int b) noexcept {
        const Batch v = Batch::load_aligned(values + r * scratch.value_stride + b * lanes<Arch, T>);
        acc = compat::fma(Batch(scratch.read_k[row + r]), acc, Batch(scratch.beta[row + r]) * v);
    });
    chunk_solve(u, scratch.minus_a, chunk_tokens, scratch.u, cols, row);
    u.store_to(scratch.u + row * cols, cols);

    Tile o;
    o.zero();
    o.add_product(scratch.q + row * panel.d_k, panel.d_k, scratch.state, cols, panel.d_k);
    o.scale_rows(scratch.read_q + row);
    o.add_product(scratch.p + row * chunk_tokens, chunk_tokens, scratch.u, cols, row + Rows);
    o.store_to(values, scratch.value_stride);
}

template <class Arch, class T>
void chunk_panel(const ChunkPanel<T>& panel, const ChunkScratch<Arch, T>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr index_t cols = ChunkScratch<Arch, T>::panel_cols;
    constexpr int max_rows = tuning::tile_rows<Arch>;
    for (index_t d = 0; d < panel.d_k; ++d) {
        for (index_t c = 0; c < cols; c += lanes<Arch, T>) {
            load<Arch>(panel.state + d * panel.state_stride + c, panel.width - c)
                .store_aligned(scratch.state + d * cols + c);
        }
    }
    for_each_row_tile<max_rows>(panel.n_tokens, [&](auto rows, index_t row) noexcept {
        chunk_rows<Arch, T, rows.value>(panel, scratch, row);
    });
    for (index_t i = 0; i < panel.n_tokens; ++i) {
        const Batch decay(scratch.write[i]);
        for (index_t c = 0; c < cols; c += lanes<Arch, T>) {
            T* const u = scratch.u + i * cols + c;
            (Batch::load_aligned(u) * decay).store_aligned(u);
        }
    }
    for_each_row_tile<max_rows>(panel.d_k, [&](auto rows, index_t row) noexcept {
        RegisterTile<Arch, T, rows.value, tuning::tile_batches<Arch>> tile;
        tile.load_scaled(scratch.state + row * cols, cols, panel.total_decay);
        tile.add_product(scratch.kt + row * chunk_tokens, chunk_tokens, scratch.u, cols,
                         panel.n_tokens);
        tile.store_to(panel.state + row * panel.state_stride, panel.state_stride, panel.width);
    });
}

}  // namespace deltanet::cpu::kernels
