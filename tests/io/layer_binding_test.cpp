// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Binding: the same layer out of every family's names and packings and every storage type, and an
/// error that names the tensor when something is not as it should be.
#include "checkpoint_builder.hpp"
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/io/layer_binding.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

struct FamilyCase {
    Family family;
    std::string prefix;
};

FamilyCase any_family() {
    return GENERATE(FamilyCase{Family::qwen3_next, "model.layers.2.linear_attn."},
                    FamilyCase{Family::qwen3_5, "model.layers.2.linear_attn."},
                    FamilyCase{Family::qwen3_5, "model.language_model.layers.2.linear_attn."},
                    FamilyCase{Family::olmo_hybrid, "model.layers.2.linear_attn."},
                    FamilyCase{Family::fla, "model.layers.2.attn."});
}

/// y and state of a fresh sequence.
template <class B, class L>
std::vector<float> result_of(const LayerConfig& config, const LayerWeights<L>& weights) {
    DeltaNetLayer<B, L> layer(config, weights);
    StateSlots slots(config, {.slots = 1});
    std::vector<float> y = run(layer, one(70), Random(4).normals(70 * config.hidden), slots);
    const std::vector<float> state = state_of(slots, 0);
    y.insert(y.end(), state.begin(), state.end());
    return y;
}

}  // namespace

TEST_CASE("every family binds to the same bits as its weights bound by hand") {
    const FamilyCase c = any_family();
    LayerConfig config = small_config();
    if (GENERATE(false, true)) {
        config.pre_norm = map_of(c.family).block_norm_form;
        config.residual = true;
    }
    const RandomLayer random(config);
    CheckpointBuilder builder;
    builder.add_layer(c.family, random, c.prefix);
    const bool odd = GENERATE(false, true);  // misaligned floats must be copied, not read in place
    TempDirectory directory;
    const Checkpoint checkpoint =
        Checkpoint::open(directory.write("model.safetensors", builder.bytes(odd)));

    CHECK(find_layer_prefix(checkpoint, c.family, 2) == c.prefix);
    const BoundLayer<> bound = bind_layer(checkpoint, c.family, config, c.prefix);
    const bool packed = c.family == Family::qwen3_next;
    const auto expected =
        result_of<LayerBackend<>>(config, packed ? random.packed() : random.split());
    CHECK(bit_equal(result_of<LayerBackend<>>(bound.config, bound.weights), expected));

    CHECK(bound.storage.size() == (odd ? 1U : 0U) * (bound.weights.in_proj.size() + 1) + 4 +
                                      (config.pre_norm == PreNorm::none ? 0U : 1U));
}

TEST_CASE("16-bit projections give what their values in float32 give") {
    const FamilyCase c = any_family();
    const DType dtype = GENERATE(DType::bf16, DType::f16);
    const LayerConfig config = small_config();
    RandomLayer random(config);
    CheckpointBuilder builder;
    builder.add_layer(c.family, random, c.prefix, dtype);
    TempDirectory directory;
    const Checkpoint checkpoint =
        Checkpoint::open(directory.write("model.safetensors", builder.bytes()));
    for (Matrix* matrix :
         {&random.q, &random.k, &random.v, &random.z, &random.b, &random.a, &random.out}) {
        for (float& w : matrix->values)
            w = dtype == DType::bf16 ? to_float(to_bf16(w)) : to_float(to_f16(w));
    }
    random.pack();
    const auto expected = result_of<LayerBackend<>>(config, random.split());
    const BoundLayer<> bound = bind_layer(checkpoint, c.family, config, c.prefix);
    CHECK(bit_equal(result_of<LayerBackend<>>(config, bound.weights), expected));
    const auto oracle = bind_layer<ReferenceLinear>(checkpoint, c.family, config, c.prefix);
    CHECK(relative_rms(expected, result_of<ReferenceBackend>(config, oracle.weights)) <= 8e-6);
}

TEST_CASE("OLMo-Hybrid as transformers saves it anew: convolutions cut in three, norms renamed") {
    LayerConfig config = small_config(2, 2, 8, 24);
    config.pre_norm = PreNorm::plain;
    const RandomLayer random(config);
    const std::string prefix = "model.layers.0.linear_attn.";
    CheckpointBuilder builder;
    builder.add_layer(Family::olmo_hybrid, random, prefix);
    const index_t cuts[] = {0, 27, 54, config.conv_dim()};
    const char* const names[] = {"q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight"};
    for (std::size_t i = 0; i < 3; ++i) {
        const index_t n = cuts[i + 1] - cuts[i];
        builder.add(prefix + names[i], {n, 1, 4}, rows_of(random.conv.values, 4, cuts[i], n));
    }
    builder.tensors["model.layers.0.attention_layer_norm.weight"] =
        builder.tensors.extract("model.layers.0.input_layernorm.weight").mapped();
    TempDirectory directory;
    const Checkpoint checkpoint =
        Checkpoint::open(directory.write("model.safetensors", builder.bytes()));
    const BoundLayer<> bound = bind_layer(checkpoint, Family::olmo_hybrid, config, prefix);
    CHECK(bit_equal(result_of<LayerBackend<>>(config, bound.weights),
                    result_of<LayerBackend<>>(config, random.split())));
}

TEST_CASE("an output gate that the configuration does not have is not looked for") {
    LayerConfig config = small_config();
    config.gate = OutputGate::none;
    CheckpointBuilder builder;
    builder.add_layer(Family::fla, RandomLayer(config), "model.layers.0.attn.");
    builder.tensors.erase("model.layers.0.attn.g_proj.weight");
    TempDirectory directory;
    const Checkpoint checkpoint =
        Checkpoint::open(directory.write("model.safetensors", builder.bytes()));
    CHECK(bind_layer(checkpoint, Family::fla, config, "model.layers.0.attn.")
              .weights.in_proj.size() == 5);
}

TEST_CASE("binding errors name the tensor") {
    const LayerConfig config = small_config();
    CheckpointBuilder builder;
    const std::string prefix = "model.layers.0.linear_attn.";
    builder.add_layer(Family::qwen3_5, RandomLayer(config), prefix);
    TempDirectory directory;
    const auto path = directory.path() / "model.safetensors";
    const auto bind = [&](const LayerConfig& c) {
        static_cast<void>(directory.write("model.safetensors", builder.bytes()));
        return error_of([&] {
            const Checkpoint checkpoint = Checkpoint::open(path);
            return bind_layer(checkpoint, Family::qwen3_5, c, prefix);
        });
    };
    SECTION("missing") {
        builder.tensors.erase(prefix + "dt_bias");
        const std::string text = bind(config);
        CHECK(text.find(std::string("Checkpoint::tensor: ") + path.string() +
                        ": expected a tensor of that name") == 0);
        CHECK(text.find("\"model.layers.0.linear_attn.dt_bias\"") != std::string::npos);
    }
    SECTION("wrong type") {
        builder.tensors[prefix + "in_proj_z.weight"].dtype = "I32";
        CHECK(bind(config) ==
              "bind_layer: model.layers.0.linear_attn.in_proj_z.weight in " + path.string() +
                  ": expected dtype F32, BF16, F16, Q8_0, Q4_0, Q4_K or Q6_K, found I32");
    }
    SECTION("wrong shape of a projection") {
        LayerConfig wider = config;
        wider.hidden = 21;
        CHECK(bind(wider) == "bind_layer: model.layers.0.linear_attn.in_proj_qkv.weight in " +
                                 path.string() +
                                 ": expected shape [160, 21], found shape [160, 20]");
    }
    SECTION("wrong shape of a small tensor") {
        builder.add(prefix + "norm.weight", {16}, std::vector<float>(16));
        CHECK(bind(config) == "bind_layer: model.layers.0.linear_attn.norm.weight in " +
                                  path.string() + ": expected shape [24], found shape [16]");
    }
    SECTION("convolution") {
        LayerConfig narrow = config;
        narrow.conv_width = 3;
        CHECK(bind(narrow) ==
              "bind_layer: convolution weights: expected 160 rows of 3 taps in all, found "
              "model.layers.0.linear_attn.conv1d.weight [160, 1, 4]");
    }
    SECTION("no norm in front") {
        LayerConfig normed = config;
        normed.pre_norm = PreNorm::one_plus;
        builder.tensors.erase("model.layers.0.input_layernorm.weight");
        CHECK(bind(normed) ==
              "bind_layer: pre_norm: expected one of the tensors "
              "model.layers.0.input_layernorm.weight, found none of them");
    }
    SECTION("no such layer") {
        static_cast<void>(directory.write("model.safetensors", builder.bytes()));
        const Checkpoint checkpoint = Checkpoint::open(path);
        CHECK(error_of([&] { return find_layer_prefix(checkpoint, Family::qwen3_5, 7); }) ==
              "find_layer_prefix: layer 7 of family qwen3_5: expected one of the tensors "
              "model.language_model.layers.7.linear_attn.A_log, model.layers.7.linear_attn.A_log, "
              "language_model.model.layers.7.linear_attn.A_log, found none of them");
    }
}

TEST_CASE("a matrix of the model around the layer") {
    CheckpointBuilder builder;
    builder.add("w", {2, 3}, {1, 2, 3, 4, 5, 6}, DType::f16);
    builder.add("v", {6}, {1, 2, 3, 4, 5, 6});
    builder.tensors["i"] = {"I8", {1, 2}, "ab"};
    TempDirectory directory;
    const Checkpoint checkpoint =
        Checkpoint::open(directory.write("model.safetensors", builder.bytes()));
    const WeightMatrix w = map_matrix(checkpoint, "w");
    CHECK((w.rows() == 2 && w.cols() == 3 && w.format() == WeightFormat::f16));
    std::vector<float> row(3);
    w.load(1, 0, 3, row.data());
    CHECK(row == std::vector<float>{4, 5, 6});
    CHECK(error_of([&] { return map_matrix(checkpoint, "v"); }) ==
          "map_matrix: v: expected 2 dimensions, found 1");
    CHECK(error_of([&] { return map_matrix(checkpoint, "i"); }) ==
          "map_matrix: i: expected dtype F32, BF16, F16, Q8_0, Q4_0, Q4_K or Q6_K, found I8");
}
