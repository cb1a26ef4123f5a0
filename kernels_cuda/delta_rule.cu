// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The delta rule of a call: which kernel each sequence takes, and the launches of all but the
/// chunked one. Sequences that append become pending, in float32; others have what was pending
/// folded first and then run to a state that is written: long ones in chunks where there is a
/// kernel for their heads, the others token by token. The choice looks at one sequence alone, so
/// that its bits do not depend on the batch around it.
#include "chunked_delta_rule.hpp"
#include "delta_pending.cuh"
#include "delta_recurrent.cuh"
#include "launch.cuh"
#include <deltanet/cuda/ops.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace deltanet::cuda {
namespace {

constexpr const char* kName = "cuda::delta_rule";

/// A sequence of so many tokens is done in chunks. Half a chunk: a guess until there is hardware to
/// measure on (docs/cuda_step.md has the model).
constexpr index_t kChunkedFrom = 32;

template <class S>
struct Type {
    using type = S;
};

/// f(Type<S>{}) with what the state is stored as.
template <class F>
void with_storage(const StateView<float>& state, F&& f) {
    state.visit([&]<class S>(const View<S, 4>&) { f(Type<S>{}); });
}

/// f(integral_constant) with the rows that tiles have for this d_k.
template <class F>
void with_rows(index_t d_k, F&& f) {
    if (d_k <= 64) return f(std::integral_constant<int, 64>{});
    if (d_k <= 128) return f(std::integral_constant<int, 128>{});
    f(std::integral_constant<int, 256>{});
}

void check_sizes(index_t d_k, index_t d_v) {
    if (d_k > kMaxHeadSize || d_v > kMaxHeadSize) {
        detail::fail(kName, d_k > kMaxHeadSize ? "k" : "v",
                     detail::concat("heads of at most ", kMaxHeadSize),
                     detail::concat(std::max(d_k, d_v)));
    }
}

[[nodiscard]] HeadRows head_rows(const View<const float, 3>& view) {
    return {view.data(), view.stride(0), view.stride(1)};
}

/// What concerns the state alone.
[[nodiscard]] DeltaKernelArgs state_args(const StateView<float>& states, HeadMap head_map,
                                         index_t n_heads_k) {
    DeltaKernelArgs args;
    args.states = SlotStates::of(states);
    states.visit([&]<class S>(const View<S, 4>& view) {
        constexpr index_t bytes = kLaneColumns<S> * static_cast<index_t>(sizeof(S));
        args.vector = fits_vectors<bytes>(view.data(), view.stride(0), view.stride(1),
                                          view.stride(2), view.size(3));
    });
    args.n_heads_k = static_cast<std::int32_t>(n_heads_k);
    args.n_heads_v = static_cast<std::int32_t>(states.size(1));
    args.d_k = static_cast<std::int32_t>(states.size(2));
    args.d_v = static_cast<std::int32_t>(states.size(3));
    args.v_blocks = (args.d_v + kBlockColumns - 1) / kBlockColumns;
    args.head_map = head_map;
    return args;
}

[[nodiscard]] DeltaKernelArgs kernel_args(const DeltaRuleArgs<float>& call) {
    DeltaKernelArgs args = state_args(call.state, call.head_map, call.k.size(1));
    args.q = head_rows(call.q);
    args.k = head_rows(call.k);
    args.v = head_rows(call.v);
    args.decay_log = call.decay_log.channels().data();
    args.decay_token = call.decay_log.channels().stride(0);
    args.decay_head = call.decay_log.channels().stride(1);
    args.beta = call.beta.data();
    args.beta_token = call.beta.stride(0);
    args.beta_head = call.beta.stride(1);
    args.output = call.output.data();
    args.output_token = call.output.stride(0);
    args.output_head = call.output.stride(1);
    args.scale = static_cast<float>(
        call.scale != 0.0 ? call.scale : 1.0 / std::sqrt(static_cast<double>(args.d_k)));
    return args;
}

[[nodiscard]] PendingKernelArgs pending_args(const PendingUpdates<float>& pending) {
    PendingKernelArgs args;
    args.k = pending.k.data();
    args.k_slot = pending.k.stride(0);
    args.k_row = pending.k.stride(1);
    args.k_head = pending.k.stride(2);
    args.u = pending.u.data();
    args.u_slot = pending.u.stride(0);
    args.u_row = pending.u.stride(1);
    args.u_head = pending.u.stride(2);
    args.decay_log = pending.decay_log.data();
    args.decay_slot = pending.decay_log.stride(0);
    args.decay_row = pending.decay_log.stride(1);
    args.decay_head = pending.decay_log.stride(2);
    return args;
}

[[nodiscard]] dim3 delta_grid(const SequenceTable& table, const DeltaKernelArgs& args) {
    return {static_cast<unsigned>(args.v_blocks * args.n_heads_v),
            static_cast<unsigned>(table.count)};
}

/// Sequences of a table that fold or append; members empty: none of them is a tree.
void launch_pending(const SequenceTable& table, std::span<const SequenceSpan* const> members,
                    const StateView<float>& states, const DeltaKernelArgs& args,
                    PendingKernelArgs pending, cudaStream_t stream) {
    bool replaces_keys = false;
    for (const SequenceEntry& e : std::span(table.entries, static_cast<std::size_t>(table.count))) {
        const std::int32_t n_tokens = e.appends ? e.n_tokens : 0;
        pending.most_tokens = std::max(pending.most_tokens, n_tokens);
        pending.most_keys = std::max(
            {pending.most_keys, std::int32_t{e.folded}, std::int32_t{e.before} + n_tokens});
        replaces_keys = replaces_keys || (e.appends && e.folded > 0);
    }
    const bool has_trees = std::any_of(members.begin(), members.end(),
                                       [](const SequenceSpan* s) { return !s->parents.empty(); });
    const dim3 threads(kDeltaWarps * lanes_per_warp);
    with_storage(states, [&](auto type) {
        with_rows(args.d_k, [&](auto rows) {
            using S = typename decltype(type)::type;
            constexpr int n_rows = decltype(rows)::value;
            PendingShared<n_rows> shared;
            const index_t bytes = shared.carve(nullptr, pending.most_keys, pending.most_tokens) *
                                  static_cast<index_t>(sizeof(float));
            if (has_trees) {
                launch(delta_pending_trees_kernel<S, n_rows>, delta_grid(table, args), threads,
                       bytes, stream, table, args, pending, trees_of(members));
            } else {
                launch(delta_pending_kernel<S, n_rows>, delta_grid(table, args), threads, bytes,
                       stream, table, args, pending);
            }
        });
    });
    if (replaces_keys) {
        launch(append_keys_kernel,
               dim3(static_cast<unsigned>(args.n_heads_k), static_cast<unsigned>(table.count)),
               threads, 0, stream, table, args, pending);
    }
}

void launch_recurrent(const SequenceTable& table, const StateView<float>& states, bool per_channel,
                      const DeltaKernelArgs& args, cudaStream_t stream) {
    const dim3 threads(kDeltaWarps * lanes_per_warp);
    with_storage(states, [&](auto type) {
        with_rows(args.d_k, [&](auto rows) {
            using S = typename decltype(type)::type;
            constexpr int n_rows = decltype(rows)::value;
            const auto kernel = per_channel ? delta_recurrent_kernel<S, n_rows, true>
                                            : delta_recurrent_kernel<S, n_rows, false>;
            launch(kernel, delta_grid(table, args), threads, 0, stream, table, args);
        });
    });
}

enum class Form : std::uint8_t { nothing, recurrent, chunked };

/// What runs the tokens that do not become pending. Padding is recurrent: its outputs become 0.
[[nodiscard]] Form form_of(const SequenceSpan& s, const DeltaRuleArgs<float>& args) {
    if (is_padding(s)) return s.n_tokens > 0 ? Form::recurrent : Form::nothing;
    if (pending_step(s, args.pending.capacity()).appends) return Form::nothing;
    if (s.n_tokens == 0) return s.start == Start::fresh ? Form::recurrent : Form::nothing;
    const bool is_long = args.mode == ScanMode::chunked ||
                         (args.mode == ScanMode::automatic && s.n_tokens >= kChunkedFrom);
    return is_long && chunked_delta_rule_fits(args) ? Form::chunked : Form::recurrent;
}

/// f(sequences) with those that are done in chunks, as many as a launch takes at a time.
template <class F>
void for_each_chunked(const DeltaRuleArgs<float>& args, const F& f) {
    std::array<SequenceSpan, SequenceTable::kCapacity> group;
    std::size_t n = 0;
    for (const SequenceSpan& s : args.sequences) {
        if (form_of(s, args) != Form::chunked) continue;
        group[n++] = s;
        if (n == group.size()) {
            f(std::span<const SequenceSpan>(group));
            n = 0;
        }
    }
    if (n > 0) f(std::span<const SequenceSpan>(group).first(n));
}

}  // namespace

index_t delta_rule_scratch_bytes(const DeltaRuleArgs<float>& args) {
    index_t bytes = 0;
    for_each_chunked(args, [&](std::span<const SequenceSpan> sequences) {
        bytes = std::max(bytes, chunked_scratch_bytes(args, sequences));
    });
    return bytes;
}

index_t delta_rule_scratch_bytes(index_t d_k, index_t d_v, index_t heads_per_group) {
    return chunked_scratch_bytes(d_k, d_v, heads_per_group);
}

void delta_rule(const DeltaRuleArgs<float>& args, std::span<std::byte> scratch,
                cudaStream_t stream) {
    check_sizes(args.k.size(2), args.v.size(2));
    const index_t capacity = args.pending.capacity();
    const DeltaKernelArgs delta = kernel_args(args);
    if (delta.d_v == 0) return;
    for_each_table(
        args.sequences, capacity,
        [&](const SequenceSpan& s) {
            const PendingStep step = pending_step(s, capacity);
            return step.appends || step.folded > 0 ? 1 : 0;
        },
        [&](const SequenceTable& table, std::span<const SequenceSpan* const> members) {
            launch_pending(table, members, args.state, delta, pending_args(args.pending), stream);
        });
    for_each_table(
        args.sequences, capacity,
        [&](const SequenceSpan& s) { return form_of(s, args) == Form::recurrent ? 1 : 0; },
        [&](const SequenceTable& table, std::span<const SequenceSpan* const>) {
            launch_recurrent(table, args.state, args.decay_log.per_channel(), delta, stream);
        });
    for_each_chunked(args, [&](std::span<const SequenceSpan> sequences) {
        chunked_delta_rule(args, sequences, scratch, stream);
    });
}

void fold_pending(const StateView<float>& states, const PendingUpdates<float>& pending,
                  HeadMap head_map, index_t slot, index_t n, cudaStream_t stream) {
    check_sizes(states.size(2), states.size(3));
    if (n == 0 || states.size(3) == 0) return;
    SequenceTable table;
    table.count = 1;
    table.entries[0].slot = static_cast<std::int32_t>(slot);
    table.entries[0].folded = static_cast<std::uint8_t>(n);
    launch_pending(table, {}, states, state_args(states, head_map, pending.k.size(2)),
                   pending_args(pending), stream);
}

}  // namespace deltanet::cuda
