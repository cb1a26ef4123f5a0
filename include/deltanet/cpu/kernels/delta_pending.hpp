// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A few tokens of one value head against a state that is read and not written
/// (ops/pending_updates.hpp), over a tile of state columns. With n updates pending and D_ij the sum
/// of the log decays behind token j to token i along the tokens that i follows:
///   u_i = beta_i (v_i - e^{G_i} S^T k_i - sum_j e^{D_ij} (k_i.k_j) u_j)
///   o_i = scale (e^{G_i} S^T q_i + sum_j e^{D_ij} (q_i.k_j) u_j + (q_i.k_i) u_i)
/// j over the pending updates and the call's own tokens. The u_i are appended. One sweep over the
/// rows of S serves all of a call's tokens. Folding writes
///   S = e^{G_n} S + sum_j e^{G_n - G_{j+1}} k_j u_j^T
/// and the tokens then read what was stored, rounded if the state is. With one token and no update
/// pending, and one update folded, these are the instructions of delta_recurrent.hpp, bit for bit.
#pragma once

#include <deltanet/cpu/kernels/delta_recurrent.hpp>
#include <deltanet/cpu/kernels/gemm_micro.hpp>
#include <deltanet/cpu/kernels/pending_gates.hpp>
#include <deltanet/cpu/line_fetcher.hpp>
#include <deltanet/cpu/state_panel.hpp>

namespace deltanet::cpu::kernels {

/// Columns [0, width) of one value head. Strides in elements. S: what the state is stored as.
template <class T, class S>
struct PendingTile {
    const T* v;  ///< [n_tokens, width]
    index_t v_stride;
    const T* beta;  ///< [n_tokens]
    index_t beta_stride;
    StateColumns<S> state;  ///< [d_k, width], written only if there is something to fold
    T* u;                   ///< [R, width]: the pending ones are read, the tokens' appended
    index_t u_stride;
    const T* folded_k;  ///< [n_folded, d_k]
    index_t folded_k_stride;
    T* output;  ///< [n_tokens, width]
    index_t output_stride;
    const S* next;  ///< [d_k * width] to be fetched meanwhile; null for none
    index_t width;  ///< 1 to recurrent_cols
    index_t d_k;
    T scale;
};

/// What is left to do when P = K S and M = Q S of `Batches` columns are known, [n_tokens, cols]
/// each: the triangular system and the outputs, token by token.
template <class Arch, class T, int Batches, class S>
void pending_tokens(const PendingTile<T, S>& tile, const PendingScratch<Arch, T>& scratch,
                    const T* reads, index_t column) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr index_t cols = Batches * lanes<Arch, T>;
    constexpr auto n_batches = static_cast<std::size_t>(Batches);
    const index_t n = scratch.n_before, n_tokens = scratch.n_tokens;
    const index_t width = tile.width - column;
    for (index_t i = 0; i < n_tokens; ++i) {
        const Batch decay(scratch.read[i]);
        Batch p[n_batches], m[n_batches];
        for (int b = 0; b < Batches; ++b) {
            const index_t c = b * lanes<Arch, T>;
            p[b] = compat::fma(-decay, load<Arch>(reads + i * cols + c),
                               load<Arch>(tile.v + i * tile.v_stride + column + c, width - c));
            m[b] = decay * load<Arch>(reads + (n_tokens + i) * cols + c);
        }
        const T* const a_row = scratch.a + i * kMaxPending;
        const T* const p_row = scratch.p + i * kMaxPending;
        for (index_t j = 0; j < n + i; ++j) {
            if (a_row[j] == T(0) && p_row[j] == T(0)) continue;  // not one that i follows
            const T* const u = tile.u + j * tile.u_stride + column;
            for (int b = 0; b < Batches; ++b) {
                const index_t c = b * lanes<Arch, T>;
                const Batch u_j = load<Arch>(u + c, width - c);
                p[b] = compat::fma(Batch(a_row[j]), u_j, p[b]);
                m[b] = compat::fma(Batch(p_row[j]), u_j, m[b]);
            }
        }
        const Batch beta(tile.beta[i * tile.beta_stride]);
        for (int b = 0; b < Batches; ++b) {
            const index_t c = b * lanes<Arch, T>;
            const Batch u = beta * p[b];
            store<Arch>(tile.u + (n + i) * tile.u_stride + column + c, u, width - c);
            store<Arch>(tile.output + i * tile.output_stride + column + c,
                        Batch(tile.scale) * compat::fma(Batch(p_row[n + i]), u, m[b]), width - c);
        }
    }
}

/// Folds into a panel of the state [d_k, cols] in scratch memory.
template <class Arch, class T, class S>
void pending_fold(const PendingTile<T, S>& tile, const PendingScratch<Arch, T>& scratch,
                  index_t column) noexcept {
    constexpr int batches = tuning::tile_batches<Arch>;
    constexpr index_t cols = batches * lanes<Arch, T>;
    const index_t width = tile.width - column < cols ? tile.width - column : cols;
    for (index_t j = 0; j < scratch.n_folded; ++j) {
        for (index_t c = 0; c < cols; c += lanes<Arch, T>) {
            (xsimd::batch<T, Arch>(scratch.fold[j]) *
             load<Arch>(tile.u + j * tile.u_stride + column + c, width - c))
                .store_aligned(scratch.weighted_u + j * cols + c);
        }
    }
    for_each_row_tile<tuning::tile_rows<Arch>>(tile.d_k, [&](auto rows, index_t row) noexcept {
        RegisterTile<Arch, T, rows.value, batches> registers;
        registers.load_from(scratch.panel + row * cols, cols);
        registers.scale(scratch.fold_total[0]);
        registers.add_product(tile.folded_k + row, 1, tile.folded_k_stride, scratch.weighted_u,
                              cols, scratch.n_folded);
        registers.store_to(scratch.panel + row * cols, cols);
    });
    store_state_panel<Arch, cols>(scratch.panel, tile.state.from(column), width, tile.d_k);
    if constexpr (!std::is_same_v<S, T>)  // the tokens read what is stored
        read_state_rows<Arch, cols>(tile.state.from(column), width, 0, tile.d_k, scratch.panel);
}

/// A panel of the state by way of scratch memory: dense rows, which do not fight for cache sets, to
/// be read as often as there are register tiles of tokens. The first of these loads the rows that
/// it is about to use, and all of them fetch the next state: memory and arithmetic overlap (T = 4,
/// 16 / 32 heads of 128 on a Zen 3 core: 331 us a step with loads and fetches in front).
template <class Arch, class T, class S>
void pending_panel(const PendingTile<T, S>& tile, const PendingScratch<Arch, T>& scratch,
                   index_t column) noexcept {
    constexpr int batches = tuning::tile_batches<Arch>;
    constexpr index_t cols = batches * lanes<Arch, T>;
    constexpr index_t block = tuning::pending_rows;
    const index_t d_k = tile.d_k;
    const StateColumns<S> state = tile.state.from(column);
    T* const panel = scratch.panel;
    bool loaded = scratch.n_folded > 0;
    if (loaded) {
        load_state_panel<Arch, cols>(state, tile.width - column, d_k, panel);
        pending_fold(tile, scratch, column);
    }
    LineFetcher next(tile.next == nullptr ? nullptr : tile.next + column * d_k,
                     d_k * cols * static_cast<index_t>(sizeof(S)));
    const index_t n_blocks = (d_k + block - 1) / block;
    const index_t n_tiles =
        (2 * scratch.n_tokens + tuning::tile_rows<Arch> - 1) / tuning::tile_rows<Arch>;
    next.spread_over(n_blocks * n_tiles);
    for_each_row_tile<tuning::tile_rows<Arch>>(2 * scratch.n_tokens, [&](auto rows,
                                                                         index_t row) noexcept {
        RegisterTile<Arch, T, rows.value, batches> registers;
        registers.zero();
        for (index_t d = 0; d < d_k; d += block) {
            const index_t n = d_k - d < block ? d_k - d : block;
            if (!loaded) read_state_rows<Arch, cols>(state, tile.width - column, d, d + n, panel);
            next.step();
            registers.add_product(scratch.kq + row * d_k + d, d_k, 1, panel + d * cols, cols, n);
        }
        loaded = true;
        registers.store_to(scratch.reads + row * cols, cols);
    });
    scale_reads<Arch, cols>(state, tile.width - column, 2 * scratch.n_tokens, scratch.reads);
    pending_tokens<Arch, T, batches>(tile, scratch, scratch.reads, column);
}

/// One token against a whole tile that nothing is folded into: straight from the slot.
template <class Arch, class T, class S>
void pending_token(const PendingTile<T, S>& tile, const PendingScratch<Arch, T>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr int batches = tuning::recurrent_batches<Arch>;
    constexpr index_t cols = recurrent_cols<Arch, T>;
    constexpr auto all = std::make_integer_sequence<int, batches>{};
    const T* const k = scratch.kq;
    const T* const q = scratch.kq + tile.d_k;
    RecurrentStep<Arch, T, batches> step;
    step.clear();
    NextState<cols, S> next(tile.next, tile.d_k);
    for (index_t i = 0; i < tile.d_k; ++i) {
        if (tile.next != nullptr) next.fetch_until(8 * (i + 1));
        step.read_row(tile.state.row(i), Batch(k[i]), Batch(q[i]), all);
    }
    for (int b = 0; b < batches; ++b) {
        step.p[b].store_aligned(scratch.reads + b * lanes<Arch, T>);
        step.m[b].store_aligned(scratch.reads + cols + b * lanes<Arch, T>);
    }
    scale_reads<Arch, cols>(tile.state, cols, 2, scratch.reads);
    pending_tokens<Arch, T, batches>(tile, scratch, scratch.reads, 0);
}

template <class Arch, class T, class S>
void delta_pending(const PendingTile<T, S>& tile, const PendingScratch<Arch, T>& scratch) noexcept {
    constexpr index_t panel_cols = tuning::tile_batches<Arch> * lanes<Arch, T>;
    if (scratch.n_tokens == 1 && scratch.n_folded == 0 && tile.width == recurrent_cols<Arch, T>)
        return pending_token(tile, scratch);
    for (index_t column = 0; column < tile.width; column += panel_cols)
        pending_panel(tile, scratch, column);
}

}  // namespace deltanet::cpu::kernels
