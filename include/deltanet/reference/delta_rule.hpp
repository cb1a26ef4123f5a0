// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What both forms of the oracle's delta rule share: where one value head of one sequence lives.
#pragma once

#include <deltanet/ops/delta_rule.hpp>

#include <cmath>
#include <vector>

namespace deltanet::reference {

/// One value head of one sequence: token t of the sequence is row first + t.
template <class T>
struct HeadTask {
    const DeltaRuleArgs<T>& args;
    SequenceSpan sequence;
    index_t h;    ///< value head
    index_t h_k;  ///< its key head
    index_t d_k, d_v;
    double scale;

    [[nodiscard]] double q(index_t t, index_t i) const {
        return static_cast<double>(args.q(sequence.first_token + t, h_k, i));
    }
    [[nodiscard]] double k(index_t t, index_t i) const {
        return static_cast<double>(args.k(sequence.first_token + t, h_k, i));
    }
    [[nodiscard]] double v(index_t t, index_t j) const {
        return static_cast<double>(args.v(sequence.first_token + t, h, j));
    }
    /// Of row i of the state.
    [[nodiscard]] double decay_log(index_t t, index_t i) const {
        return static_cast<double>(args.decay_log(sequence.first_token + t, h, i));
    }
    [[nodiscard]] double beta(index_t t) const {
        return static_cast<double>(args.beta(sequence.first_token + t, h));
    }
    [[nodiscard]] T& output(index_t t, index_t j) const {
        return args.output(sequence.first_token + t, h, j);
    }
    /// The slot's state [d_k, d_v] as doubles, zeros for a fresh start. `coarse`: what a step reads
    /// that writes nothing (state_columns.hpp).
    [[nodiscard]] std::vector<double> load_state(bool coarse = false) const {
        std::vector<double> state(static_cast<std::size_t>(d_k * d_v), 0.0);
        if (sequence.start == Start::fresh) return state;
        args.state.visit([&](const auto& states) {
            const auto columns = columns_of(states, sequence.slot, h);
            for (index_t i = 0; i < d_k; ++i) {
                for (index_t j = 0; j < d_v; ++j)
                    state[at(i, j)] = detail::element_of(columns, i, j, coarse);
            }
        });
        return state;
    }
    /// One token in the five steps of the formula; returns u [d_v].
    std::vector<double> token(index_t t, std::vector<double>& state) const {
        std::vector<double> u(static_cast<std::size_t>(d_v));
        for (index_t i = 0; i < d_k; ++i) {  // 1. decay
            const double decay = std::exp(decay_log(t, i));
            for (index_t j = 0; j < d_v; ++j) state[at(i, j)] *= decay;
        }
        for (index_t j = 0; j < d_v; ++j) {
            double read = 0.0;  // 2. read the decayed state
            for (index_t i = 0; i < d_k; ++i) read += state[at(i, j)] * k(t, i);
            u[static_cast<std::size_t>(j)] = beta(t) * (v(t, j) - read);  // 3. delta
        }
        for (index_t i = 0; i < d_k; ++i) {  // 4. write
            for (index_t j = 0; j < d_v; ++j)
                state[at(i, j)] += k(t, i) * u[static_cast<std::size_t>(j)];
        }
        for (index_t j = 0; j < d_v; ++j) {  // 5. output, after the write
            double o = 0.0;
            for (index_t i = 0; i < d_k; ++i) o += state[at(i, j)] * q(t, i);
            output(t, j) = static_cast<T>(scale * o);
        }
        return u;
    }
    /// What pending update p makes of the state.
    void apply_update(index_t p, std::vector<double>& state) const {
        const PendingUpdates<T>& pending = args.pending;
        const double decay = std::exp(static_cast<double>(pending.decay_log(sequence.slot, p, h)));
        for (index_t i = 0; i < d_k; ++i) {
            const auto key = static_cast<double>(pending.k(sequence.slot, p, h_k, i));
            for (index_t j = 0; j < d_v; ++j) {
                double& s = state[at(i, j)];
                s = decay * s + key * static_cast<double>(pending.u(sequence.slot, p, h, j));
            }
        }
    }
    void store_state(const std::vector<double>& state) const {
        args.state.visit([&](const auto& states) {
            detail::store_elements(columns_of(states, sequence.slot, h), d_k, d_v,
                                   [&](index_t i, index_t j) { return state[at(i, j)]; });
        });
    }

  private:
    [[nodiscard]] std::size_t at(index_t i, index_t j) const {
        return static_cast<std::size_t>(i * d_v + j);
    }
};

/// Calls f(task) for every value head of every sequence.
template <class T, class F>
void for_each_head(const DeltaRuleArgs<T>& args, F&& f) {
    const index_t n_heads_k = args.k.size(1);
    const index_t n_heads_v = args.v.size(1);
    const index_t d_k = args.k.size(2);
    const double scale = args.scale != 0.0 ? args.scale : 1.0 / std::sqrt(static_cast<double>(d_k));
    for (const SequenceSpan& sequence : args.sequences) {
        if (is_padding(sequence)) continue;
        for (index_t h = 0; h < n_heads_v; ++h) {
            f(HeadTask<T>{args, sequence, h, key_head_of(args.head_map, h, n_heads_k, n_heads_v),
                          d_k, args.v.size(2), scale});
        }
    }
}

/// The same for the sequences whose tokens do not become pending.
template <class T, class F>
void for_each_written_head(const DeltaRuleArgs<T>& args, F&& f) {
    for_each_head(args, [&](const HeadTask<T>& head) {
        if (!pending_step(head.sequence, args.pending.capacity()).appends) f(head);
    });
}

}  // namespace deltanet::reference
