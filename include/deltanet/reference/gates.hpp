// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of ops/gates.hpp.
#pragma once

#include <deltanet/ops/gates.hpp>
#include <deltanet/reference/scalar_math.hpp>

#include <cmath>

namespace deltanet::reference {

template <class T>
void gates(const GatesArgs<T>& args) {
    const index_t per_group = args.a.size(2);
    for (index_t t = 0; t < args.a.size(0); ++t) {
        for (index_t h = 0; h < args.beta.size(1); ++h) {
            const double a = static_cast<double>(args.a(t, h / per_group, h % per_group));
            const double b = static_cast<double>(args.b(t, h / per_group, h % per_group));
            const double rate = std::exp(static_cast<double>(args.A_log(h)));
            args.decay_log(t, h) =
                static_cast<T>(-rate * softplus(a + static_cast<double>(args.dt_bias(h))));
            args.beta(t, h) = static_cast<T>((args.beta_doubled ? 2.0 : 1.0) * sigmoid(b));
        }
    }
}

}  // namespace deltanet::reference
