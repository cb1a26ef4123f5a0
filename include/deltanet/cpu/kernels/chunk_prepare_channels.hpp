// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What chunk_prepare.hpp computes, for a decay per key channel: e^{G_i} is then a vector of d_k,
/// and moves into the keys and queries (Kimi Delta Attention, arXiv 2510.26692, section 4):
///   -A_ij = -beta_i k_i . (e^{G_i - G_j} k_j)  (j < i, else 0)
///   P_ij  = scale q_i . (e^{G_i - G_j} k_j)    (j <= i, else 0)
///   e^{G_i} k_i,  e^{G_i} q_i,  e^{G_C - G_i} k_i,  e^{G_C}
/// Keys decay as the tokens go by: w_j is multiplied by e^{g_i} for every i behind j, and is e^{G_i
/// - G_j} k_j on its way and the key to write with at the end. So a token needs d_k exponentials
/// whatever the chunk, no exponent is ever positive, and no large sums are subtracted. The usual
/// form, exponentials of all pairs, would need C / 2 times as many.
#pragma once

#include <deltanet/cpu/kernels/chunk_prepare.hpp>

namespace deltanet::cpu::kernels {

/// Token i: the keys before it decay, and it is multiplied with them.
template <class Arch, class T, index_t C, class Products>
void chunk_decayed_products(const T* k, const T* q, index_t i, index_t d_k, T beta, T scale,
                            const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    const T* const decay = scratch.decay;
    for (index_t j = 0; j < i; ++j) {
        T* const w = scratch.write_keys + j * scratch.write_stride(d_k);
        Batch kw(T(0));
        Batch qw(T(0));
        for_each_vector<Arch, T>(d_k, [&](index_t d, auto count) noexcept {
            const Batch decayed = load<Arch>(w + d, count) * load<Arch>(decay + d, count);
            store<Arch>(w + d, decayed, count);
            kw = compat::fma(load<Arch>(k + d, count), decayed, kw);
            qw = compat::fma(load<Arch>(q + d, count), decayed, qw);
        });
        scratch.minus_a[i * C + j] = -beta * compat::reduce_add(kw);
        scratch.p[i * C + j] = scale * compat::reduce_add(qw);
    }
    copy<Arch>(k, scratch.write_keys + i * scratch.write_stride(d_k), d_k);
    fill_zero<Arch>(scratch.minus_a + i * C + i, C - i);
    fill_zero<Arch>(scratch.p + i * C + i, C - i);
    scratch.p[i * C + i] = scale * dot<Arch>(k, q, d_k);
}

/// k, q, decay_log [C, d_k] with token strides, beta [C] -> keys and gates of the scratch.
template <class Arch, class T, index_t C, class Products>
void chunk_channels(const T* k, index_t k_stride, const T* q, index_t q_stride, const T* decay_log,
                    index_t decay_stride, const T* beta, index_t beta_stride, index_t n_tokens,
                    index_t d_k, T scale,
                    const ChunkScratch<Arch, T, C, Products>& scratch) noexcept {
    for_each_vector<Arch, T>(d_k, [&](index_t d, auto count) noexcept {
        store<Arch>(scratch.total + d, xsimd::batch<T, Arch>(T(1)), count);
    });
    for (index_t i = 0; i < n_tokens; ++i) {
        const T* const k_i = k + i * k_stride;
        const T* const q_i = q + i * q_stride;
        const T* const g = decay_log + i * decay_stride;
        const index_t row = i * scratch.write_stride(d_k);
        for_each_vector<Arch, T>(d_k, [&](index_t d, auto count) noexcept {
            const auto decay = cpu::exp(load<Arch>(g + d, count));
            const auto total = load<Arch>(scratch.total + d, count) * decay;
            store<Arch>(scratch.decay + d, decay, count);
            store<Arch>(scratch.total + d, total, count);
            store<Arch>(scratch.read_keys + row + d, total * load<Arch>(k_i + d, count), count);
            store<Arch>(scratch.read_queries + row + d, total * load<Arch>(q_i + d, count), count);
        });
        const T beta_i = beta[i * beta_stride];
        scratch.beta[i] = beta_i;
        scratch.read_k[i] = -beta_i;
        scratch.read_q[i] = scale;
        scratch.write[i] = T(1);
        chunk_decayed_products(k_i, q_i, i, d_k, beta_i, scale, scratch);
        if constexpr (Products::depth == 2)
            pack_neighbours<Arch>(scratch.p + i * C, scratch.p_words + i * scratch.words(C), C, C);
    }
    if constexpr (Products::depth == 2) {
        const index_t stride = scratch.write_stride(d_k);
        const index_t row_words = scratch.row_words(d_k);
        chunk_read_rows<Products, Arch>(scratch.read_keys, stride, scratch.k_words, row_words,
                                        n_tokens, d_k);
        chunk_read_rows<Products, Arch>(scratch.read_queries, stride, scratch.q_words, row_words,
                                        n_tokens, d_k);
        pack_rows<Arch>(scratch.write_keys, stride, scratch.write_words, stride, n_tokens, d_k);
    }
}

}  // namespace deltanet::cpu::kernels
