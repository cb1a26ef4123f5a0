// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Layers out of GGUF files are the layers that the files were made from, in every arrangement that
/// converters write.
#include "io/gguf_builder.hpp"
#include "io/io_support.hpp"
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/io/gguf_binding.hpp>

#include <cmath>

namespace {

using namespace deltanet;
using namespace deltanet::test;

std::string f32(const std::vector<float>& values) {
    return raw_bytes(std::span<const float>(values));
}
std::string bf16s(const std::vector<float>& values) {
    std::vector<bf16> rounded;
    for (const float value : values) rounded.push_back(to_bf16(value));
    return raw_bytes(std::span<const bf16>(rounded));
}

enum class Arrangement : std::uint8_t { qwen3next, qwen3next_ssm_in, qwen35, qwen35_bf16 };

/// Block 1 of a model of that architecture. One block in two is linear.
GgufBuilder model_of(const RandomLayer& layer, Arrangement arrangement) {
    const LayerConfig& c = layer.config;
    const bool is_next =
        arrangement == Arrangement::qwen3next || arrangement == Arrangement::qwen3next_ssm_in;
    const bool narrow = arrangement == Arrangement::qwen35_bf16;
    const std::string arch = is_next ? "qwen3next" : "qwen35";
    GgufBuilder file;
    const auto number = [&](const char* key, index_t value) {
        file.number(arch + "." + key, static_cast<std::uint32_t>(value));
    };
    file.text("general.architecture", arch);
    number("block_count", 5);
    number("full_attention_interval", 2);
    number("nextn_predict_layers", 1);
    number("embedding_length", c.hidden);
    number("ssm.conv_kernel", c.conv_width);
    number("ssm.inner_size", c.value_dim());
    number("ssm.state_size", c.d_k);
    number("ssm.time_step_rank", c.n_heads_v);
    number("ssm.group_count", c.n_heads_k);
    file.value(arch + ".attention.layer_norm_rms_epsilon", 6, raw(1e-6F));
    const auto extent = [](index_t n) { return static_cast<std::uint64_t>(n); };
    const auto matrix = [&](const char* name, const Matrix& m) {
        file.tensor(std::string("blk.2.") + name, {extent(m.cols), extent(m.rows())},
                    narrow ? 30 : 0, narrow ? bf16s(m.values) : f32(m.values));
    };
    const auto vector = [&](const char* name, std::vector<float> values) {
        file.tensor(std::string("blk.2.") + name, {extent(static_cast<index_t>(values.size()))}, 0,
                    f32(values));
    };
    if (arrangement == Arrangement::qwen3next_ssm_in) {
        matrix("ssm_in.weight", layer.qkvz);
    } else {
        matrix("attn_qkv.weight", layer.qkv);
        matrix("attn_gate.weight", layer.z);
    }
    if (is_next) {
        matrix("ssm_ba.weight", layer.ba);
    } else {
        matrix("ssm_beta.weight", layer.b);
        matrix("ssm_alpha.weight", layer.a);
    }
    matrix("ssm_out.weight", layer.out);
    file.tensor("blk.2.ssm_conv1d.weight", {extent(c.conv_width), extent(c.conv_dim())}, 0,
                f32(layer.conv.values));
    std::vector<float> a = layer.A_log;
    for (float& x : a) x = -std::exp(x);
    file.tensor("blk.2.ssm_a", {1, extent(c.n_heads_v)}, 0, f32(a));
    vector("ssm_dt.bias", layer.dt_bias);
    vector("ssm_norm.weight", layer.norm);
    std::vector<float> norm = layer.pre_norm;
    for (float& x : norm) x += 1.0F;
    vector("attn_norm.weight", norm);
    return file;
}

GgufFile opened(const TempDirectory& directory, const GgufBuilder& builder) {
    return GgufFile::open(directory.write("m.gguf", builder.bytes()));
}

}  // namespace

TEST_CASE("a layer of a GGUF file is the one that it was made from", "[gguf]") {
    const auto arrangement = GENERATE(Arrangement::qwen3next, Arrangement::qwen3next_ssm_in,
                                      Arrangement::qwen35, Arrangement::qwen35_bf16);
    const index_t r = GENERATE(1, 2, 3);
    CAPTURE(static_cast<int>(arrangement), r);
    LayerConfig config = small_config(2, 2 * r, 8, 12, 16);
    config.pre_norm = PreNorm::one_plus;
    config.residual = true;
    RandomLayer grouped(config);
    const bool tiled =
        arrangement == Arrangement::qwen35 || arrangement == Arrangement::qwen35_bf16;
    const RandomLayer stored = tiled ? grouped.tiled() : grouped;
    const TempDirectory directory;
    const GgufFile file = opened(directory, model_of(stored, arrangement));

    const GgufModelConfig model = read_gguf_config(file);
    CHECK(model.linear_layers == std::vector<bool>{true, false, true, false, false});
    CHECK(model.layer.head_map == (tiled ? HeadMap::tiled : HeadMap::grouped));
    CHECK(std::abs(model.norm_eps - 1e-6) < 1e-12);
    LayerConfig wanted = model.layer;
    CHECK(wanted.d_v == 12);
    wanted.pre_norm = PreNorm::plain;
    wanted.residual = true;
    const BoundLayer<> bound = bind_layer(file, wanted, 2);
    DeltaNetLayer<LayerBackend<>> actual(bound.config, bound.weights);
    DeltaNetLayer<LayerBackend<>> expected(config, grouped.split());

    const std::vector<float> x = Random(9).normals(30 * config.hidden);
    StateSlots actual_slots(bound.config, {}), expected_slots(config, {});
    const double error = relative_rms(run(actual, one(30), x, actual_slots),
                                      run(expected, one(30), x, expected_slots));
    // Orders of sums and the way of A_log to -exp(A_log) and back; or weights of 8 bits.
    CHECK(error < (arrangement == Arrangement::qwen35_bf16 ? 4 * 0x1p-8 : 2e-6));
    if (arrangement == Arrangement::qwen35)
        CHECK(bound.storage.size() == 5);  // projections are in the file
}

TEST_CASE("GGUF models that cannot be bound say why", "[gguf]") {
    const LayerConfig config = small_config(2, 4, 8, 12, 16);
    RandomLayer layer(config);
    const TempDirectory directory;
    {
        GgufBuilder other;
        other.text("general.architecture", "llama");
        const GgufFile file = opened(directory, other);
        CHECK(error_of([&] {
                  return read_gguf_config(file);
              }).find("expected qwen3next, qwen35 or qwen35moe, found \"llama\"") !=
              std::string::npos);
    }
    const GgufFile next = opened(directory, model_of(layer, Arrangement::qwen3next));
    CHECK(error_of([&] { return bind_layer(next, config, 1); }).find("blk.1.attn_qkv.weight") !=
          std::string::npos);
    LayerConfig tiled = config;
    tiled.head_map = HeadMap::tiled;
    CHECK(error_of([&] { return bind_layer(next, tiled, 2); }) ==
          "bind_layer: blk.2.ssm_ba.weight: expected grouped heads, in which alone it is written, "
          "found a configuration of tiled ones");
    LayerConfig plus = config;
    plus.pre_norm = PreNorm::one_plus;
    CHECK(error_of([&] { return bind_layer(next, plus, 2); }) ==
          "bind_layer: config.pre_norm: expected plain or none: norms in GGUF files have their 1 "
          "added, found one_plus");
    LayerConfig wide = config;
    wide.hidden = 32;
    CHECK(error_of([&] {
              return bind_layer(next, wide, 2);
          }).find("expected shape [80, 32], found shape [80, 16]") != std::string::npos);

    GgufBuilder positive;
    positive.tensor("blk.0.attn_qkv.weight", {16, 80}, 0, std::string(16 * 80 * 4, '\0'))
        .tensor("blk.0.attn_gate.weight", {16, 48}, 0, std::string(16 * 48 * 4, '\0'))
        .tensor("blk.0.ssm_ba.weight", {16, 8}, 0, std::string(16 * 8 * 4, '\0'))
        .tensor("blk.0.ssm_out.weight", {48, 16}, 0, std::string(16 * 48 * 4, '\0'))
        .tensor("blk.0.ssm_conv1d.weight", {4, 80}, 0, std::string(4 * 80 * 4, '\0'))
        .tensor("blk.0.ssm_a", {4}, 0, f32({-1, -2, 3, -4}));
    const GgufFile wrong = opened(directory, positive);
    CHECK(error_of([&] {
              return bind_layer(wrong, config, 0);
          }).find("expected numbers of at most 0: -exp(A_log), found 3") != std::string::npos);
}
