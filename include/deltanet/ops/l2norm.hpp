// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// L2 norm of query and key heads over their innermost dimension, in the two forms that exist:
///   rsqrt: y = x / sqrt(sum x^2 + eps)        max: y = x / max(sqrt(sum x^2), eps)
/// (Gated DeltaNet, arXiv 2412.06464, section 3.4; the query scale d_k^(-1/2) belongs to the delta
/// rule.)
#pragma once

#include <deltanet/layer_config.hpp>
#include <deltanet/views.hpp>

namespace deltanet {

template <class T>
struct L2NormArgs {
    View<const T, 3> input;  ///< [n_tokens, heads, d]
    View<T, 3> output;       ///< [n_tokens, heads, d]; may be the input itself
    L2Form form = L2Form::rsqrt;
    double eps = 1e-6;  ///< on the sum of squares (rsqrt) or on the norm (max)
};

/// Innermost strides are 1. Input and output are the same memory or do not overlap (not checked).
/// Throws `Error` before anything is written. Thread-safe on distinct outputs.
template <class Backend, class T>
void l2norm(Backend& backend, const L2NormArgs<T>& args) {
    detail::check_tensor("l2norm", "input", args.input, args.input.shape());
    detail::check_tensor("l2norm", "output", args.output, args.input.shape());
    backend.l2norm(args);
}

}  // namespace deltanet
