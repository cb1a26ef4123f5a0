// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of pending updates (ops/pending_updates.hpp): the state that they stand for is formed,
/// and every token of the step, a chain or a tree, gets a state of its own behind its parent's.
#pragma once

#include <deltanet/reference/delta_rule.hpp>

#include <cmath>
#include <vector>

namespace deltanet::reference {

/// Folds what has to be folded, for every sequence.
template <class T>
void fold_pending(const DeltaRuleArgs<T>& args) {
    const PendingUpdates<T>& pending = args.pending;
    for_each_head(args, [&](const HeadTask<T>& head) {
        const PendingStep step = pending_step(head.sequence, pending.capacity());
        if (step.folded == 0) return;
        std::vector<double> state = head.load_state();
        for (index_t p = 0; p < step.folded; ++p) head.apply_update(p, state);
        head.store_state(state);
    });
}

/// Zeros for the tokens of padding.
template <class T>
void clear_padding(const DeltaRuleArgs<T>& args) {
    for (const SequenceSpan& sequence : args.sequences) {
        if (!is_padding(sequence)) continue;
        for (index_t t = 0; t < sequence.n_tokens; ++t) {
            for (index_t h = 0; h < args.output.size(1); ++h) {
                for (index_t j = 0; j < args.output.size(2); ++j)
                    args.output(sequence.first_token + t, h, j) = T(0);
            }
        }
    }
}

/// Runs the sequences whose tokens become pending.
template <class T>
void delta_rule_pending(const DeltaRuleArgs<T>& args) {
    const PendingUpdates<T>& pending = args.pending;
    for_each_head(args, [&](const HeadTask<T>& head) {
        const PendingStep step = pending_step(head.sequence, pending.capacity());
        if (!step.appends) return;
        std::vector<double> root = head.load_state(true);
        if (head.sequence.start == Start::fresh) head.store_state(root);
        for (index_t p = 0; p < step.before; ++p) head.apply_update(p, root);
        std::vector<std::vector<double>> states;
        for (index_t t = 0; t < head.sequence.n_tokens; ++t) {
            const index_t parent = parent_of(head.sequence, t);
            states.push_back(parent < 0 ? root : states[static_cast<std::size_t>(parent)]);
            const std::vector<double> u = head.token(t, states.back());
            for (index_t j = 0; j < head.d_v; ++j) {
                pending.u(head.sequence.slot, step.before + t, head.h, j) =
                    static_cast<T>(u[static_cast<std::size_t>(j)]);
            }
        }
    });
    for (const SequenceSpan& sequence : args.sequences)
        detail::append_keys(pending, sequence, args.k, args.decay_log.heads());
}

}  // namespace deltanet::reference
