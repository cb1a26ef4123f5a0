// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of ops/l2norm.hpp.
#pragma once

#include <deltanet/ops/l2norm.hpp>

#include <algorithm>
#include <cmath>

namespace deltanet::reference {

template <class T>
void l2norm(const L2NormArgs<T>& args) {
    const View<const T, 3> x = args.input;
    for (index_t t = 0; t < x.size(0); ++t) {
        for (index_t h = 0; h < x.size(1); ++h) {
            double sum = 0.0;
            for (index_t i = 0; i < x.size(2); ++i) {
                sum += static_cast<double>(x(t, h, i)) * static_cast<double>(x(t, h, i));
            }
            const double length = args.form == L2Form::rsqrt ? std::sqrt(sum + args.eps)
                                                             : std::max(std::sqrt(sum), args.eps);
            for (index_t i = 0; i < x.size(2); ++i) {
                args.output(t, h, i) = static_cast<T>(static_cast<double>(x(t, h, i)) / length);
            }
        }
    }
}

}  // namespace deltanet::reference
