// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Causal depthwise convolution with state, then SiLU: the short convolution in front of the delta
/// rule (Gated DeltaNet, arXiv 2412.06464, section 3.4). For channel c and the tokens t of a
/// sequence
///   y[t, c] = silu( bias[c] + sum_i weight[c, i] u[t - (W - 1) + i, c] )
/// where u[t] is input row t for t >= 0 and a row of the state before that. Tap W - 1 multiplies
/// the current token. The state keeps the last W - 1 raw inputs, oldest first, and behind them
/// those of up to R tokens that can be taken back: with n updates pending (ops/pending_updates.hpp)
/// a sequence goes on from rows n to n + W - 2. Where the channels are heads of queries or keys,
/// their L2 norm (ops/l2norm.hpp) can be part of the same pass.
#pragma once

#include <deltanet/ops/l2norm.hpp>
#include <deltanet/ops/pending_updates.hpp>
#include <deltanet/sequence.hpp>
#include <deltanet/views.hpp>

#include <optional>

namespace deltanet {

/// An L2 norm of each `d` neighbouring channels.
struct HeadNorm {
    index_t d;
    L2Form form = L2Form::rsqrt;
    double eps = 1e-6;
};

template <class T>
struct Conv1dArgs {
    View<const T, 3> input;   ///< [n_tokens, groups, C / groups]; channel c is (c / (C / groups), c
                              ///< mod (C / groups))
    View<const T, 2> weight;  ///< [C, W], W from 2 to 8, any strides
    View<const T, 1> bias{};  ///< [C], or empty for none
    View<T, 3> state;         ///< [n_slots, W - 1 + R, C], read and written; oldest first
    View<T, 2> output;        ///< [n_tokens, C]
    std::span<const SequenceSpan> sequences;
    bool silu = true;                ///< false: the bare convolution
    std::optional<HeadNorm> norm{};  ///< of the outputs; the same bits as `l2norm` afterwards
    index_t rollback = 0;            ///< R
};

namespace detail {
template <class T>
void check_conv1d(const char* where, const Conv1dArgs<T>& args) {
    const index_t n_tokens = args.input.size(0);
    const index_t channels = args.input.size(1) * args.input.size(2);
    const index_t width = args.weight.size(1);
    if (width < 2 || width > 8) fail(where, "weight", "2 to 8 taps", concat(width));
    check_tensor(where, "input", args.input, args.input.shape());
    check_shape(where, "weight", args.weight, {channels, width});
    if (args.bias.data() != nullptr) check_shape(where, "bias", args.bias, {channels});
    check_tensor(where, "state", args.state,
                 {args.state.size(0), width - 1 + args.rollback, channels});
    check_pending_counts(where, args.sequences, args.rollback);
    check_tensor(where, "output", args.output, {n_tokens, channels});
    if (args.norm && (args.norm->d < 1 || channels % args.norm->d != 0)) {
        fail(where, "norm.d", concat("a divisor of the ", channels, " channels"),
             concat(args.norm->d));
    }
    check_disjoint(where, "state", args.state, "output", args.output);
    const auto check_apart = [&](const auto& input, const char* name) {
        check_disjoint(where, "output", args.output, name, input);
        check_disjoint(where, "state", args.state, name, input);
    };
    check_apart(args.input, "input");
    check_apart(args.weight, "weight");
    if (args.bias.data() != nullptr) check_apart(args.bias, "bias");
    check_sequences(where, args.sequences, n_tokens, args.state.size(0));
}
}  // namespace detail

/// Runs the convolution of every sequence and leaves its slot's state after its last token. Input
/// and output rows that no sequence names are not touched. Innermost strides of input, state and
/// output are 1; the three do not overlap. Linear in tokens x channels x W. Throws `Error`; a call
/// that throws has written nothing. Calls on distinct outputs and slots may run at the same time.
template <class Backend, class T>
void conv1d(Backend& backend, const Conv1dArgs<T>& args) {
    detail::check_conv1d("conv1d", args);
    backend.conv1d(args);
}

}  // namespace deltanet
