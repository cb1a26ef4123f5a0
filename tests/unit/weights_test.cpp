// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Where each projection output stands in a row, for split and packed checkpoints, and every way in
/// which a layer's weights are refused.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/linear/callable.hpp>
#include <deltanet/weights.hpp>

#include <functional>
#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

LayerConfig config_of(index_t n_heads_k, index_t r, OutputGate gate = OutputGate::silu) {
    LayerConfig config;
    config.hidden = 20;
    config.n_heads_k = n_heads_k;
    config.n_heads_v = r * n_heads_k;
    config.d_k = 3;
    config.d_v = 5;
    config.gate = gate;
    return config;
}

/// How many segments own each column.
std::vector<int> owners(const LayerConfig& config, const ProjectionLayout& layout) {
    std::vector<int> count(static_cast<std::size_t>(layout.width), 0);
    const index_t r = config.heads_per_group();
    const auto mark = [&](const ProjectionSegment& segment, index_t per_group) {
        for (index_t g = 0; g < config.n_heads_k; ++g) {
            for (index_t i = 0; i < per_group; ++i) {
                ++count.at(static_cast<std::size_t>(segment.offset + g * segment.group_stride + i));
            }
        }
    };
    mark(layout.q, config.d_k);
    mark(layout.k, config.d_k);
    mark(layout.v, r * config.d_v);
    if (config.has_gate()) mark(layout.z, r * config.d_v);
    mark(layout.b, r);
    mark(layout.a, r);
    return count;
}

/// Valid weights of config_of(2, 3): conv_dim 42, value_dim 30, rows of 84 columns.
struct Fixture {
    LayerConfig config = config_of(2, 3);
    std::vector<float> floats = std::vector<float>(1000, 1.0F);
    LayerWeights<CallableLinear<>> weights;

    Fixture() {
        const float* const p = floats.data();
        for (const index_t out : {42, 30, 6, 6}) weights.in_proj.emplace_back(20, out, nullptr);
        weights.layout = ProjectionLayout::split(config);
        weights.conv = {p, {42, 4}};
        weights.A_log = {p, {6}};
        weights.dt_bias = {p, {6}};
        weights.norm = {p, {5}};
        weights.out_proj = {30, 20, nullptr};
    }
    [[nodiscard]] std::string refusal() const {
        return message_of([&] { weights.validate(config); });
    }
};

std::string refusal(const std::function<void(Fixture&)>& spoil) {
    Fixture fixture;
    spoil(fixture);
    return fixture.refusal();
}

const std::string kNothing = "nothing was thrown";

}  // namespace

TEST_CASE("every column belongs to exactly one segment", "[weights]") {
    for (const index_t n_heads_k : {1, 2, 5}) {
        for (const index_t r : {1, 2, 3, 4}) {
            for (const OutputGate gate :
                 {OutputGate::silu, OutputGate::sigmoid, OutputGate::none}) {
                const LayerConfig config = config_of(n_heads_k, r, gate);
                CAPTURE(n_heads_k, r, static_cast<int>(gate));
                const index_t width = config.conv_dim() +
                                      (config.has_gate() ? config.value_dim() : 0) +
                                      2 * config.n_heads_v;
                for (const ProjectionLayout& layout :
                     {ProjectionLayout::split(config), ProjectionLayout::packed(config)}) {
                    CHECK(layout.width == width);
                    CHECK(owners(config, layout) ==
                          std::vector<int>(static_cast<std::size_t>(width), 1));
                    CHECK(message_of([&] { layout.validate(config); }) == kNothing);
                }
            }
        }
    }
}

TEST_CASE("split: q then k then v then z then b then a", "[weights]") {
    const ProjectionLayout layout = ProjectionLayout::split(config_of(2, 3));
    // key_dim 6, value_dim 30, H_v 6
    CHECK(layout.q.offset == 0);
    CHECK(layout.k.offset == 6);
    CHECK(layout.v.offset == 12);
    CHECK(layout.z.offset == 42);
    CHECK(layout.b.offset == 72);
    CHECK(layout.a.offset == 78);
    CHECK(layout.width == 84);
    CHECK(layout.q.group_stride == 3);
    CHECK(layout.k.group_stride == 3);
    CHECK(layout.v.group_stride == 15);
    CHECK(layout.z.group_stride == 15);
    CHECK(layout.b.group_stride == 3);
    CHECK(layout.a.group_stride == 3);
    const ProjectionLayout no_gate = ProjectionLayout::split(config_of(2, 3, OutputGate::none));
    CHECK(no_gate.b.offset == 42);
    CHECK(no_gate.width == 54);
}

TEST_CASE("packed: as transformers interleaves in_proj_qkvz and in_proj_ba", "[weights]") {
    // fix_query_key_value_ordering: groups of d_k | d_k | r d_v | r d_v, then groups of r | r
    const LayerConfig config = config_of(4, 2);
    const ProjectionLayout layout = ProjectionLayout::packed(config);
    const index_t d_k = 3, d_v = 5, r = 2, height = 2 * d_k + 2 * r * d_v, ba = 4 * height;
    for (index_t kh = 0; kh < 4; ++kh) {
        const index_t base = kh * height;
        CHECK(layout.q.offset + kh * layout.q.group_stride == base);
        CHECK(layout.k.offset + kh * layout.k.group_stride == base + d_k);
        CHECK(layout.v.offset + kh * layout.v.group_stride == base + 2 * d_k);
        CHECK(layout.z.offset + kh * layout.z.group_stride == base + 2 * d_k + r * d_v);
        CHECK(layout.b.offset + kh * layout.b.group_stride == ba + kh * 2 * r);
        CHECK(layout.a.offset + kh * layout.a.group_stride == ba + kh * 2 * r + r);
    }
}

TEST_CASE("a segment must lie inside the row and not inside itself", "[weights]") {
    const LayerConfig config = config_of(2, 3);
    const auto refused = [&](const std::function<void(ProjectionLayout&)>& spoil) {
        ProjectionLayout layout = ProjectionLayout::split(config);
        spoil(layout);
        return message_of([&] { layout.validate(config); });
    };
    CHECK(refused([](ProjectionLayout& l) { l.q.offset = -1; }) ==
          "ProjectionLayout: q: expected 2 groups of 3 columns inside [0, 84), found offset -1 and "
          "group stride 3");
    CHECK(refused([](ProjectionLayout& l) { l.k.group_stride = 2; }) ==
          "ProjectionLayout: k: expected 2 groups of 3 columns inside [0, 84), found offset 6 and "
          "group stride 2");
    CHECK(refused([](ProjectionLayout& l) { l.v.offset = 55; }) ==
          "ProjectionLayout: v: expected 2 groups of 15 columns inside [0, 84), found offset 55 "
          "and group stride 15");
    CHECK(refused([](ProjectionLayout& l) { l.v.offset = 54; }) == kNothing);  // ends with the row
    CHECK(refused([](ProjectionLayout& l) { l.z.group_stride = 28; }) ==
          "ProjectionLayout: z: expected 2 groups of 15 columns inside [0, 84), found offset 42 "
          "and group stride 28");
    CHECK(refused([](ProjectionLayout& l) { l.b = {}; }) ==
          "ProjectionLayout: b: expected 2 groups of 3 columns inside [0, 84), found offset 0 and "
          "group stride 0");
    CHECK(refused([](ProjectionLayout& l) { l.width = 83; }) ==
          "ProjectionLayout: a: expected 2 groups of 3 columns inside [0, 83), found offset 78 and "
          "group stride 3");
    // z is not looked at when there is none
    const LayerConfig no_gate = config_of(2, 3, OutputGate::none);
    ProjectionLayout layout = ProjectionLayout::split(no_gate);
    layout.z = {-100, 0};
    CHECK(message_of([&] { layout.validate(no_gate); }) == kNothing);
}

TEST_CASE("weights that fit are accepted however they are packed", "[weights]") {
    CHECK(refusal([](Fixture&) {}) == kNothing);
    CHECK(refusal([](Fixture& f) {
              f.weights.in_proj.clear();
              for (const index_t out : {6, 6, 30, 30, 6, 6})
                  f.weights.in_proj.emplace_back(20, out, nullptr);
          }) == kNothing);
    CHECK(refusal([](Fixture& f) {
              f.weights.layout = ProjectionLayout::packed(f.config);
              f.weights.in_proj.clear();
              for (const index_t out : {72, 12}) f.weights.in_proj.emplace_back(20, out, nullptr);
          }) == kNothing);
    CHECK(refusal([](Fixture& f) { f.weights.conv_bias = {f.floats.data(), {42}}; }) == kNothing);
    CHECK(refusal([](Fixture& f) {
              f.weights.conv = {f.floats.data(), {42, 4}, {1, 42}};
          }) == kNothing);
    CHECK(refusal([](Fixture& f) { f.weights.A_log = {f.floats.data(), {6}, {3}}; }) == kNothing);
    CHECK(refusal([](Fixture& f) {
              f.config.pre_norm = PreNorm::plain;
              f.weights.pre_norm = {f.floats.data(), {20}};
          }) == kNothing);
    CHECK(refusal([](Fixture& f) {
              f.weights.pre_norm = {f.floats.data(), {3}};
          }) == kNothing);  // not looked at
}

TEST_CASE("matrices that do not fit are refused by name", "[weights]") {
    CHECK(refusal([](Fixture& f) {
              f.weights.in_proj[1] = {21, 30, nullptr};
          }) == "LayerWeights: in_proj[1] inputs: expected 20, found 21");
    CHECK(refusal([](Fixture& f) {
              f.weights.in_proj[3] = {20, 7, nullptr};
          }) == "LayerWeights: in_proj outputs together: expected 84, found 85");
    CHECK(refusal([](Fixture& f) { f.weights.in_proj.clear(); }) ==
          "LayerWeights: in_proj outputs together: expected 84, found 0");
    CHECK(refusal([](Fixture& f) {
              f.weights.out_proj = {29, 20, nullptr};
          }) == "LayerWeights: out_proj inputs: expected 30, found 29");
    CHECK(refusal([](Fixture& f) {
              f.weights.out_proj = {30, 19, nullptr};
          }) == "LayerWeights: out_proj outputs: expected 20, found 19");
    CHECK(refusal([](Fixture& f) { f.weights.layout.width = 10; }) ==
          "ProjectionLayout: k: expected 2 groups of 3 columns inside [0, 10), found offset 6 and "
          "group stride 3");
}

TEST_CASE("vectors that do not fit are refused by name", "[weights]") {
    CHECK(refusal([](Fixture& f) {
              f.weights.conv = {f.floats.data(), {42, 3}};
          }) == "LayerWeights: conv: expected shape [42, 4], found shape [42, 3]");
    CHECK(refusal([](Fixture& f) {
              f.weights.conv = {nullptr, {42, 4}};
          }) == "LayerWeights: conv: expected data for shape [42, 4], found a null pointer");
    CHECK(refusal([](Fixture& f) {
              f.weights.conv_bias = {f.floats.data(), {41}};
          }) == "LayerWeights: conv_bias: expected shape [42], found shape [41]");
    CHECK(refusal([](Fixture& f) {
              f.weights.A_log = {f.floats.data(), {2}};
          }) == "LayerWeights: A_log: expected shape [6], found shape [2]");
    CHECK(refusal([](Fixture& f) { f.weights.dt_bias = {}; }) ==
          "LayerWeights: dt_bias: expected shape [6], found shape [0]");
    CHECK(refusal([](Fixture& f) {
              f.weights.norm = {f.floats.data(), {6}};
          }) == "LayerWeights: norm: expected shape [5], found shape [6]");
    CHECK(refusal([](Fixture& f) {
              f.weights.norm = {f.floats.data(), {5}, {2}};
          }) == "LayerWeights: norm: expected innermost stride 1, found strides [2]");
    for (const PreNorm norm : {PreNorm::plain, PreNorm::one_plus}) {
        CHECK(refusal([&](Fixture& f) { f.config.pre_norm = norm; }) ==
              "LayerWeights: pre_norm: expected shape [20], found shape [0]");
        CHECK(refusal([&](Fixture& f) {
                  f.config.pre_norm = norm;
                  f.weights.pre_norm = {f.floats.data(), {20}, {2}};
              }) == "LayerWeights: pre_norm: expected innermost stride 1, found strides [2]");
    }
}
