// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of ops/rmsnorm.hpp.
#pragma once

#include <deltanet/ops/rmsnorm.hpp>

#include <cmath>

namespace deltanet::reference {

template <class T>
void rmsnorm(const RmsNormArgs<T>& args) {
    const View<const T, 2> x = args.input;
    const index_t n = x.size(1);
    for (index_t t = 0; t < x.size(0); ++t) {
        double sum = 0.0;
        for (index_t i = 0; i < n; ++i)
            sum += static_cast<double>(x(t, i)) * static_cast<double>(x(t, i));
        const double rms = std::sqrt(sum / static_cast<double>(n) + args.eps);
        for (index_t i = 0; i < n; ++i) {
            const double weight = static_cast<double>(args.weight(i)) + args.weight_offset;
            args.output(t, i) = static_cast<T>(static_cast<double>(x(t, i)) / rms * weight);
        }
    }
}

}  // namespace deltanet::reference
