// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// RMSNorm of whole rows, the norm in front of a block:
///   y[t, i] = x[t, i] / sqrt(mean_i x[t, i]^2 + eps) * (w[i] + offset)
/// with offset 0 for weights stored plainly and 1 for those that Qwen stores around zero.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/views.hpp>

namespace deltanet {

template <class T>
struct RmsNormArgs {
    View<const T, 2> input;   ///< [n_rows, n]
    View<const T, 1> weight;  ///< [n], innermost stride 1
    View<T, 2> output;        ///< [n_rows, n]; may be the input itself
    double eps = 1e-6;
    double weight_offset = 0.0;  ///< 0: w, 1: 1 + w
};

/// Innermost strides are 1. Input and output are the same memory or do not overlap (not checked).
/// Throws `Error` before anything is written. Thread-safe on distinct outputs.
template <class Backend, class T>
void rmsnorm(Backend& backend, const RmsNormArgs<T>& args) {
    detail::check_tensor("rmsnorm", "input", args.input, args.input.shape());
    detail::check_tensor("rmsnorm", "weight", args.weight, {args.input.size(1)});
    detail::check_tensor("rmsnorm", "output", args.output, args.input.shape());
    detail::check_disjoint("rmsnorm", "output", args.output, "weight", args.weight);
    backend.rmsnorm(args);
}

}  // namespace deltanet
