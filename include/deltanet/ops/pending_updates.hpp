// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Updates of a recurrent state that were computed but not written into it. A slot with n of them
/// stands for the state
///   e^{G_n} S + sum_{j < n} e^{G_n - G_{j+1}} k_j u_j^T,   G_i = g_0 + ... + g_{i-1}
/// where S is what is stored, k_j a token's key, u_j what the delta rule writes for it (not v_j)
/// and g_j its log decay. Dropping the last m of them takes the last m tokens back. A short step
/// reads S once for all of its tokens, appends them and writes nothing else.
#pragma once

#include <deltanet/layer_config.hpp>
#include <deltanet/ops/state_view.hpp>
#include <deltanet/pending_step.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace deltanet {

/// Where the updates of every slot are: rows 0 to n - 1 of a slot, oldest first. No data: states
/// are written by every call.
template <class T>
struct PendingUpdates {
    View<T, 4> k;          ///< [n_slots, R, H_k, d_k]
    View<T, 4> u;          ///< [n_slots, R, H_v, d_v]
    View<T, 3> decay_log;  ///< [n_slots, R, H_v]

    /// R.
    [[nodiscard]] constexpr index_t capacity() const noexcept { return k.size(1); }
};

namespace detail {

/// What sequences say about pending updates fits a capacity of R.
inline void check_pending_counts(const char* where, std::span<const SequenceSpan> sequences,
                                 index_t capacity) {
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        const SequenceSpan& s = sequences[i];
        if (s.pending < 0 || s.pending > capacity) {
            fail(where, concat("sequences[", i, "].pending"), concat("0 to ", capacity),
                 concat(s.pending));
        }
        if (!s.parents.empty() && s.n_tokens > capacity) {
            fail(where, concat("sequences[", i, "].parents"),
                 concat("a tree of at most ", capacity, " tokens, as many as can be pending"),
                 concat(s.n_tokens));
        }
    }
}

/// Makes the keys and decays of a sequence's tokens pending; the last thing of a call, since what
/// they replace may be read until then. k [n_tokens, H_k, d_k], decay_log [n_tokens, H_v].
template <class T>
void append_keys(const PendingUpdates<T>& pending, const SequenceSpan& sequence,
                 const View<const T, 3>& k, const View<const T, 2>& decay_log) noexcept {
    const PendingStep step = pending_step(sequence, pending.capacity());
    if (!step.appends) return;
    for (index_t t = 0; t < sequence.n_tokens; ++t) {
        const index_t token = sequence.first_token + t;
        for (index_t h = 0; h < k.size(1); ++h) {
            const T* const from = k.ptr(token, h);
            std::copy(from, from + k.size(2), pending.k.ptr(sequence.slot, step.before + t, h));
        }
        for (index_t h = 0; h < decay_log.size(1); ++h)
            pending.decay_log(sequence.slot, step.before + t, h) = decay_log(token, h);
    }
}

/// f(h, i, j, element) over the state that the dense state in `slot` and its first `n` pending
/// updates stand for. Sums in double, plain loops.
template <class T, class F>
void for_each_logical_element(const StateView<T>& states, const PendingUpdates<T>& pending,
                              HeadMap head_map, index_t slot, index_t n, F&& f) {
    const index_t n_heads_v = states.size(1);
    const index_t n_heads_k = n == 0 ? 1 : pending.k.size(2);
    double weights[kMaxPending];  // e^{G_n - G_{p+1}}
    double total = 1.0;
    for_each_element(states, slot, [&](index_t h, index_t i, index_t j, double element) {
        if (i == 0 && j == 0) {
            double after = 0.0;
            for (index_t p = n - 1; p >= 0; --p) {
                weights[p] = std::exp(after);
                after += static_cast<double>(pending.decay_log(slot, p, h));
            }
            total = std::exp(after);
        }
        const index_t h_k = key_head_of(head_map, h, n_heads_k, n_heads_v);
        double sum = total * element;
        for (index_t p = 0; p < n; ++p) {
            sum += weights[p] * static_cast<double>(pending.k(slot, p, h_k, i)) *
                   static_cast<double>(pending.u(slot, p, h, j));
        }
        f(h, i, j, sum);
    });
}

/// Writes the state that the dense state in `slot` and its first `n` pending updates stand for into
/// a slot of the same states or of others, of whatever type.
template <class T>
void fold_into_state(const StateView<T>& states, const PendingUpdates<T>& pending, HeadMap head_map,
                     index_t slot, index_t n, const StateView<T>& to, index_t to_slot) {
    std::vector<double> values;
    values.reserve(static_cast<std::size_t>(states.size(1) * states.size(2) * states.size(3)));
    for_each_logical_element(
        states, pending, head_map, slot, n,
        [&](index_t, index_t, index_t, double value) { values.push_back(value); });
    store_elements(to, to_slot, [&](index_t h, index_t i, index_t j) {
        return values[static_cast<std::size_t>((h * states.size(2) + i) * states.size(3) + j)];
    });
}

}  // namespace detail
}  // namespace deltanet
