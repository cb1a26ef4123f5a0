// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: the operations without the layer, for an engine that keeps its own graph and
/// projections. Inputs and outputs are strided views into the engine's buffers; nothing is copied.
#include "small_layer.hpp"

#include <cstdio>

using namespace deltanet;
using namespace example;

int main() {
    const SmallLayer small;
    const LayerConfig& c = small.config;
    const LayerWeights<EigenLinear> w = small.weights();
    const index_t n = 50, width = w.layout.width;
    std::vector<float> x = numbers(n * c.hidden, 1.0F, 10), y(x.size()), y_layer(x.size());
    CpuBackend<> backend;
    Workspace workspace;
    StateSlots slots(c, {});
    // The engine's matrix product: rows of q | k | v | z | b | a. Below are views of its columns.
    const auto multiply = [&](const EigenLinear& by, View<const float, 2> in, View<float, 2> out) {
        by(in, out, workspace.acquire(by.scratch_bytes(n, 1)), backend.executor());
    };
    std::vector<float> projected(static_cast<std::size_t>(n * width));
    multiply(w.in_proj[0], rows(x, c.hidden), rows(projected, width));
    const auto heads = [&](float* from, index_t stride, index_t h, index_t d) {
        return View<float, 3>(from, {n, h, d}, {stride, d, 1});
    };
    float *const z = projected.data() + c.conv_dim(), *const b = z + c.value_dim();

    // A span for each sequence of a batch, here one of n tokens whose state is in slot 0.
    const SequenceSpan sequence{.n_tokens = n, .start = Start::fresh};
    std::vector<float> qkv(static_cast<std::size_t>(n * c.conv_dim()));
    conv1d(backend, Conv1dArgs<float>{.input = heads(projected.data(), width, 1, c.conv_dim()),
                                      .weight = w.conv,
                                      .bias = {},
                                      .state = slots.conv(0),
                                      .output = rows(qkv, c.conv_dim()),
                                      .sequences = {&sequence, 1}});
    const View<float, 3> q = heads(qkv.data(), c.conv_dim(), c.n_heads_k, c.d_k);
    const View<float, 3> k = heads(q.ptr(0, c.n_heads_k), c.conv_dim(), c.n_heads_k, c.d_k);
    const View<float, 3> v = heads(k.ptr(0, c.n_heads_k), c.conv_dim(), c.n_heads_v, c.d_v);
    l2norm(backend, L2NormArgs<float>{.input = q, .output = q});
    l2norm(backend, L2NormArgs<float>{.input = k, .output = k});
    std::vector<float> decay_log(static_cast<std::size_t>(n * c.n_heads_v)), beta(decay_log.size());
    gates(backend, GatesArgs<float>{.a = heads(b + c.n_heads_v, width, 1, c.n_heads_v),
                                    .b = heads(b, width, 1, c.n_heads_v),
                                    .A_log = w.A_log,
                                    .dt_bias = w.dt_bias,
                                    .decay_log = rows(decay_log, c.n_heads_v),
                                    .beta = rows(beta, c.n_heads_v)});
    std::vector<float> o(static_cast<std::size_t>(n * c.value_dim())), normed(o.size());
    const DeltaRuleArgs<float> rule{.q = q,
                                    .k = k,
                                    .v = v,
                                    .decay_log = rows(decay_log, c.n_heads_v),
                                    .beta = rows(beta, c.n_heads_v),
                                    .state = slots.recurrent(0),
                                    .output = heads(o.data(), c.value_dim(), c.n_heads_v, c.d_v),
                                    .sequences = {&sequence, 1}};
    delta_rule(backend, rule, workspace.acquire(backend.delta_rule_scratch_bytes(rule)));

    const Shape<4> z_shape{n, 1, c.n_heads_v, c.d_v}, z_strides{width, 0, c.d_v, 1};
    const View<float, 3> gated = heads(normed.data(), c.value_dim(), c.n_heads_v, c.d_v);
    gated_rmsnorm(backend, GatedRmsNormArgs<float>{.input = rule.output,
                                                   .z = {z, z_shape, z_strides},
                                                   .weight = w.norm,
                                                   .output = gated,
                                                   .rows = {}});
    multiply(w.out_proj, rows(normed, c.value_dim()), rows(y, c.hidden));
    const Batch batch = Batch().add({.n_tokens = n, .start = Start::fresh});
    DeltaNetLayer<CpuBackend<>> layer(c, w);
    layer.forward(batch, rows(x, c.hidden), rows(y_layer, c.hidden), slots);
    std::printf("five operations and the layer: %s\n", y == y_layer ? "the same bits" : "others");
    return y == y_layer ? 0 : 1;
}

// Expected output:
// five operations and the layer: the same bits
