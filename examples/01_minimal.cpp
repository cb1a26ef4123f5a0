// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: the smallest complete program. A layer with made-up weights reads a prompt of
/// 100 tokens (prefill), then one more token (decode), which gives what one call over 101 tokens
/// gives.
// [example-begin minimal]
#include <deltanet/deltanet.hpp>

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

using namespace deltanet;

// Made-up numbers in (-scale, scale), the same on every machine.
std::vector<float> numbers(index_t count, float scale) {
    static std::mt19937 generator(1);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& v : values) v = scale * (static_cast<float>(generator()) * 0x1p-31F - 1.0F);
    return values;
}

int main() {
    // The sizes of the layer; those of published models have names: qwen3_5_4b(), ...
    const LayerConfig c{.hidden = 64, .n_heads_k = 2, .n_heads_v = 4, .d_k = 16, .d_v = 16};

    // The weights stay the engine's, here one input matrix with rows for q, k, v, z, b and a.
    const index_t in = c.conv_dim() + c.value_dim() + 2 * c.n_heads_v;
    const auto in_proj = numbers(in * c.hidden, 0.2F), out_proj = numbers(64 * c.value_dim(), 0.2F);
    const auto conv = numbers(c.conv_dim() * c.conv_width, 0.5F), norm = numbers(c.d_v, 1.0F);
    const auto A_log = numbers(c.n_heads_v, 1.0F), dt_bias = numbers(c.n_heads_v, 1.0F);
    LayerWeights<EigenLinear> weights;
    weights.in_proj = {EigenLinear(View<const float, 2>(in_proj.data(), {in, c.hidden}))};
    weights.layout = ProjectionLayout::split(c);
    weights.conv = {conv.data(), {c.conv_dim(), c.conv_width}};
    weights.A_log = {A_log.data(), {c.n_heads_v}};
    weights.dt_bias = {dt_bias.data(), {c.n_heads_v}};
    weights.norm = {norm.data(), {c.d_v}};
    weights.out_proj = EigenLinear(View<const float, 2>(out_proj.data(), {64, c.value_dim()}));

    DeltaNetLayer<CpuBackend<>> layer(c, weights);
    StateSlots slots(c, {.slots = 2});  // the states of two sequences

    const auto x = numbers(101 * c.hidden, 1.0F);
    std::vector<float> y(x.size()), y_at_once(x.size());
    const View<const float, 2> x_rows(x.data(), {101, c.hidden});
    const View<float, 2> rows(y.data(), {101, c.hidden});
    const View<float, 2> at_once(y_at_once.data(), {101, c.hidden});

    Batch prefill, decode, both;
    prefill.add({.slot = 0, .n_tokens = 100, .start = Start::fresh});
    decode.add({.slot = 0, .n_tokens = 1});  // goes on from what slot 0 holds
    both.add({.slot = 1, .n_tokens = 101, .start = Start::fresh});
    layer.forward(prefill, x_rows.slice(0, 0, 100), rows.slice(0, 0, 100), slots);
    layer.forward(decode, x_rows.slice(0, 100, 1), rows.slice(0, 100, 1), slots);
    layer.forward(both, x_rows, at_once, slots);

    double difference = 0.0;
    for (index_t i = 0; i < 4; ++i) {
        const auto decoded = static_cast<double>(rows(100, i));
        const auto direct = static_cast<double>(at_once(100, i));
        std::printf("y[100, %td]  decoded %7.4f  at once %7.4f\n", i, decoded, direct);
        difference += std::abs(decoded - direct);
    }
    return difference < 1e-5 ? 0 : 1;
}
// [example-end minimal]

// Expected output:
// y[100, 0]  decoded -0.0379  at once -0.0379
// y[100, 1]  decoded -0.2260  at once -0.2260
// y[100, 2]  decoded  0.2616  at once  0.2616
// y[100, 3]  decoded  0.0544  at once  0.0544
