// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a chunk of C tokens needs before its state is touched. Per key head, shared by its value
/// heads:
///   kk_ij = k_i . k_j  (j < i)        qk_ij = q_i . k_j  (j <= i)
/// and per value head, with D_ij the sum of the log decays of tokens j + 1 to i and G_i that of 1
/// to i:
///   -A_ij = -beta_i e^{D_ij} kk_ij  (j < i, else 0)      P_ij = scale e^{D_ij} qk_ij  (j <= i,
///   else 0) e^{G_i},  e^{G_C - G_i},  e^{G_C}
/// Every exponent is a sum of log decays, none a difference of two sums: with decays of -3000 among
/// tiny ones a difference of float sums is wrong by 1e-4. It is never positive either: the mask
/// comes first. All gate arithmetic of the chunked form is here and, for decays per key channel, in
/// chunk_prepare_channels.hpp.
#pragma once

#include <deltanet/cpu/kernels/chunk_scratch.hpp>
#include <deltanet/cpu/kernels/gemm_micro.hpp>
#include <deltanet/cpu/transpose.hpp>

namespace deltanet::cpu::kernels {

/// The lower triangle of at^T kt, diagonal included, in steps of whole register tiles. at, kt
/// [n_words, C].
template <class Arch, class T, index_t C, class Products>
void lower_product(const T* at, const T* kt, T* product, index_t n_tokens,
                   index_t n_words) noexcept {
    // A chunk may be narrower than a panel of state columns.
    constexpr index_t batches = C / lanes<Arch, T> < tuning::tile_batches<Arch>
                                    ? C / lanes<Arch, T>
                                    : tuning::tile_batches<Arch>;
    constexpr index_t cols = batches * lanes<Arch, T>;
    static_assert(C % cols == 0);
    for (index_t col = 0; col < n_tokens; col += cols) {
        for_each_row_tile<tuning::tile_rows<Arch>>(
            n_tokens - col, [=](auto rows, index_t row0) noexcept {
                const index_t row = col + row0;
                RegisterTile<Arch, T, rows.value, static_cast<int>(batches)> tile;
                tile.zero();
                tile.template add_product<Products>(at + row, 1, C, kt + col, C, n_words);
                tile.store_to(product + row * C + col, C);
            });
    }
}

/// k, q [C, d_k] with token strides -> scratch kt, qt and their words.
template <class Arch, class T, index_t C, class Products>
void chunk_read_words(const T* k, index_t k_stride, const T* q, index_t q_stride, index_t n_tokens,
                      index_t d_k, const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    transpose(k, k_stride, scratch.kt, C, n_tokens, d_k);
    transpose(q, q_stride, scratch.qt, C, n_tokens, d_k);
    if constexpr (Products::depth == 2) {
        pack_rows<Arch>(scratch.kt, C, scratch.kt_words, C, d_k, n_tokens);
        pack_rows<Arch>(scratch.qt, C, scratch.qt_words, C, d_k, n_tokens);
    }
}

/// k, q [C, d_k] with token strides -> all words of the scratch, kk, qk.
template <class Arch, class T, index_t C, class Products>
void chunk_products(const T* k, index_t k_stride, const T* q, index_t q_stride, index_t n_tokens,
                    index_t d_k, const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    chunk_read_words(k, k_stride, q, q_stride, n_tokens, d_k, scratch);
    if constexpr (Products::depth == 2)
        pack_rows<Arch>(k, k_stride, scratch.k_words, d_k, n_tokens, d_k);
    const index_t n_words = scratch.words(d_k);
    lower_product<Arch, T, C, Products>(scratch.kt_words, scratch.kt_words, scratch.kk, n_tokens,
                                        n_words);
    lower_product<Arch, T, C, Products>(scratch.qt_words, scratch.kt_words, scratch.qk, n_tokens,
                                        n_words);
}

/// e^{G_i}, e^{G_C - G_i} with their factors, e^{G_C}.
template <class Arch, class T, index_t C, class Products>
void chunk_decays(index_t n_tokens, index_t d_k, T scale,
                  const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    T before = T(0);  // log decay from the start of the chunk to token i, i included
    T after = T(0);   // from behind token i to the end of the chunk
    for (index_t i = 0; i < n_tokens; ++i) scratch.read_q[i] = before += scratch.gate_log[i];
    for (index_t i = n_tokens - 1; i >= 0; --i) {
        scratch.write[i] = after;
        after += scratch.gate_log[i];
    }
    for (index_t i = n_tokens; i < C; ++i) scratch.read_q[i] = scratch.write[i] = T(0);
    for (index_t i = 0; i < n_tokens; i += lanes<Arch, T>) {
        const Batch decay = xsimd::exp(Batch::load_aligned(scratch.read_q + i));
        (-(Batch::load_aligned(scratch.beta + i) * decay)).store_aligned(scratch.read_k + i);
        (Batch(scale) * decay).store_aligned(scratch.read_q + i);
        xsimd::exp(Batch::load_aligned(scratch.write + i)).store_aligned(scratch.write + i);
    }
    const Batch total = xsimd::exp(Batch(before));
    for_each_vector<Arch, T>(
        d_k, [&](index_t d, auto count) noexcept { store<Arch>(scratch.total + d, total, count); });
}

/// decay_log, beta [C] with strides -> the gates of the scratch.
template <class Arch, class T, index_t C, class Products>
void chunk_gate(const T* decay_log, index_t decay_stride, const T* beta, index_t beta_stride,
                index_t n_tokens, index_t d_k, T scale,
                const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    for (index_t i = 0; i < C; ++i) {
        scratch.gate_log[i] = i < n_tokens ? decay_log[i * decay_stride] : T(0);
        scratch.beta[i] = i < n_tokens ? beta[i * beta_stride] : T(0);
        scratch.position[i] = static_cast<T>(i);
    }
    alignas(64) T log_decay[static_cast<std::size_t>(C)] =
        {};  // row i of D: D[i, j] = D[i - 1, j] + g_i for j < i, D[i, i] = 0
    const Batch zero(T(0));
    for (index_t i = 0; i < n_tokens; ++i) {
        const Batch here(static_cast<T>(i));
        const Batch gate(scratch.gate_log[i]);
        const Batch factor_a(-scratch.beta[i]);
        const Batch factor_p(scale);
        T* const a_row = scratch.minus_a + i * C;
        T* const p_row = scratch.p + i * C;
        index_t j = 0;
        for (; j <= i; j += lanes<Arch, T>) {
            const auto is_past = Batch::load_aligned(scratch.position + j) < here;
            const auto is_here = Batch::load_aligned(scratch.position + j) == here;
            const Batch sum =
                xsimd::select(is_past, Batch::load_aligned(log_decay + j) + gate, zero);
            sum.store_aligned(log_decay + j);
            const Batch decay = xsimd::exp(sum);
            const Batch kk = Batch::load_aligned(scratch.kk + i * C + j);
            const Batch qk = Batch::load_aligned(scratch.qk + i * C + j);
            xsimd::select(is_past, factor_a * decay * kk, zero).store_aligned(a_row + j);
            xsimd::select(is_past || is_here, factor_p * decay * qk, zero).store_aligned(p_row + j);
        }
        for (; j < C; j += lanes<Arch, T>) {
            zero.store_aligned(a_row + j);
            zero.store_aligned(p_row + j);
        }
        if constexpr (Products::depth == 2)
            pack_neighbours<Arch>(p_row, scratch.p_words + i * scratch.words(C), C);
    }
    chunk_decays<Arch>(n_tokens, d_k, scale, scratch);
}

}  // namespace deltanet::cpu::kernels
