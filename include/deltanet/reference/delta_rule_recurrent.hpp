// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of the delta rule, token by token, in the five steps of the formula: decay, read, delta,
/// write, output. The state is carried in double from the first to the last token of the call.
#pragma once

#include <deltanet/reference/delta_rule.hpp>

namespace deltanet::reference {

template <class T>
void delta_rule_recurrent(const DeltaRuleArgs<T>& args) {
    for_each_written_head(args, [](const HeadTask<T>& head) {
        std::vector<double> state = head.load_state();
        for (index_t t = 0; t < head.sequence.n_tokens; ++t)
            static_cast<void>(head.token(t, state));
        head.store_state(state);
    });
}

}  // namespace deltanet::reference
