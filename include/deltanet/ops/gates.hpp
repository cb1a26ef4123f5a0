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

namespace detail {
template <class T>
void check_gates(const char* where, const GatesArgs<T>& args, index_t n_tokens) {
    const index_t heads = args.a.size(1) * args.a.size(2);
    check_shape(where, "a", args.a, {n_tokens, args.a.size(1), args.a.size(2)});
    check_shape(where, "b", args.b, args.a.shape());
    check_shape(where, "A_log", args.A_log, {heads});
    check_shape(where, "dt_bias", args.dt_bias, {heads});
    check_tensor(where, "decay_log", args.decay_log, {n_tokens, heads});
    check_tensor(where, "beta", args.beta, {n_tokens, heads});
    check_disjoint(where, "beta", args.beta, "decay_log", args.decay_log);
    const auto check_apart = [&](const auto& input, const char* name) {
        check_disjoint(where, "decay_log", args.decay_log, name, input);
        check_disjoint(where, "beta", args.beta, name, input);
    };
    check_apart(args.a, "a");
    check_apart(args.b, "b");
    check_apart(args.A_log, "A_log");
    check_apart(args.dt_bias, "dt_bias");
}
}  // namespace detail

/// Any strides on the inputs; innermost stride 1 on the outputs, which overlap nothing. Throws
/// `Error` before anything is written. Thread-safe on distinct outputs.
template <class Backend, class T>
void gates(Backend& backend, const GatesArgs<T>& args) {
    detail::check_gates("gates", args, args.a.size(0));
    backend.gates(args);
}

}  // namespace deltanet
