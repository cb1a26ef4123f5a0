// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Low-rank adapters: a projection with adapters is the projection of the sum of the matrices.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/linear/lora.hpp>
#include <deltanet/linear/reference.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// W + scale B A, with B's rows from `first` on.
Matrix merged(Matrix w, const Matrix& up, const Matrix& down, float scale, index_t first) {
    for (index_t o = 0; o < up.rows(); ++o) {
        for (index_t i = 0; i < w.cols; ++i) {
            double sum = 0.0;
            for (index_t r = 0; r < up.cols; ++r) {
                sum +=
                    static_cast<double>(up.view()(o, r)) * static_cast<double>(down.view()(r, i));
            }
            w.values[static_cast<std::size_t>((first + o) * w.cols + i)] +=
                static_cast<float>(static_cast<double>(scale) * sum);
        }
    }
    return w;
}

Matrix random_matrix(index_t rows, index_t cols, std::uint32_t seed) {
    return {cols, Random(seed).normals(rows * cols, 0.3)};
}

template <class L>
std::vector<float> product(const L& linear, const std::vector<float>& x, index_t n_tokens) {
    std::vector<float> y(static_cast<std::size_t>(n_tokens * linear.out_features()), -7.0F);
    SequentialExecutor executor;
    Workspace workspace;
    linear(View<const float, 2>(x.data(), {n_tokens, linear.in_features()}),
           View<float, 2>(y.data(), {n_tokens, linear.out_features()}),
           workspace.acquire(linear.scratch_bytes(n_tokens, executor.concurrency())), executor);
    return y;
}

}  // namespace

TEST_CASE("adapters add their products, each by the scale of its set", "[linear]") {
    constexpr index_t in = 33, out = 50;
    const Matrix w = random_matrix(out, in, 1);
    const Matrix down = random_matrix(4, in, 2), up = random_matrix(out, 4, 3);
    const Matrix part_down = random_matrix(7, in, 4), part_up = random_matrix(20, 7, 5);
    LoraScales scales{{0.5F, -2.0F}};
    LoraLinear<> linear(w.view());
    for (const index_t n_tokens : {0, 1, 2, 3, 64, 65, 130, 200}) {
        const std::vector<float> x = Random(6).normals(n_tokens * in);
        CAPTURE(n_tokens);
        CHECK(product(linear, x, n_tokens) == product(EigenLinear(w.view()), x, n_tokens));
    }
    linear.add({EigenLinear(down.view()), EigenLinear(up.view()), 0}, scales);
    linear.add({EigenLinear(part_down.view()), EigenLinear(part_up.view()), 1, 25}, scales);
    for (const bool first : {false, true}) {
        for (const bool second : {false, true}) {
            scales.of_set = {first ? 0.5F : 0.0F, second ? -2.0F : 0.0F};
            Matrix sum = merged(w, up, down, scales.of_set[0], 0);
            sum = merged(sum, part_up, part_down, scales.of_set[1], 25);
            for (const index_t n_tokens : {1, 2, 63, 64, 65, 130}) {
                const std::vector<float> x = Random(7).normals(n_tokens * in);
                CAPTURE(first, second, n_tokens);
                CHECK(relative_rms(product(linear, x, n_tokens),
                                   product(ReferenceLinear(sum.view()), x, n_tokens)) < 1e-6);
            }
        }
    }
}

TEST_CASE("a row's result does not depend on the other rows of its call", "[linear]") {
    constexpr index_t in = 20, out = 30;
    const Matrix w = random_matrix(out, in, 1), down = random_matrix(3, in, 2);
    const Matrix up = random_matrix(out, 3, 3);
    const LoraScales scales{{1.5F}};
    LoraLinear<> linear(w.view());
    linear.add({EigenLinear(down.view()), EigenLinear(up.view())}, scales);
    const std::vector<float> x = Random(8).normals(129 * in);
    const std::vector<float> all = product(linear, x, 129);
    for (const index_t n_tokens : {2, 64, 66, 128}) {
        const std::vector<float> some(x.begin(), x.begin() + n_tokens * in);
        CHECK(bit_equal(product(linear, some, n_tokens), rows_of(all, out, 0, n_tokens)));
    }
}

TEST_CASE("a layer with adapters on all its projections", "[linear]") {
    const LayerConfig config = small_config();
    RandomLayer random(config);
    RandomLayer with = random;
    const index_t widths[] = {random.qkv.rows(), random.z.rows(), random.b.rows(), random.a.rows()};
    Matrix* const targets[] = {&with.qkv, &with.z, &with.b, &with.a};
    LoraScales scales{{0.25F}};
    using Linear = LoraLinear<>;
    LayerWeights<Linear> weights = random.split<Linear>();
    std::vector<Matrix> downs, ups;
    for (std::size_t i = 0; i < 5; ++i) {
        const bool last = i == 4;
        const auto seed = static_cast<std::uint32_t>(20 + i);
        downs.push_back(random_matrix(2, last ? config.value_dim() : config.hidden, seed));
        ups.push_back(random_matrix(last ? config.hidden : widths[i], 2, seed + 50));
    }
    for (std::size_t i = 0; i < 5; ++i) {
        Linear& linear = i == 4 ? weights.out_proj : weights.in_proj[i];
        linear.add({EigenLinear(downs[i].view()), EigenLinear(ups[i].view())}, scales);
        Matrix& target = i == 4 ? with.out : *targets[i];
        target = merged(target, ups[i], downs[i], 0.25F, 0);
    }
    DeltaNetLayer<LayerBackend<>, Linear> layer(config, weights);
    DeltaNetLayer<LayerBackend<>> expected(config, with.split());
    DeltaNetLayer<LayerBackend<>> plain(config, random.split());
    const std::vector<float> x = Random(9).normals(70 * config.hidden);
    StateSlots slots(config, {}), expected_slots(config, {});
    CHECK(relative_rms(run(layer, one(70), x, slots), run(expected, one(70), x, expected_slots)) <
          5e-6);
    scales.of_set[0] = 0.0F;  // switched off for the next forward
    CHECK(bit_equal(run(layer, one(70), x, slots), run(plain, one(70), x, expected_slots)));
}

TEST_CASE("adapters that do not fit are refused", "[linear][errors]") {
    const Matrix w = random_matrix(10, 6, 1), down = random_matrix(2, 6, 2);
    const Matrix up = random_matrix(10, 2, 3), wide = random_matrix(10, 3, 4);
    const LoraScales scales{{1.0F}}, others{{1.0F}};
    LoraLinear<> linear(w.view());
    const auto add = [&](const Matrix& a, const Matrix& b, index_t set, index_t first,
                         const LoraScales& by) {
        return message_of([&] {
            linear.add({EigenLinear(a.view()), EigenLinear(b.view()), set, first}, by);
        });
    };
    CHECK(add(wide, up, 0, 0, scales) == "LoraLinear::add: down inputs: expected 6, found 3");
    CHECK(add(down, wide, 0, 0, scales) == "LoraLinear::add: up inputs: expected 2, found 3");
    CHECK(add(down, up, 0, 1, scales) ==
          "LoraLinear::add: up outputs: expected some of the 10 of the projection, found [1, 11)");
    CHECK(add(down, up, 1, 0, scales) == "LoraLinear::add: set: expected 0 to 0, found 1");
    CHECK(add(down, up, 0, 0, scales) == "nothing was thrown");
    CHECK(add(down, up, 0, 0, others) ==
          "LoraLinear::add: scales: expected those of the adapters before, found others");
}
