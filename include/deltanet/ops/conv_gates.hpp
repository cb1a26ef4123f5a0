// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// All between the projections and the delta rule as one pass with one queue of tasks: the
/// convolutions of q, k and v (ops/conv1d.hpp) with SiLU and, for q and k, the L2 norm of their
/// heads, and the gates (ops/gates.hpp). The same bits as these ops one after the other.
#pragma once

#include <deltanet/ops/conv1d.hpp>
#include <deltanet/ops/gates.hpp>

#include <array>

namespace deltanet {

template <class T>
struct ConvGatesArgs {
    View<const T, 3> q;       ///< [n_tokens, groups, C_q / groups], raw projections
    View<const T, 3> k;       ///< [n_tokens, groups, C_k / groups]
    View<const T, 3> v;       ///< [n_tokens, groups, C_v / groups]
    View<const T, 2> weight;  ///< [C, W], C = C_q + C_k + C_v in this order, W from 2 to 8
    View<const T, 1> bias{};  ///< [C], or empty for none
    View<T, 3> state;         ///< [n_slots, W - 1 + R, C], read and written; oldest first
    View<T, 2> output;        ///< [n_tokens, C]
    std::span<const SequenceSpan> sequences;
    std::optional<HeadNorm> norm{};  ///< of q and k
    GatesArgs<T> gates;
    index_t rollback = 0;  ///< R

    /// The three convolutions.
    [[nodiscard]] std::array<Conv1dArgs<T>, 3> convolutions() const {
        const View<const T, 3>* const inputs[] = {&q, &k, &v};
        std::array<Conv1dArgs<T>, 3> parts;
        index_t channel = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            const index_t n = inputs[i]->size(1) * inputs[i]->size(2);
            parts[i] =
                Conv1dArgs<T>{.input = *inputs[i],
                              .weight = weight.slice(0, channel, n),
                              .bias = bias.data() == nullptr ? bias : bias.slice(0, channel, n),
                              .state = state.slice(2, channel, n),
                              .output = output.slice(1, channel, n),
                              .sequences = sequences,
                              .norm = i < 2 ? norm : std::nullopt,
                              .rollback = rollback};
            channel += n;
        }
        return parts;
    }
};

namespace detail {
template <class T>
void check_conv_gates(const char* where, const ConvGatesArgs<T>& args) {
    const index_t n_tokens = args.q.size(0);
    index_t channels = 0;
    const auto check_input = [&](const View<const T, 3>& input, const char* name, bool normed) {
        check_tensor(where, name, input, {n_tokens, input.size(1), input.size(2)});
        const index_t own = input.size(1) * input.size(2);
        if (normed && args.norm && (args.norm->d < 1 || own % args.norm->d != 0)) {
            fail(where, "norm.d", concat("a divisor of the ", own, " channels of ", name),
                 concat(args.norm->d));
        }
        channels += own;
    };
    check_input(args.q, "q", true);
    check_input(args.k, "k", true);
    check_input(args.v, "v", false);
    const index_t width = args.weight.size(1);
    if (width < 2 || width > 8) fail(where, "weight", "2 to 8 taps", concat(width));
    check_shape(where, "weight", args.weight, {channels, width});
    if (args.bias.data() != nullptr) check_shape(where, "bias", args.bias, {channels});
    check_tensor(where, "state", args.state,
                 {args.state.size(0), width - 1 + args.rollback, channels});
    check_pending_counts(where, args.sequences, args.rollback);
    check_tensor(where, "output", args.output, {n_tokens, channels});
    check_gates("conv_gates.gates", args.gates, n_tokens);
    check_sequences(where, args.sequences, n_tokens, args.state.size(0));

    // Everything runs at the same time: no output may lie in another's memory or in an input's.
    const GatesArgs<T>& gates = args.gates;
    check_disjoint(where, "state", args.state, "output", args.output);
    const auto check_apart = [&](const auto& written, const char* written_name) {
        const auto from = [&](const auto& input, const char* name) {
            check_disjoint(where, written_name, written, name, input);
        };
        from(args.q, "q");
        from(args.k, "k");
        from(args.v, "v");
        from(args.weight, "weight");
        if (args.bias.data() != nullptr) from(args.bias, "bias");
        from(gates.a, "gates.a");
        from(gates.b, "gates.b");
        from(gates.A_log, "gates.A_log");
        from(gates.dt_bias, "gates.dt_bias");
    };
    check_apart(args.output, "output");
    check_apart(args.state, "state");
    const auto check_gate = [&](const View<T, 2>& gate, const char* name) {
        check_apart(gate, name);
        check_disjoint(where, name, gate, "output", args.output);
        check_disjoint(where, name, gate, "state", args.state);
    };
    check_gate(gates.decay_log, "gates.decay_log");
    check_gate(gates.beta, "gates.beta");
}
}  // namespace detail

/// Runs it for every sequence and leaves its slot's convolution state after its last token. Rules
/// of `conv1d` and `gates` hold; outputs and states overlap nothing. Throws `Error`; a call that
/// throws has written nothing. Calls on distinct outputs and slots may run at the same time.
template <class Backend, class T>
void conv_gates(Backend& backend, const ConvGatesArgs<T>& args) {
    detail::check_conv_gates("conv_gates", args);
    backend.conv_gates(args);
}

}  // namespace deltanet
