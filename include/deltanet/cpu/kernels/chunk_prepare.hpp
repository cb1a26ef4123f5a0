// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a chunk of C tokens needs before its state is touched. Per key head, shared by its value
/// heads:
///   kk_ij = k_i . k_j  (j < i)        qk_ij = q_i . k_j  (j <= i)
/// and per value head, with D_ij the sum of the log decays of tokens j + 1 to i and G_i that of 1
/// to i:
///   -A_ij = -beta_i e^{D_ij} kk_ij  (j < i, else 0)      P_ij = scale e^{D_ij} qk_ij  (j <= i,
///   else 0) e^{G_i},  e^{G_C - G_i},  e^{G_C}
/// All of these powers are products of the tokens' own decays e^g, at most 1 each: one exponential
/// a token, none of a positive number, and no difference of two sums, which with decays of -3000
/// among tiny ones is wrong by 1e-4. All gate arithmetic of the chunked form is here and, for
/// decays per key channel, in chunk_prepare_channels.hpp.
#pragma once

#include <deltanet/cpu/kernels/chunk_scratch.hpp>
#include <deltanet/cpu/kernels/lower_dots.hpp>

namespace deltanet::cpu::kernels {

/// k [n_tokens, d_k] with a token stride -> dense rows of words, zeros up to a whole line.
template <class Products, class Arch, class T>
DELTANET_KERNEL void chunk_read_rows(const T* k, index_t k_stride, T* words, index_t row_words,
                                     index_t n_tokens, index_t d_k) noexcept {
    for (index_t i = 0; i < n_tokens; ++i, k += k_stride, words += row_words) {
        if constexpr (Products::depth == 2) {
            pack_neighbours<Arch>(k, words, d_k, 2 * row_words);
        } else {
            for (index_t d = 0; d < row_words; d += lanes<Arch, T>)
                load<Arch>(k + d, d_k - d).store_aligned(words + d);
        }
    }
}

/// k, q [C, d_k] with token strides -> all words of the scratch, kk, qk.
template <class Arch, class T, index_t C, class Products>
void chunk_products(const T* k, index_t k_stride, const T* q, index_t q_stride, index_t n_tokens,
                    index_t d_k, const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    const index_t row_words = scratch.row_words(d_k);
    chunk_read_rows<Products, Arch>(k, k_stride, scratch.k_words, row_words, n_tokens, d_k);
    chunk_read_rows<Products, Arch>(q, q_stride, scratch.q_words, row_words, n_tokens, d_k);
    if constexpr (Products::depth == 2) {
        pack_rows<Arch>(k, k_stride, scratch.write_words, scratch.write_stride(d_k), n_tokens, d_k);
    }
    lower_dots<Arch, T, C, Products>(scratch.k_words, scratch.k_words, row_words, scratch.kk,
                                     n_tokens, row_words);
    lower_dots<Arch, T, C, Products>(scratch.q_words, scratch.k_words, row_words, scratch.qk,
                                     n_tokens, row_words);
}

/// 0, 1, 2, ... N - 1.
template <class Arch, class T, index_t N>
struct Ascending {
    constexpr Ascending() noexcept {
        for (index_t i = 0; i < N; ++i) values[i] = static_cast<T>(i);
    }
    alignas(64) T values[static_cast<std::size_t>(N)] = {};
};
template <class Arch, class T, index_t N>
inline constexpr Ascending<Arch, T, N> ascending{};

/// Rows of A and P, columns [j, j + lanes), of which those above row j are 0; with j = 0 also the
/// factors of what is read, and with any those of what is written.
template <class Arch, class T, index_t C, class Products>
DELTANET_FORCE_INLINE void chunk_gate_columns(
    index_t j, index_t n_tokens, T scale,
    const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    const Batch zero(T(0));
    const Batch one(T(1));
    const Batch columns = Batch::load_aligned(ascending<Arch, T, C>.values + j);
    for (index_t i = 0; i < least(j, n_tokens); ++i) {
        zero.store_aligned(scratch.minus_a + i * C + j);
        zero.store_aligned(scratch.p + i * C + j);
    }
    Batch decay = one;  // e^{D_ij} = e^{D_(i - 1) j} e^{g_i} for j < i, 1 for j = i
    for (index_t i = j; i < n_tokens; ++i) {
        const Batch here(static_cast<T>(i));
        const auto is_past = columns < here;
        decay = xsimd::select(is_past, decay * Batch(scratch.decay_of[i]), one);
        const Batch kk = Batch::load_aligned(scratch.kk + i * C + j);
        const Batch qk = Batch::load_aligned(scratch.qk + i * C + j);
        const Batch a = Batch(-scratch.beta[i]) * (decay * kk);
        const Batch p = Batch(scale) * (decay * qk);
        xsimd::select(is_past, a, zero).store_aligned(scratch.minus_a + i * C + j);
        xsimd::select(columns <= here, p, zero).store_aligned(scratch.p + i * C + j);
        if (j == 0) {
            const T read = scratch.decay_of[0] * first_lane(decay);  // e^{G_i}
            scratch.read_k[i] = -scratch.beta[i] * read;
            scratch.read_q[i] = scale * read;
        }
    }
    decay.store_aligned(scratch.write + j);  // e^{G_C - G_j}
}

/// decay_log, beta [C] with strides -> the gates of the scratch.
template <class Arch, class T, index_t C, class Products>
DELTANET_KERNEL void chunk_gate(const T* decay_log, index_t decay_stride, const T* beta,
                                index_t beta_stride, index_t n_tokens, index_t d_k, T scale,
                                const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    for (index_t i = 0; i < n_tokens; ++i) {
        scratch.decay_of[i] = decay_log[i * decay_stride];
        scratch.beta[i] = beta[i * beta_stride];
    }
    for (index_t i = 0; i < n_tokens; i += lanes<Arch, T>)
        cpu::exp(Batch::load_aligned(scratch.decay_of + i)).store_aligned(scratch.decay_of + i);
    for (index_t j = 0; j < n_tokens; j += lanes<Arch, T>)
        chunk_gate_columns(j, n_tokens, scale, scratch);
    const Batch total(scratch.decay_of[0] * scratch.write[0]);  // e^{G_C}
    for_each_vector<Arch, T>(
        d_k, [&](index_t d, auto count) noexcept { store<Arch>(scratch.total + d, total, count); });
    // What is behind the last token is multiplied by zeros, where it is multiplied.
    for (index_t j = whole_vectors<Arch, T>(n_tokens); j < C; j += lanes<Arch, T>) {
        for (index_t i = 0; i < n_tokens; ++i) {
            Batch(T(0)).store_aligned(scratch.minus_a + i * C + j);
            Batch(T(0)).store_aligned(scratch.p + i * C + j);
        }
    }
    if constexpr (Products::depth == 2) {
        for (index_t i = 0; i < n_tokens; ++i)
            pack_neighbours<Arch>(scratch.p + i * C, scratch.p_words + i * scratch.words(C), C, C);
    }
}

}  // namespace deltanet::cpu::kernels
