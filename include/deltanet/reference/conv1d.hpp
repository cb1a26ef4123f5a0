// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of ops/conv1d.hpp: one channel and one token at a time, sums in double; the norm
/// afterwards.
#pragma once

#include <deltanet/ops/conv1d.hpp>
#include <deltanet/reference/l2norm.hpp>
#include <deltanet/reference/scalar_math.hpp>

namespace deltanet::reference {

template <class T>
void conv1d(const Conv1dArgs<T>& args) {
    const index_t width = args.weight.size(1);
    const index_t taps = width - 1;
    const index_t group_size = args.input.size(2);

    for (const SequenceSpan& sequence : args.sequences) {
        if (is_padding(sequence)) {
            for (index_t t = 0; t < sequence.n_tokens; ++t) {
                for (index_t c = 0; c < args.output.size(1); ++c)
                    args.output(sequence.first_token + t, c) = T(0);
            }
            continue;
        }
        const View<T, 2> state = args.state[sequence.slot];
        const PendingStep step = pending_step(sequence, args.rollback);
        for (index_t c = 0; c < state.size(1); ++c) {
            double past[8] = {};  // the state of this channel, oldest first
            for (index_t i = 0; i < taps && sequence.start == Start::resume; ++i) {
                past[i] = static_cast<double>(state(sequence.pending + i, c));
            }
            // u(t): input for t >= 0, state before that
            const auto u = [&](index_t t) {
                if (t < 0) return past[taps + t];
                const index_t row = sequence.first_token + t;
                return static_cast<double>(args.input(row, c / group_size, c % group_size));
            };
            for (index_t t = 0; t < sequence.n_tokens; ++t) {
                double y = args.bias.data() != nullptr ? static_cast<double>(args.bias(c)) : 0.0;
                index_t token = t;
                for (index_t i = width - 1; i >= 0; --i) {  // backwards along the tree
                    y += static_cast<double>(args.weight(c, i)) * u(token);
                    token = token < 0 ? token - 1 : parent_of(sequence, token);
                }
                args.output(sequence.first_token + t, c) = static_cast<T>(args.silu ? silu(y) : y);
            }
            if (!step.appends) {
                for (index_t i = 0; i < taps && (sequence.n_tokens > 0 || step.after == 0); ++i)
                    state(i, c) = static_cast<T>(u(sequence.n_tokens - taps + i));
                continue;
            }
            for (index_t i = 0; i < taps && step.before == 0; ++i)
                state(i, c) = static_cast<T>(past[i]);
            for (index_t t = 0; t < sequence.n_tokens; ++t)
                state(step.before + taps + t, c) = static_cast<T>(u(t));
        }
        if (!args.norm) continue;
        const View<T, 2> rows = args.output.slice(0, sequence.first_token, sequence.n_tokens);
        const index_t d = args.norm->d;
        const View<T, 3> heads(rows.data(), {rows.size(0), rows.size(1) / d, d},
                               {rows.stride(0), d, 1});
        l2norm(L2NormArgs<T>{heads, heads, args.norm->form, args.norm->eps});
    }
}

}  // namespace deltanet::reference
