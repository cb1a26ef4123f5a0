// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// config.json of each family, and what is said of one that cannot be used.
#include "io_support.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/io/model_config.hpp>
#include <deltanet/models.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

ModelConfig read(const std::string& json) {
    const TempDirectory directory;
    return read_model_config(directory.write("config.json", json));
}

std::string message(const std::string& json) {
    const TempDirectory directory;
    const auto path = directory.write("config.json", json);
    std::string text = error_of([&] { return read_model_config(path); });
    const std::size_t at = text.find(path.string());
    return at == std::string::npos ? text : text.replace(at, path.string().size(), "FILE");
}

bool same_layer(const LayerConfig& a, const LayerConfig& b) {
    return a.hidden == b.hidden && a.n_heads_k == b.n_heads_k && a.n_heads_v == b.n_heads_v &&
           a.d_k == b.d_k && a.d_v == b.d_v && a.conv_width == b.conv_width &&
           a.norm_eps == b.norm_eps && a.l2_eps == b.l2_eps && a.gate == b.gate &&
           a.beta_doubled == b.beta_doubled && a.head_map == b.head_map;
}

const std::string kQwen =
    "\"linear_num_key_heads\":16,\"linear_num_value_heads\":32,\"linear_key_head_dim\":128,"
    "\"linear_value_head_dim\":128,\"linear_conv_kernel_dim\":4,\"rms_norm_eps\":1e-06,\"hidden_"
    "size\":2048";

}  // namespace

TEST_CASE("Qwen3-Next: every fourth layer is full attention unless the file lists them") {
    const ModelConfig config =
        read("{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":8," + kQwen + "}");
    CHECK(config.family == Family::qwen3_next);
    CHECK(same_layer(config.layer, qwen3_next_80b_a3b()));
    CHECK(config.linear_layers ==
          std::vector<bool>{true, true, true, false, true, true, true, false});
    const ModelConfig listed = read(
        "{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":2,\"layer_types\":[\"full_"
        "attention\",\"linear_attention\"]," +
        kQwen + "}");
    CHECK(listed.linear_layers == std::vector<bool>{false, true});
}

TEST_CASE("Qwen3.5: text models, and those with vision whose text part is nested") {
    const std::string text = "\"num_hidden_layers\":2,\"full_attention_interval\":2," + kQwen;
    for (const std::string& json :
         {"{\"model_type\":\"qwen3_5_text\"," + text + "}",
          "{\"model_type\":\"qwen3_5_moe\",\"text_config\":{\"model_type\":\"qwen3_5_moe_text\"," +
              text + "}}"}) {
        const ModelConfig config = read(json);
        CHECK(config.family == Family::qwen3_5);
        CHECK(same_layer(config.layer, qwen3_5_35b_a3b()));
        CHECK(config.linear_layers == std::vector<bool>{true, false});
    }
    CHECK(read("{\"model_type\":\"qwen4_exp_text\",\"output_gate_type\":\"sigmoid\"," + text + "}")
              .layer.gate == OutputGate::sigmoid);
}

TEST_CASE("OLMo-Hybrid and fla") {
    const ModelConfig olmo = read(
        "{\"model_type\":\"olmo_hybrid\",\"num_hidden_layers\":4,\"hidden_size\":3840,\"rms_norm_"
        "eps\":1e-06,"
        "\"linear_num_key_heads\":30,\"linear_num_value_heads\":30,\"linear_key_head_dim\":96,"
        "\"linear_value_head_dim\":192}");
    CHECK(olmo.family == Family::olmo_hybrid);
    CHECK(same_layer(olmo.layer, olmo_hybrid_7b()));
    CHECK(olmo.norm_eps == 1e-6);
    const ModelConfig fla = read(
        "{\"model_type\":\"gated_deltanet\",\"num_hidden_layers\":3,\"hidden_size\":2048,\"num_"
        "heads\":6,\"head_dim\":256,"
        "\"expand_v\":2,\"norm_eps\":1e-05}");
    CHECK(fla.family == Family::fla);
    CHECK(same_layer(fla.layer, fla_gated_deltanet()));
    CHECK(fla.linear_layers.size() == 3);
}

TEST_CASE("what cannot be used is named") {
    CHECK(message("[1]") ==
          "read_model_config: FILE: expected a JSON object, found something else");
    CHECK(message("{\"model_type\":") ==
          "read_model_config: FILE: expected a JSON object, found something else");
    CHECK(message("") == "read_model_config: FILE: expected a JSON object, found something else");
    CHECK(message("{\"model_type\":\"llama\"}") ==
          "read_model_config: \"model_type\" of FILE: expected qwen3_next, qwen3_5..., "
          "qwen4_exp..., olmo_hybrid or "
          "gated_deltanet, found llama");
    CHECK(message("{\"model_type\":\"qwen3_next\"}") ==
          "read_model_config: \"hidden_size\" of FILE: expected a value, found none");
    CHECK(message("{\"model_type\":\"qwen3_next\",\"hidden_size\":\"big\"}") ==
          "read_model_config: \"hidden_size\" of FILE: expected an integer, found \"big\"");
    const std::string qwen = "{\"model_type\":\"qwen3_next\"," + kQwen;
    CHECK(message(qwen + ",\"num_hidden_layers\":9000000000000}") ==
          "read_model_config: \"num_hidden_layers\" of FILE: expected 1 to 100000, found "
          "9000000000000");
    CHECK(message(qwen + ",\"num_hidden_layers\":2,\"layer_types\":[\"linear_attention\"]}") ==
          "read_model_config: \"layer_types\" of FILE: expected a list of 2 entries "
          "(num_hidden_layers), found 1");
    CHECK(message(qwen + ",\"num_hidden_layers\":2,\"output_gate_type\":\"tanh\"}") ==
          "read_model_config: \"output_gate_type\" of FILE: expected swish, silu or sigmoid, found "
          "tanh");
    CHECK(message("{\"model_type\":\"qwen3_next\",\"num_hidden_layers\":2,\"hidden_size\":8,"
                  "\"linear_num_key_heads\":2,"
                  "\"linear_num_value_heads\":3,\"linear_key_head_dim\":4,\"linear_value_head_"
                  "dim\":4}") ==
          "LayerConfig::validate: n_heads_v: expected a multiple of n_heads_k = 2, found 3");
}
