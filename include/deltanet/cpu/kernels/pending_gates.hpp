// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What delta_pending.hpp needs before the state is touched: products of keys and queries, per key
/// head, and with the decays of a value head
///   a_ij = -e^{D_ij} k_i.k_j      p_ij = e^{D_ij} q_i.k_j      read_i = e^{G_i}
/// for tokens i and what they follow, 0 for what they do not. Tokens may form a tree. Every
/// exponent is a sum of log decays, none a difference.
#pragma once

#include <deltanet/cpu/scratch.hpp>
#include <deltanet/cpu/simd.hpp>
#include <deltanet/cpu/tuning.hpp>
#include <deltanet/pending_step.hpp>

#include <limits>

namespace deltanet::cpu::kernels {

/// Memory of one worker, as arrays inside one block that is aligned to 64 bytes, and the numbers of
/// the sequence at hand.
template <class Arch, class T>
struct PendingScratch {
    static constexpr index_t cols = tuning::recurrent_batches<Arch> * lanes<Arch, T>;

    T* kq;          ///< [2, n_tokens, d_k]: keys, then queries
    T* kk;          ///< [n_tokens, kMaxPending]
    T* qk;          ///< [n_tokens, kMaxPending]
    T* log_decay;   ///< [1 + n_tokens, kMaxPending]: D, row 0 for the token before the first; -inf
                    ///< where it is not defined
    T* log_total;   ///< [1 + n_tokens]: G
    T* a;           ///< [n_tokens, kMaxPending]
    T* p;           ///< [n_tokens, kMaxPending]
    T* read;        ///< [n_tokens]
    T* fold;        ///< [n_folded]: e^{G_n - G_{j+1}}
    T* fold_total;  ///< [1]: e^{G_n}
    T* weighted_u;  ///< [n_folded, cols]
    T* panel;       ///< [d_k, cols]
    T* reads;       ///< [2, n_tokens, cols]
    index_t n_before;  ///< updates that the first token finds pending
    index_t n_folded;
    index_t n_tokens;

    [[nodiscard]] static constexpr index_t bytes(index_t d_k) noexcept {
        PendingScratch none{};
        return none.carve(nullptr, d_k);
    }

    /// Points into `memory`; returns the bytes taken, a multiple of 64.
    constexpr index_t carve(T* memory, index_t d_k) noexcept {
        ScratchCarver<T> carver(memory);
        kq = carver.take(2 * kMaxPending * d_k);
        for (T** square : {&kk, &qk, &a, &p}) *square = carver.take(kMaxPending * kMaxPending);
        log_decay = carver.take((1 + kMaxPending) * kMaxPending);
        log_total = carver.take(1 + kMaxPending);
        read = carver.take(kMaxPending);
        fold = carver.take(kMaxPending);
        fold_total = carver.take(1);
        weighted_u = carver.take(kMaxPending * cols);
        panel = carver.take(d_k * cols);
        reads = carver.take(2 * kMaxPending * cols);
        return carver.bytes();
    }
};

/// k, q [n_tokens, d_k] and pending keys [n_before, d_k] with strides -> kq, kk, qk.
template <class Arch, class T>
void pending_pack(const T* k, index_t k_stride, const T* q, index_t q_stride, const T* pending_k,
                  index_t pending_stride, index_t d_k,
                  const PendingScratch<Arch, T>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    const index_t n = scratch.n_before;
    for (index_t i = 0; i < scratch.n_tokens; ++i) {
        copy<Arch>(k + i * k_stride, scratch.kq + i * d_k, d_k);
        copy<Arch>(q + i * q_stride, scratch.kq + (scratch.n_tokens + i) * d_k, d_k);
    }
    for (index_t i = 0; i < scratch.n_tokens; ++i) {
        const T* const k_i = scratch.kq + i * d_k;
        const T* const q_i = scratch.kq + (scratch.n_tokens + i) * d_k;
        for (index_t j = 0; j <= n + i; ++j) {
            const T* const k_j =
                j < n ? pending_k + j * pending_stride : scratch.kq + (j - n) * d_k;
            Batch kk(T(0));
            Batch qk(T(0));
            for_each_vector<Arch, T>(d_k, [&](index_t d, auto count) noexcept {
                const Batch key = load<Arch>(k_j + d, count);
                kk = compat::fma(load<Arch>(k_i + d, count), key, kk);
                qk = compat::fma(load<Arch>(q_i + d, count), key, qk);
            });
            scratch.kk[i * kMaxPending + j] = compat::reduce_add(kk);
            scratch.qk[i * kMaxPending + j] = compat::reduce_add(qk);
        }
    }
}

/// The decays of one value head; parents null for a chain. pending_log: of the updates before the
/// step, those that are folded or those that stay.
template <class Arch, class T>
void pending_gates(const T* pending_log, index_t pending_stride, const T* decay_log,
                   index_t decay_stride, const index_t* parents,
                   const PendingScratch<Arch, T>& scratch) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    const index_t n = scratch.n_before, n_pending = n + scratch.n_folded;
    constexpr T never = -std::numeric_limits<T>::infinity();
    for (index_t j = 0; j < kMaxPending; ++j) scratch.log_decay[j] = never;
    T after = T(0);
    for (index_t j = n_pending - 1; j >= 0; --j) {
        scratch.log_decay[j] = after;
        after += pending_log[j * pending_stride];
    }
    scratch.log_total[0] = after;
    if (scratch.n_folded > 0) {
        for (index_t j = 0; j < n_pending; j += lanes<Arch, T>)
            cpu::exp(Batch::load_aligned(scratch.log_decay + j)).store_aligned(scratch.fold + j);
        alignas(64) T total[Batch::size];
        cpu::exp(Batch(after)).store_aligned(total);
        scratch.fold_total[0] = total[0];
        for (index_t j = 0; j < n_pending; ++j) scratch.log_decay[j] = never;
        scratch.log_total[0] = T(0);
    }
    const index_t n_all = n + scratch.n_tokens;
    for (index_t i = 0; i < scratch.n_tokens; ++i) {
        const index_t before = parents == nullptr ? i : parents[i] + 1;  // its row
        const T gate = decay_log[i * decay_stride];
        T* const row = scratch.log_decay + (i + 1) * kMaxPending;
        const T* const from = scratch.log_decay + before * kMaxPending;
        for (index_t j = 0; j < n_all; j += lanes<Arch, T>)
            (Batch::load_aligned(from + j) + Batch(gate)).store_aligned(row + j);
        row[n + i] = T(0);
        scratch.log_total[i + 1] = scratch.log_total[before] + gate;
        T* const a = scratch.a + i * kMaxPending;
        T* const p = scratch.p + i * kMaxPending;
        for (index_t j = 0; j <= n + i; j += lanes<Arch, T>) {
            const Batch decay = cpu::exp(Batch::load_aligned(row + j));
            const index_t at = i * kMaxPending + j;
            const auto none = decay == Batch(T(0));  // whatever stands there
            xsimd::select(none, Batch(T(0)), -(decay * Batch::load_aligned(scratch.kk + at)))
                .store_aligned(a + j);
            xsimd::select(none, Batch(T(0)), decay * Batch::load_aligned(scratch.qk + at))
                .store_aligned(p + j);
        }
    }
    for (index_t i = 0; i < scratch.n_tokens; i += lanes<Arch, T>) {
        cpu::exp(load<Arch>(scratch.log_total + 1 + i)).store_aligned(scratch.read + i);
    }
}

}  // namespace deltanet::cpu::kernels
