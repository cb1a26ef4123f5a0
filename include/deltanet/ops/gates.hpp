// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The two gates of the delta rule from their projections (Gated DeltaNet, arXiv 2412.06464,
/// section 3.4; the decay is Mamba2's):
///   decay_log[t, h] = -exp(A_log[h]) softplus(a[t, h] + dt_bias[h])     natural logarithm, <= 0
///   beta[t, h]      = sigmoid(b[t, h])   or twice that                  linear, in (0, 1) or (0,
///   2)
/// softplus(x) is log1p(exp(x)) without overflow and without losing its small values.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/views.hpp>

namespace deltanet {

template <class T>
struct GatesArgs {
    View<const T, 3> a;        ///< [n_tokens, groups, H_v / groups]: decay input, raw projection
    View<const T, 3> b;        ///< the same shape: beta logits, raw projection
    View<const T, 1> A_log;    ///< [H_v]
    View<const T, 1> dt_bias;  ///< [H_v]
    View<T, 2> decay_log;      ///< [n_tokens, H_v]
    View<T, 2> beta;           ///< [n_tokens, H_v]
    bool beta_doubled = false;
};

/// Any strides on the inputs; innermost stride 1 on the outputs, which overlap nothing. Throws
/// `Error` before anything is written. Thread-safe on distinct outputs.
template <class Backend, class T>
void gates(Backend& backend, const GatesArgs<T>& args) {
    const index_t n_tokens = args.a.size(0);
    const index_t heads = args.a.size(1) * args.a.size(2);
    detail::check_shape("gates", "a", args.a, args.a.shape());
    detail::check_shape("gates", "b", args.b, args.a.shape());
    detail::check_shape("gates", "A_log", args.A_log, {heads});
    detail::check_shape("gates", "dt_bias", args.dt_bias, {heads});
    detail::check_tensor("gates", "decay_log", args.decay_log, {n_tokens, heads});
    detail::check_tensor("gates", "beta", args.beta, {n_tokens, heads});
    detail::check_disjoint("gates", "beta", args.beta, "decay_log", args.decay_log);
    const auto check_apart = [&](const auto& input, const char* name) {
        detail::check_disjoint("gates", "decay_log", args.decay_log, name, input);
        detail::check_disjoint("gates", "beta", args.beta, name, input);
    };
    check_apart(args.a, "a");
    check_apart(args.b, "b");
    check_apart(args.A_log, "A_log");
    check_apart(args.dt_bias, "dt_bias");
    backend.gates(args);
}

}  // namespace deltanet
