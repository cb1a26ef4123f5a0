// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Causal depthwise convolution with state, then SiLU: the short convolution in front of the delta
/// rule (Gated DeltaNet, arXiv 2412.06464, section 3.4). For channel c and the tokens t of a
/// sequence
///   y[t, c] = silu( bias[c] + sum_i weight[c, i] u[t - (W - 1) + i, c] )
/// where u[t] is input row t for t >= 0 and a row of the state before that. Tap W - 1 multiplies
/// the current token. The state keeps the last W - 1 raw inputs, oldest first.
#pragma once

#include <deltanet/sequence.hpp>
#include <deltanet/views.hpp>

namespace deltanet {

template <class T>
struct Conv1dArgs {
    View<const T, 3> input;   ///< [n_tokens, groups, C / groups]; channel c is (c / (C / groups), c
                              ///< mod (C / groups))
    View<const T, 2> weight;  ///< [C, W], W from 2 to 8, any strides
    View<const T, 1> bias{};  ///< [C], or empty for none
    View<T, 3> state;         ///< [n_slots, W - 1, C], read and written; oldest first
    View<T, 2> output;        ///< [n_tokens, C]
    std::span<const SequenceSpan> sequences;
    bool silu = true;  ///< false: the bare convolution
};

/// Runs the convolution of every sequence and leaves its slot's state after its last token. Input
/// and output rows that no sequence names are not touched. Innermost strides of input, state and
/// output are 1; the three do not overlap. Linear in tokens x channels x W. Throws `Error`; a call
/// that throws has written nothing. Calls on distinct outputs and slots may run at the same time.
template <class Backend, class T>
void conv1d(Backend& backend, const Conv1dArgs<T>& args) {
    const char* const where = "conv1d";
    const index_t n_tokens = args.input.size(0);
    const index_t channels = args.input.size(1) * args.input.size(2);
    const index_t width = args.weight.size(1);
    if (width < 2 || width > 8) detail::fail(where, "weight", "2 to 8 taps", detail::concat(width));
    detail::check_tensor(where, "input", args.input, args.input.shape());
    detail::check_shape(where, "weight", args.weight, {channels, width});
    if (args.bias.data() != nullptr) detail::check_shape(where, "bias", args.bias, {channels});
    detail::check_tensor(where, "state", args.state, {args.state.size(0), width - 1, channels});
    detail::check_tensor(where, "output", args.output, {n_tokens, channels});
    detail::check_disjoint(where, "state", args.state, "output", args.output);
    const auto check_apart = [&](const auto& input, const char* name) {
        detail::check_disjoint(where, "output", args.output, name, input);
        detail::check_disjoint(where, "state", args.state, name, input);
    };
    check_apart(args.input, "input");
    check_apart(args.weight, "weight");
    if (args.bias.data() != nullptr) check_apart(args.bias, "bias");
    detail::check_sequences(where, args.sequences, n_tokens, args.state.size(0));
    backend.conv1d(args);
}

}  // namespace deltanet
