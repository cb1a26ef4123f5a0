// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a caller gets for every mistake in a forward call: a message that says where and what, and
/// outputs and states exactly as they were.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

struct Call {
    LayerConfig config = small_config();
    RandomLayer random{config};
    DeltaNetLayer<LayerBackend<>> layer{config, random.split()};
    StateSlots slots{config, {.slots = 4}};
    Batch batch = one(6, Start::resume, 1);
    std::vector<float> memory = Random(1).normals(40 * 20);
    View<const float, 2> x{memory.data(), {6, 20}};
    View<float, 2> y{memory.data() + 400, {6, 20}};
    ForwardOptions options;

    /// The message, after checking that nothing was written.
    std::string message() {
        for (index_t s = 0; s < 4; ++s) slots.recurrent(0)(s, 0, 0, 0) = 5.0F;
        const std::vector<float> memory_before = memory;
        const std::vector<float> state_before = state_of(slots, 1);
        std::string text = message_of([&] { layer.forward(batch, x, y, slots, options); });
        CHECK(bit_equal(memory, memory_before));
        CHECK(bit_equal(state_of(slots, 1), state_before));
        return text;
    }
};

}  // namespace

TEST_CASE("forward says what is wrong with x and y") {
    Call call;
    SECTION("token counts that do not add up") {
        call.x = {call.memory.data(), {7, 20}};
        CHECK(call.message() ==
              "DeltaNetLayer::forward: x: expected shape [6, 20], found shape [7, 20]");
    }
    SECTION("hidden size") {
        call.x = {call.memory.data(), {6, 19}};
        CHECK(call.message() ==
              "DeltaNetLayer::forward: x: expected shape [6, 20], found shape [6, 19]");
    }
    SECTION("null") {
        call.x = {nullptr, {6, 20}};
        CHECK(call.message() ==
              "DeltaNetLayer::forward: x: expected data for shape [6, 20], found a null pointer");
    }
    SECTION("columns apart") {
        call.x = {call.memory.data(), {6, 20}, {1, 6}};
        CHECK(call.message() ==
              "DeltaNetLayer::forward: x: expected innermost stride 1, found strides [1, 6]");
    }
    SECTION("y of another size") {
        call.y = {call.memory.data() + 400, {5, 20}};
        CHECK(call.message() ==
              "DeltaNetLayer::forward: y: expected shape [6, 20], found shape [5, 20]");
    }
    SECTION("y must have a row for each selected output") {
        const std::vector<index_t> rows{5, 0};
        call.batch.select_outputs(rows);
        CHECK(call.message() ==
              "DeltaNetLayer::forward: y: expected shape [2, 20], found shape [6, 20]");
    }
    SECTION("rows of y that overlap") {
        call.y = {call.memory.data() + 400, {6, 20}, {19, 1}};
        CHECK(call.message() ==
              "DeltaNetLayer::forward: y: expected strides under which no two indices share an "
              "element, found shape "
              "[6, 20] with strides [19, 1]");
    }
    SECTION("y over x") {
        call.y = {call.memory.data() + 119, {6, 20}};
        CHECK(call.message() ==
              "DeltaNetLayer::forward: y: expected memory apart from that of x, found memory that "
              "overlaps it");
    }
}

TEST_CASE("forward says what is wrong with slots, layer and workspace") {
    Call call;
    SECTION("slot out of range") {
        call.batch = one(6, Start::fresh, 4);
        CHECK(call.message() ==
              "DeltaNetLayer::forward: sequences[0].slot: expected 0 to 3, found 4");
    }
    SECTION("layer out of range") {
        call.options.layer = 1;
        CHECK(call.message() == "DeltaNetLayer::forward: layer: expected 0 to 0, found 1");
    }
    SECTION("slots of another shape") {
        StateSlots other(small_config(2, 4, 16, 16), {.slots = 4});
        CHECK(message_of([&] { call.layer.forward(call.batch, call.x, call.y, other); }) ==
              "DeltaNetLayer::forward: slots: expected state of [H_v, d_k, d_v, conv_dim] = [4, "
              "16, 24, 160] and 3 conv "
              "taps, found [4, 16, 16, 128] and 3");
    }
    SECTION("slots of another convolution") {
        LayerConfig config = call.config;
        config.conv_width = 3;
        StateSlots other(config, {.slots = 4});
        CHECK(message_of([&] { call.layer.forward(call.batch, call.x, call.y, other); }) ==
              "DeltaNetLayer::forward: slots: expected state of [H_v, d_k, d_v, conv_dim] = [4, "
              "16, 24, 160] and 3 conv "
              "taps, found [4, 16, 24, 160] and 2");
    }
    SECTION("workspace too small") {
        alignas(64) std::byte few[64];
        Workspace workspace{std::span<std::byte>(few)};
        call.options.workspace = &workspace;
        const std::string needed = std::to_string(call.layer.workspace_bytes(6));
        CHECK(call.message() ==
              "Workspace: memory: expected at least " + needed + " bytes, found 64 bytes");
    }
}

TEST_CASE("a layer is refused when configuration and weights do not fit") {
    const LayerConfig config = small_config();
    const RandomLayer random(config);
    const auto construct = [&](LayerConfig c, LayerWeights<EigenLinear> w) {
        return message_of([&] { DeltaNetLayer<LayerBackend<>> layer(c, std::move(w)); });
    };
    SECTION("H_v not a multiple of H_k") {
        LayerConfig wrong = config;
        wrong.n_heads_v = 5;
        CHECK(construct(wrong, random.split()) ==
              "LayerConfig::validate: n_heads_v: expected a multiple of n_heads_k = 2, found 5");
    }
    SECTION("a projection is missing") {
        LayerWeights<EigenLinear> w = random.split();
        w.in_proj.pop_back();
        CHECK(construct(config, w) ==
              "LayerWeights: in_proj outputs together: expected 264, found 260");
    }
    SECTION("a projection of another hidden size") {
        LayerConfig wrong = config;
        wrong.hidden = 21;
        CHECK(construct(wrong, random.split()) ==
              "LayerWeights: in_proj[0] inputs: expected 21, found 20");
    }
    SECTION("out projection") {
        LayerWeights<EigenLinear> w = random.split();
        w.out_proj = EigenLinear(random.q.view());
        CHECK(construct(config, w) == "LayerWeights: out_proj inputs: expected 96, found 20");
    }
    SECTION("convolution weights transposed") {
        LayerWeights<EigenLinear> w = random.split();
        w.conv = View<const float, 2>(random.conv.values.data(), {4, 160});
        CHECK(construct(config, w) ==
              "LayerWeights: conv: expected shape [160, 4], found shape [4, 160]");
    }
    SECTION("a small vector forgotten") {
        LayerWeights<EigenLinear> w = random.split();
        w.A_log = {};
        CHECK(construct(config, w) == "LayerWeights: A_log: expected shape [4], found shape [0]");
    }
    SECTION("a pre-norm asked for and not given") {
        LayerConfig normed = config;
        normed.pre_norm = PreNorm::plain;
        LayerWeights<EigenLinear> w = random.split();
        w.pre_norm = {};
        CHECK(construct(normed, w) ==
              "LayerWeights: pre_norm: expected shape [20], found shape [0]");
    }
}
