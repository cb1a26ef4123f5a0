// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of ops/gated_rmsnorm.hpp.
#pragma once

#include <deltanet/ops/gated_rmsnorm.hpp>
#include <deltanet/reference/scalar_math.hpp>

#include <cmath>

namespace deltanet::reference {

template <class T>
void gated_rmsnorm(const GatedRmsNormArgs<T>& args) {
    const View<const T, 3> o = args.input;
    const index_t d_v = o.size(2);
    for (index_t j = 0; j < args.output.size(0); ++j) {
        const index_t t = args.rows ? (*args.rows)[static_cast<std::size_t>(j)] : j;
        for (index_t h = 0; h < o.size(1); ++h) {
            double sum = 0.0;
            for (index_t i = 0; i < d_v; ++i) {
                sum += static_cast<double>(o(t, h, i)) * static_cast<double>(o(t, h, i));
            }
            const double rms = std::sqrt(sum / static_cast<double>(d_v) + args.eps);
            for (index_t i = 0; i < d_v; ++i) {
                double y =
                    static_cast<double>(o(t, h, i)) / rms * static_cast<double>(args.weight(i));
                if (args.gate != OutputGate::none) {
                    const index_t per_group = args.z.size(2);
                    const double z =
                        static_cast<double>(args.z(t, h / per_group, h % per_group, i));
                    y *= args.gate == OutputGate::silu ? silu(z) : sigmoid(z);
                }
                args.output(j, h, i) = static_cast<T>(y);
            }
        }
    }
}

}  // namespace deltanet::reference
