// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: the operations without the layer, for an engine that keeps its own graph and its own
/// projections. Inputs and outputs are strided views into the engine's buffers; nothing is copied.
#include <cstdio>

#include "small_layer.hpp"

using namespace deltanet;
using namespace example;

int main() {
    const SmallLayer small;
    const LayerConfig& c = small.config;
    const LayerWeights<EigenLinear> w = small.weights();
    const index_t n = 50;
    std::vector<float> x = numbers(n * c.hidden, 1.0F, 10), y(x.size());
    CpuBackend<> backend;
    Workspace workspace;
    StateSlots slots(c, {.slots = 1});

    // The engine's matrix product: rows of q | k | v | z | b | a. The views below are columns of it.
    const auto multiply = [&](const EigenLinear& matrix, View<const float, 2> in, View<float, 2> out) {
        matrix(in, out, workspace.acquire(matrix.scratch_bytes(n, 1)), backend.executor());
    };
    std::vector<float> projected(static_cast<std::size_t>(n * w.layout.width));
    multiply(w.in_proj[0], rows(x, c.hidden), rows(projected, w.layout.width));
    const auto heads = [n](std::vector<float>& from, index_t width, index_t column, index_t count, index_t d) {
        return View<float, 3>(from.data() + column, {n, count, d}, {width, d, 1});
    };
    const index_t z_column = c.conv_dim(), b_column = z_column + c.value_dim(), width = w.layout.width;

    // One sequence of n tokens in slot 0; one span for each sequence of a batch.
    const SequenceSpan sequence{.first_token = 0, .n_tokens = n, .slot = 0, .start = Start::fresh};
    std::vector<float> qkv(static_cast<std::size_t>(n * c.conv_dim()));
    conv1d(backend, Conv1dArgs<float>{.input = heads(projected, width, 0, 1, c.conv_dim()),
                                      .weight = w.conv,
                                      .bias = {},
                                      .state = slots.conv(0),
                                      .output = rows(qkv, c.conv_dim()),
                                      .sequences = {&sequence, 1}});
    const View<float, 3> q = heads(qkv, c.conv_dim(), 0, c.n_heads_k, c.d_k);
    const View<float, 3> k = heads(qkv, c.conv_dim(), c.key_dim(), c.n_heads_k, c.d_k);
    const View<float, 3> v = heads(qkv, c.conv_dim(), 2 * c.key_dim(), c.n_heads_v, c.d_v);
    for (const View<float, 3> each : {q, k}) l2norm(backend, L2NormArgs<float>{.input = each, .output = each});

    std::vector<float> decay_log(static_cast<std::size_t>(n * c.n_heads_v)), beta(decay_log.size());
    gates(backend, GatesArgs<float>{.a = heads(projected, width, b_column + c.n_heads_v, 1, c.n_heads_v),
                                    .b = heads(projected, width, b_column, 1, c.n_heads_v),
                                    .A_log = w.A_log,
                                    .dt_bias = w.dt_bias,
                                    .decay_log = rows(decay_log, c.n_heads_v),
                                    .beta = rows(beta, c.n_heads_v)});
    std::vector<float> o(static_cast<std::size_t>(n * c.value_dim())), normed(o.size());
    const DeltaRuleArgs<float> rule{.q = q, .k = k, .v = v, .decay_log = rows(decay_log, c.n_heads_v),
                                    .beta = rows(beta, c.n_heads_v), .state = slots.recurrent(0),
                                    .output = heads(o, c.value_dim(), 0, c.n_heads_v, c.d_v),
                                    .sequences = {&sequence, 1}};
    delta_rule(backend, rule, workspace.acquire(backend.delta_rule_scratch_bytes(rule)));

    const View<float, 4> z(projected.data() + z_column, {n, 1, c.n_heads_v, c.d_v}, {width, 0, c.d_v, 1});
    gated_rmsnorm(backend, GatedRmsNormArgs<float>{.input = rule.output,
                                                   .z = z,
                                                   .weight = w.norm,
                                                   .output = heads(normed, c.value_dim(), 0, c.n_heads_v, c.d_v),
                                                   .rows = {}});
    multiply(w.out_proj, rows(normed, c.value_dim()), rows(y, c.hidden));

    DeltaNetLayer<CpuBackend<>> layer(c, w);
    std::vector<float> y_layer(y.size());
    layer.forward(Batch().add({.n_tokens = n, .start = Start::fresh}), rows(x, c.hidden), rows(y_layer, c.hidden), slots);
    std::printf("six operations and the layer: %s\n", y == y_layer ? "the same bits" : "other bits");
    return y == y_layer ? 0 : 1;
}

// Expected output:
// six operations and the layer: the same bits
