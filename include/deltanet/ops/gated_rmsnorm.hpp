// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// RMSNorm of each head of the delta rule's output, then the output gate (Gated DeltaNet, arXiv
/// 2412.06464, section 3.4; norm before gate):
///   y[t, h, :] = o[t, h, :] / sqrt(mean o^2 + eps) * w * act(z[t, h, :])
/// with act = silu, sigmoid, or 1 when there is no gate.
#pragma once

#include <deltanet/layer_config.hpp>
#include <deltanet/views.hpp>

#include <optional>
#include <span>

namespace deltanet {

template <class T>
struct GatedRmsNormArgs {
    View<const T, 3> input;  ///< [n_tokens, H_v, d_v]
    View<const T, 4>
        z;  ///< [n_tokens, groups, H_v / groups, d_v]; not looked at with OutputGate::none
    View<const T, 1> weight;  ///< [d_v], shared by the heads
    View<T, 3> output;        ///< [n_rows, H_v, d_v]
    /// Output row j is that of token rows[j]; left out: every token in order.
    std::optional<std::span<const index_t>> rows{};
    OutputGate gate = OutputGate::silu;
    double eps = 1e-6;
};

/// Innermost strides are 1. Output overlaps neither input nor z. Throws `Error` before anything is
/// written. Thread-safe on distinct outputs.
template <class Backend, class T>
void gated_rmsnorm(Backend& backend, const GatedRmsNormArgs<T>& args) {
    const char* const where = "gated_rmsnorm";
    const index_t n_tokens = args.input.size(0);
    const index_t n_heads_v = args.input.size(1);
    const index_t d_v = args.input.size(2);
    detail::check_tensor(where, "input", args.input, args.input.shape());
    detail::check_tensor(where, "weight", args.weight, {d_v});
    if (args.gate != OutputGate::none) {
        const index_t groups = args.z.size(1);
        if (groups < 1 || n_heads_v % groups != 0) {
            detail::fail(where, "z", detail::concat("groups that divide H_v = ", n_heads_v),
                         detail::concat(groups, " groups"));
        }
        detail::check_tensor(where, "z", args.z, {n_tokens, groups, n_heads_v / groups, d_v});
        detail::check_disjoint(where, "output", args.output, "z", args.z);
    }
    const index_t n_rows = args.rows ? static_cast<index_t>(args.rows->size()) : n_tokens;
    detail::check_row_list(where, args.rows, n_tokens);
    detail::check_tensor(where, "output", args.output, {n_rows, n_heads_v, d_v});
    detail::check_disjoint(where, "output", args.output, "input", args.input);
    detail::check_disjoint(where, "output", args.output, "weight", args.weight);
    backend.gated_rmsnorm(args);
}

}  // namespace deltanet
