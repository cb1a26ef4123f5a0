// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The layer against itself and against the oracle: backends agree, packings and head orders are
// Field row 17: the second part of a prompt from zeros.
/// the same bits, a sequence may be cut anywhere, and the options around the core do what they say.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

#include <limits>

using namespace deltanet;
using namespace deltanet::test;

namespace {

// Layer in float32 against the same layer with sums in double. The delta rule contributes 5e-6 at
// most (chunked), the projections sqrt(n) eps each; the norms keep relative errors.
constexpr double kTolerance = 8e-6;

std::vector<float> random_x(const LayerConfig& config, index_t n, std::uint32_t seed = 9) {
    Random random(seed);
    return random.normals(n * config.hidden);
}

/// y of one fresh sequence, and the state after it.
template <class B, class L>
std::pair<std::vector<float>, std::vector<float>> whole(const LayerConfig& config,
                                                        LayerWeights<L> weights,
                                                        const std::vector<float>& x) {
    DeltaNetLayer<B, L> layer(config, std::move(weights));
    StateSlots slots(config, {.slots = 1});
    std::vector<float> y =
        run(layer, one(static_cast<index_t>(x.size()) / config.hidden), x, slots);
    return {std::move(y), state_of(slots, 0)};
}

}  // namespace

TEST_CASE("the CPU backend equals the reference backend in every configuration") {
    LayerConfig config = small_config();
    const auto change = GENERATE(range(0, 13));
    switch (change) {
        case 1:
            config.gate = OutputGate::sigmoid;
            break;
        case 2:
            config.gate = OutputGate::none;
            break;
        case 3:
            config.beta_doubled = true;
            break;
        case 4:
            config.l2_form = L2Form::max;
            break;
        case 5:
            config.pre_norm = PreNorm::plain;
            break;
        case 6:
            config.pre_norm = PreNorm::one_plus;
            config.residual = true;
            break;
        case 7:
            config.conv_width = 2;
            break;
        case 8:
            config.conv_width = 7;
            break;
        case 9:
            config.scale = 0.25;
            break;
        case 10:
            config.head_map = HeadMap::tiled;
            break;
        case 11:
            config = small_config(1, 3, 7, 5, 9);
            break;
        case 12:
            config = small_config(3, 3, 96, 192, 16);
            config.norm_eps = 1e-5;
            break;
        default:
            break;
    }
    RandomLayer random(config);
    if (change == 8) random.conv_bias = Random(3).normals(config.conv_dim());
    const std::vector<float> x = random_x(config, 77);
    for (const ScanMode scan : {ScanMode::recurrent, ScanMode::chunked}) {
        config.scan = scan;
        const auto expected = whole<ReferenceBackend>(config, random.split<ReferenceLinear>(), x);
        const auto actual = whole<LayerBackend<>>(config, random.split(), x);
        CAPTURE(change, scan);
        CHECK(relative_rms(actual.first, expected.first) <= kTolerance);
        CHECK(relative_rms(actual.second, expected.second) <= kTolerance);
    }
}

TEST_CASE("packed, split and separate projections are the same bits") {
    const index_t r = GENERATE(1, 2, 3, 4);
    const index_t n = GENERATE(1, 2, 70);
    const LayerConfig config = small_config(2, 2 * r, 12, 20, 33);
    const RandomLayer random(config);
    const std::vector<float> x = random_x(config, n);
    const auto split = whole<LayerBackend<>>(config, random.split(), x);
    const auto packed = whole<LayerBackend<>>(config, random.packed(), x);
    const auto separate = whole<LayerBackend<>>(config, random.separate(), x);
    CHECK(bit_equal(split.first, packed.first));
    CHECK(bit_equal(split.second, packed.second));
    CHECK(bit_equal(split.first, separate.first));
    CHECK(bit_equal(split.second, separate.second));
}

TEST_CASE("grouped and tiled heads are the same bits up to the order of the output projection") {
    const index_t r = GENERATE(1, 2, 3, 4);
    const index_t n = GENERATE(1, 70);
    const LayerConfig config = small_config(2, 2 * r, 16, 24, 20);
    const RandomLayer grouped(config);
    const RandomLayer tiled = grouped.tiled();
    const std::vector<float> x = random_x(config, n);
    // The order of the terms of the output projection's sums differs: look at its input.
    const auto normed = [&](const RandomLayer& random) {
        DeltaNetLayer<LayerBackend<>> layer(random.config, random.split());
        StateSlots slots(random.config, {.slots = 1});
        std::vector<float> y(x.size());
        std::vector<std::vector<float>> heads;
        layer.forward(one(n), View<const float, 2>(x.data(), {n, config.hidden}),
                      View<float, 2>(y.data(), {n, config.hidden}), slots, {},
                      [&](const Observation& o) {
                          if (o.stage != Stage::attn_out_norm) return;
                          for (index_t h = 0; h < config.n_heads_v; ++h)
                              heads.push_back(elements(o.tensor.slice(2, h, 1)));
                      });
        return std::pair(heads, y);
    };
    const auto a = normed(grouped);
    const auto b = normed(tiled);
    REQUIRE(a.first.size() == static_cast<std::size_t>(config.n_heads_v));
    for (index_t g = 0; g < config.n_heads_k; ++g) {
        for (index_t j = 0; j < r; ++j) {
            CHECK(bit_equal(a.first[RandomLayer::at(g * r + j)],
                            b.first[RandomLayer::at(j * config.n_heads_k + g)]));
        }
    }
    CHECK(relative_rms(b.second, a.second) <= 1e-6);  // sums of value_dim terms in another order

    // And the wrong map is wrong: r > 1 makes it visible.
    if (r > 1) {
        LayerConfig wrong = tiled.config;
        wrong.head_map = HeadMap::grouped;
        CHECK(relative_rms(whole<LayerBackend<>>(wrong, tiled.split(), x).first, a.second) > 1e-2);
    }
}

TEST_CASE("a sequence may be cut anywhere") {
    LayerConfig config = small_config();
    config.scan = GENERATE(ScanMode::recurrent, ScanMode::chunked, ScanMode::automatic);
    const RandomLayer random(config);
    const index_t n = 150;
    const std::vector<float> x = random_x(config, n);
    const auto expected = whole<LayerBackend<>>(config, random.split(), x);
    DeltaNetLayer<LayerBackend<>> layer(config, random.split());
    Random cuts(4);
    for (int attempt = 0; attempt < 12; ++attempt) {
        StateSlots slots(config, {.slots = 1});
        std::vector<float> y;
        for (index_t done = 0; done < n;) {
            const index_t piece =
                attempt == 0 ? 1 : cuts.integer(0, std::min(n - done, index_t{70}));
            const Batch batch = one(piece, done == 0 ? Start::fresh : Start::resume);
            const std::vector<float> part =
                run(layer, batch, rows_of(x, config.hidden, done, piece), slots);
            y.insert(y.end(), part.begin(), part.end());
            done += piece;
        }
        CHECK(relative_rms(y, expected.first) <= kTolerance);
        CHECK(relative_rms(state_of(slots, 0), expected.second) <= kTolerance);
    }
}

// Field row 22: what is carried is what is stored.
TEST_CASE("recurrent pieces of two or more tokens are the bits of the whole") {
    // A single token goes through Eigen's matrix-vector product, whose sums differ from the matrix
    // product's.
    LayerConfig config = small_config();
    config.scan = ScanMode::recurrent;
    const RandomLayer random(config);
    const std::vector<float> x = random_x(config, 40);
    const auto expected = whole<LayerBackend<>>(config, random.split(), x);
    DeltaNetLayer<LayerBackend<>> layer(config, random.split());
    StateSlots slots(config, {.slots = 1});
    std::vector<float> y = run(layer, one(17), rows_of(x, config.hidden, 0, 17), slots);
    const std::vector<float> rest =
        run(layer, one(23, Start::resume), rows_of(x, config.hidden, 17, 23), slots);
    y.insert(y.end(), rest.begin(), rest.end());
    CHECK(bit_equal(y, expected.first));
    CHECK(bit_equal(state_of(slots, 0), expected.second));
}

TEST_CASE("selected outputs are rows of the full output, and the state advances over every token") {
    LayerConfig config = small_config();
    config.residual = GENERATE(false, true);
    const RandomLayer random(config);
    const std::vector<float> x = random_x(config, 30);
    DeltaNetLayer<LayerBackend<>> layer(config, random.split());
    StateSlots slots(config, {.slots = 4});
    Batch batch;
    batch.add({.slot = 2, .n_tokens = 10, .start = Start::fresh})
        .add({.slot = 0, .n_tokens = 20, .start = Start::fresh});
    const std::vector<float> full = run(layer, batch, x, slots);
    const std::vector<float> state = state_of(slots, 0);
    const std::vector<index_t> rows = GENERATE(
        std::vector<index_t>{9, 29}, std::vector<index_t>{29, 3, 3, 0, 17}, std::vector<index_t>{});
    batch.select_outputs(rows);
    const std::vector<float> some = run(layer, batch, x, slots);
    REQUIRE(some.size() == rows.size() * static_cast<std::size_t>(config.hidden));
    std::vector<float> expected;
    for (const index_t row : rows) {
        const std::vector<float> r = rows_of(full, config.hidden, row, 1);
        expected.insert(expected.end(), r.begin(), r.end());
    }
    CHECK(bit_equal(some, expected));
    CHECK(bit_equal(state_of(slots, 0), state));
}

TEST_CASE("pre-norm and residual are the block around the layer") {
    LayerConfig bare = small_config();
    LayerConfig block = bare;
    block.pre_norm = GENERATE(PreNorm::plain, PreNorm::one_plus);
    block.pre_norm_eps = 1e-4;
    block.residual = true;
    const RandomLayer random(bare);
    const std::vector<float> x = random_x(bare, 12);
    std::vector<float> normed = x;
    for (index_t t = 0; t < 12; ++t) {
        double sum = 0.0;
        for (index_t i = 0; i < bare.hidden; ++i)
            sum += std::pow(static_cast<double>(x[RandomLayer::at(t * bare.hidden + i)]), 2);
        for (index_t i = 0; i < bare.hidden; ++i) {
            const double w = static_cast<double>(random.pre_norm[RandomLayer::at(i)]) +
                             (block.pre_norm == PreNorm::one_plus ? 1.0 : 0.0);
            float& value = normed[RandomLayer::at(t * bare.hidden + i)];
            value =
                static_cast<float>(static_cast<double>(value) /
                                   std::sqrt(sum / static_cast<double>(bare.hidden) + 1e-4) * w);
        }
    }
    std::vector<float> expected = whole<LayerBackend<>>(bare, random.split(), normed).first;
    for (std::size_t i = 0; i < x.size(); ++i) expected[i] += x[i];
    CHECK(relative_rms(whole<LayerBackend<>>(block, random.split(), x).first, expected) <= 1e-6);
}

TEST_CASE("the observer sees every stage, and changes nothing") {
    LayerConfig config = small_config();
    config.l2_form = GENERATE(L2Form::rsqrt, L2Form::max);
    config.l2_eps = 0.1;  // so that the two forms differ
    const RandomLayer random(config);
    const std::vector<float> x = random_x(config, 12);
    const bool packed = GENERATE(false, true);
    DeltaNetLayer<LayerBackend<>> layer(config, packed ? random.packed() : random.split());
    StateSlots slots(config, {.slots = 2});
    Batch batch;
    batch.add({.slot = 1, .n_tokens = 5, .start = Start::fresh})
        .add({.slot = 0, .n_tokens = 7, .start = Start::resume});
    const std::vector<float> expected = run(layer, batch, x, slots);
    slots.reset(0);
    slots.reset(1);
    std::vector<std::string> seen;
    std::vector<float> y(x.size());
    layer.forward(
        batch, View<const float, 2>(x.data(), {12, config.hidden}),
        View<float, 2>(y.data(), {12, config.hidden}), slots, {}, [&](const Observation& o) {
            std::string entry = detail::concat(name_of(o.stage), o.part);
            if (o.slot >= 0) entry += detail::concat("@", o.slot);
            seen.push_back(entry + detail::shape_text(o.tensor.shape()));
            CHECK(elements(o.tensor).size() == static_cast<std::size_t>(o.tensor.count()));
        });
    CHECK(bit_equal(y, expected));
    CHECK(seen ==
          std::vector<std::string>{
              "qkv_mixedq[1, 12, 2, 16]", "qkv_mixedk[1, 12, 2, 16]", "qkv_mixedv[1, 12, 2, 48]",
              "z[12, 2, 2, 24]", "conv_output_silu[1, 1, 12, 160]", "q_conv_normed[1, 12, 2, 16]",
              "k_conv_normed[1, 12, 2, 16]", "beta[1, 1, 12, 4]", "gate[1, 1, 12, 4]",
              "state_predelta@1[1, 4, 16, 24]", "state_predelta@0[1, 4, 16, 24]",
              "attn_output[1, 12, 4, 24]", "new_state@1[1, 4, 16, 24]", "new_state@0[1, 4, 16, 24]",
              "attn_out_norm[1, 12, 4, 24]", "linear_attn_out[1, 1, 12, 20]"});

    // One that wants two stages is shown these, and y is the same.
    struct Choosy {
        std::vector<Stage>& seen;
        bool wants(Stage stage) { return stage == Stage::gate || stage == Stage::new_state; }
        void operator()(const Observation& o) { seen.push_back(o.stage); }
    };
    std::vector<Stage> stages;
    slots.reset(0);
    slots.reset(1);
    std::fill(y.begin(), y.end(), 0.0F);
    layer.forward(batch, View<const float, 2>(x.data(), {12, config.hidden}),
                  View<float, 2>(y.data(), {12, config.hidden}), slots, {}, Choosy{stages});
    CHECK(bit_equal(y, expected));
    CHECK(stages == std::vector<Stage>{Stage::gate, Stage::new_state, Stage::new_state});
}
