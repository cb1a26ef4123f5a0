// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The scalar functions of the layer in double precision, as the formulas state them.
#pragma once

#include <cmath>

namespace deltanet::reference {

[[nodiscard]] inline double sigmoid(double x) {
    const double e = std::exp(-std::abs(x));  // never overflows
    return x >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

[[nodiscard]] inline double silu(double x) { return x * sigmoid(x); }

/// log(1 + exp(x)).
[[nodiscard]] inline double softplus(double x) {
    return std::fmax(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

}  // namespace deltanet::reference
