// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of the delta rule, token by token, in the five steps of the formula: decay, read, delta,
/// write, output. The state is carried in double from the first to the last token of the call.
#pragma once

#include <deltanet/reference/delta_rule.hpp>

#include <cmath>

namespace deltanet::reference {

template <class T>
void delta_rule_recurrent(const DeltaRuleArgs<T>& args) {
    for_each_head(args, [](const HeadTask<T>& head) {
        std::vector<double> state = head.load_state();
        std::vector<double> u(static_cast<std::size_t>(head.d_v));
        const auto S = [&](index_t i, index_t j) -> double& {
            return state[static_cast<std::size_t>(i * head.d_v + j)];
        };
        for (index_t t = 0; t < head.sequence.n_tokens; ++t) {
            for (index_t i = 0; i < head.d_k; ++i) {  // 1. decay
                const double decay = std::exp(head.decay_log(t, i));
                for (index_t j = 0; j < head.d_v; ++j) S(i, j) *= decay;
            }
            for (index_t j = 0; j < head.d_v; ++j) {
                double read = 0.0;  // 2. read the decayed state
                for (index_t i = 0; i < head.d_k; ++i) read += S(i, j) * head.k(t, i);
                u[static_cast<std::size_t>(j)] = head.beta(t) * (head.v(t, j) - read);  // 3. delta
            }
            for (index_t i = 0; i < head.d_k; ++i) {  // 4. write
                for (index_t j = 0; j < head.d_v; ++j)
                    S(i, j) += head.k(t, i) * u[static_cast<std::size_t>(j)];
            }
            for (index_t j = 0; j < head.d_v; ++j) {  // 5. output, after the write
                double o = 0.0;
                for (index_t i = 0; i < head.d_k; ++i) o += S(i, j) * head.q(t, i);
                head.output(t, j) = static_cast<T>(head.scale * o);
            }
        }
        head.store_state(state);
    });
}

}  // namespace deltanet::reference
