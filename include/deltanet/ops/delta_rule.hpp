// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The gated delta rule (Gated DeltaNet, arXiv 2412.06464, equation 10). Per value head, with state
/// S [d_k, d_v] and the key head that the head map assigns:
///   S~  = exp(decay_log_t) S_{t-1}             decay
///   u_t = beta_t (v_t - S~^T k_t)              what the state gets wrong about k_t
///   S_t = S~ + k_t u_t^T                       write
///   o_t = scale S_t^T q_t                      read, after the write
/// With a decay per key channel (Kimi Delta Attention, arXiv 2510.26692, section 3)
/// exp(decay_log_t) is a vector of d_k, and row i of the state decays with its own element. The
/// recurrent form does this token by token; the chunked form solves C tokens at a time (arXiv
/// 2412.06464, section 3.3) and agrees with it to rounding. Stable while beta |k|^2 < 2: normalise
/// k.
#pragma once

#include <deltanet/layer_config.hpp>
#include <deltanet/ops/decay_view.hpp>
#include <deltanet/ops/pending_updates.hpp>
#include <deltanet/ops/state_view.hpp>
#include <deltanet/sequence.hpp>
#include <deltanet/views.hpp>

namespace deltanet {

template <class T>
struct DeltaRuleArgs {
    View<const T, 3> q;      ///< [n_tokens, H_k, d_k], L2-normalised
    View<const T, 3> k;      ///< [n_tokens, H_k, d_k], L2-normalised
    View<const T, 3> v;      ///< [n_tokens, H_v, d_v]
    DecayView<T> decay_log;  ///< [n_tokens, H_v] of any strides or [n_tokens, H_v, d_k], natural
                             ///< logarithm of the decay, <= 0
    View<const T, 2> beta;   ///< [n_tokens, H_v], linear, after the sigmoid; any strides
    StateView<T> state;      ///< [n_slots, H_v, d_k, d_v], read and written; also bf16, f16, i8
    View<T, 3> output;       ///< [n_tokens, H_v, d_v]
    std::span<const SequenceSpan> sequences;
    HeadMap head_map = HeadMap::grouped;
    double scale = 0.0;  ///< of q; 0 means d_k^(-1/2)
    ScanMode mode = ScanMode::automatic;
    ScanCompute compute = ScanCompute::f32;
    PendingUpdates<T> pending{};  ///< read, appended to and folded; no data: there are none
};

namespace detail {
template <class T>
void check_pending(const char* where, const DeltaRuleArgs<T>& args) {
    const PendingUpdates<T>& pending = args.pending;
    const index_t capacity = pending.capacity();
    check_pending_counts(where, args.sequences, capacity);
    if (capacity == 0) return;
    if (capacity > kMaxPending) {
        fail(where, "pending.k", concat("at most ", kMaxPending, " updates a slot"),
             concat(capacity));
    }
    if (args.decay_log.per_channel()) {
        fail(where, "decay_log", "one decay per value head, for updates that stay pending",
             "one per key channel");
    }
    const index_t n_slots = args.state.size(0), n_heads_v = args.v.size(1);
    check_tensor(where, "pending.k", pending.k,
                 {n_slots, capacity, args.k.size(1), args.k.size(2)});
    check_tensor(where, "pending.u", pending.u, {n_slots, capacity, n_heads_v, args.v.size(2)});
    check_tensor(where, "pending.decay_log", pending.decay_log, {n_slots, capacity, n_heads_v});
    const auto apart = [&](const auto& view, const char* name) {
        check_disjoint(where, name, view, "output", args.output);
        check_disjoint(where, name, view, "q", args.q);
        check_disjoint(where, name, view, "k", args.k);
        check_disjoint(where, name, view, "v", args.v);
        check_disjoint(where, name, view, "decay_log", args.decay_log.heads());
        check_disjoint(where, name, view, "beta", args.beta);
    };
    apart(pending.k, "pending.k");
    apart(pending.u, "pending.u");
    apart(pending.decay_log, "pending.decay_log");
}

/// All that the heads take up, also behind what the view shows.
template <class S>
[[nodiscard]] auto whole_heads(const View<S, 4>& state) noexcept {
    if constexpr (std::is_same_v<S, i8>) {
        const index_t bytes = QuantizedHead{state.size(2), state.size(3)}.bytes();
        return View<S, 3>(state.data(), {state.size(0), state.size(1), bytes},
                          {state.stride(0), state.stride(1), 1});
    } else {
        return state;
    }
}

/// Heads of an int8 state are whole blocks, apart from each other.
template <class S>
void check_state_heads(const char* where, const View<S, 4>& state) {
    if constexpr (std::is_same_v<S, i8>) {
        const QuantizedHead head{state.size(2), state.size(3)};
        if (state.stride(2) != head.d_v || state.stride(1) < head.bytes() ||
            state.stride(1) % 4 != 0 || state.stride(0) % 4 != 0) {
            fail(where, "state",
                 concat("int8 heads in blocks of ", head.bytes(), " bytes, multiples of 4 apart"),
                 concat("strides ", shape_text(state.strides())));
        }
    }
}
}  // namespace detail

/// Runs every sequence and leaves its slot's state after its last token. Rows that no sequence
/// names are not touched. Innermost strides of q, k, v, state, output and decays per channel are 1;
/// outputs overlap nothing. 6 d_k d_v flops per token and value head, plus 2 C (d_v + d_k H_k /
/// H_v) in the chunked form. Needs `backend.delta_rule_scratch_bytes(args)` bytes of `scratch`,
/// aligned to 64. Throws `Error`; a call that throws has written nothing. Calls on distinct
/// outputs, slots and scratch may run at the same time.
template <class Backend, class T>
void delta_rule(Backend& backend, const DeltaRuleArgs<T>& args, std::span<std::byte> scratch) {
    const char* const where = "delta_rule";
    const index_t n_tokens = args.k.size(0);
    const index_t n_heads_k = args.k.size(1);
    const index_t d_k = args.k.size(2);
    const index_t n_heads_v = args.v.size(1);
    const index_t d_v = args.v.size(2);
    detail::check_tensor(where, "k", args.k, args.k.shape());
    if (d_k < 1) {
        detail::fail(where, "k", "d_k of at least 1",
                     detail::concat("shape ", detail::shape_text(args.k.shape())));
    }
    detail::check_tensor(where, "q", args.q, {n_tokens, n_heads_k, d_k});
    detail::check_tensor(where, "v", args.v, {n_tokens, n_heads_v, d_v});
    if (n_heads_k == 0 || n_heads_v % n_heads_k != 0) {
        detail::fail(where, "v",
                     detail::concat("a multiple of H_k = ", n_heads_k, " heads (from k)"),
                     detail::concat(n_heads_v, " heads"));
    }
    if (args.decay_log.per_channel()) {
        detail::check_tensor(where, "decay_log", args.decay_log.channels(),
                             {n_tokens, n_heads_v, d_k});
    } else {
        detail::check_shape(where, "decay_log", args.decay_log.heads(), {n_tokens, n_heads_v});
    }
    detail::check_shape(where, "beta", args.beta, {n_tokens, n_heads_v});
    detail::check_tensor(where, "output", args.output, {n_tokens, n_heads_v, d_v});
    args.state.visit([&](const auto& state) {
        detail::check_tensor(where, "state", state, {args.state.size(0), n_heads_v, d_k, d_v});
        detail::check_state_heads(where, state);
        detail::check_disjoint(where, "state", detail::whole_heads(state), "output", args.output);
    });
    const auto check_apart = [&](const auto& input, const char* name) {
        detail::check_disjoint(where, "output", args.output, name, input);
        args.state.visit([&](const auto& state) {
            detail::check_disjoint(where, "state", detail::whole_heads(state), name, input);
        });
    };
    check_apart(args.q, "q");
    check_apart(args.k, "k");
    check_apart(args.v, "v");
    check_apart(args.decay_log.channels(), "decay_log");
    check_apart(args.beta, "beta");
    detail::check_sequences(where, args.sequences, n_tokens, args.state.size(0));
    detail::check_pending(where, args);
    const index_t needed = backend.delta_rule_scratch_bytes(args);
    if (static_cast<index_t>(scratch.size()) < needed) {
        detail::fail(where, "scratch", detail::concat("at least ", needed, " bytes"),
                     detail::concat(scratch.size(), " bytes"));
    }
    if (needed > 0 && reinterpret_cast<std::uintptr_t>(scratch.data()) % 64 != 0) {
        detail::fail(where, "scratch", "an address aligned to 64", "one that is not");
    }
    backend.delta_rule(args, scratch);
}

}  // namespace deltanet
