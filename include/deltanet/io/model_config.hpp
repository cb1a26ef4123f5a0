// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The configuration file of a checkpoint (config.json, as transformers writes it) read for what
/// concerns its linear-attention layers.
#pragma once

#include <deltanet/io/families.hpp>
#include <deltanet/io/mapped_file.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace deltanet {

struct ModelConfig {
    Family family = Family::qwen3_5;
    LayerConfig layer;                ///< of every linear-attention layer; no pre-norm, no residual
    double norm_eps = 1e-6;           ///< of the block norms
    std::vector<bool> linear_layers;  ///< per layer of the model: linear attention?
};

namespace detail {

/// Keys of one JSON object, each with the file's name in what goes wrong.
class ConfigReader {
  public:
    ConfigReader(const nlohmann::json& object, std::string where)
        : object_(object), where_(std::move(where)) {}

    [[nodiscard]] bool has(const char* key) const {
        return object_.contains(key) && !object_[key].is_null();
    }

    [[nodiscard]] index_t integer(const char* key) const {
        const nlohmann::json& value = required(key);
        if (!value.is_number_integer())
            fail("read_model_config", at(key), "an integer", value.dump());
        return value.get<index_t>();
    }
    [[nodiscard]] index_t integer(const char* key, index_t otherwise) const {
        return has(key) ? integer(key) : otherwise;
    }
    [[nodiscard]] double number(const char* key, double otherwise) const {
        if (!has(key)) return otherwise;
        if (!object_[key].is_number())
            fail("read_model_config", at(key), "a number", object_[key].dump());
        return object_[key].get<double>();
    }
    [[nodiscard]] bool flag(const char* key, bool otherwise) const {
        if (!has(key)) return otherwise;
        if (!object_[key].is_boolean())
            fail("read_model_config", at(key), "true or false", object_[key].dump());
        return object_[key].get<bool>();
    }
    [[nodiscard]] std::string word(const char* key, const char* otherwise) const {
        if (!has(key)) return otherwise;
        if (!object_[key].is_string())
            fail("read_model_config", at(key), "a string", object_[key].dump());
        return object_[key].get<std::string>();
    }
    /// Number of layers, of a size that a list of them can have.
    [[nodiscard]] index_t layers() const {
        const index_t n = integer("num_hidden_layers");
        if (n < 1 || n > 100000)
            fail("read_model_config", at("num_hidden_layers"), "1 to 100000", concat(n));
        return n;
    }
    /// Per layer: linear attention? By `layer_types`, or every layer but each interval-th.
    [[nodiscard]] std::vector<bool> linear_layers() const {
        const auto n = static_cast<std::size_t>(layers());
        std::vector<bool> linear(n, true);
        if (!has("layer_types")) {
            const auto interval = static_cast<std::size_t>(
                std::max(index_t{1}, integer("full_attention_interval", 4)));
            for (std::size_t i = 0; i < n; ++i) linear[i] = (i + 1) % interval != 0;
            return linear;
        }
        const nlohmann::json& types = object_["layer_types"];
        if (!types.is_array() || types.size() != n) {
            fail("read_model_config", at("layer_types"),
                 concat("a list of ", n, " entries (num_hidden_layers)"),
                 types.is_array() ? concat(types.size()) : types.dump());
        }
        for (std::size_t i = 0; i < n; ++i) linear[i] = types[i] == "linear_attention";
        return linear;
    }
    [[nodiscard]] std::string at(const char* key) const {
        return concat("\"", key, "\" of ", where_);
    }

  private:
    [[nodiscard]] const nlohmann::json& required(const char* key) const {
        if (!has(key)) fail("read_model_config", at(key), "a value", "none");
        return object_[key];
    }
    const nlohmann::json& object_;
    std::string where_;
};

[[nodiscard]] inline LayerConfig transformers_layer(const ConfigReader& json) {
    LayerConfig layer;
    layer.hidden = json.integer("hidden_size");
    layer.n_heads_k = json.integer("linear_num_key_heads");
    layer.n_heads_v = json.integer("linear_num_value_heads");
    layer.d_k = json.integer("linear_key_head_dim");
    layer.d_v = json.integer("linear_value_head_dim");
    layer.conv_width = json.integer("linear_conv_kernel_dim", 4);
    layer.norm_eps = json.number("rms_norm_eps", 1e-6);
    const std::string gate = json.word("output_gate_type", "swish");
    if (gate != "swish" && gate != "silu" && gate != "sigmoid") {
        fail("read_model_config", json.at("output_gate_type"), "swish, silu or sigmoid", gate);
    }
    layer.gate = gate == "sigmoid" ? OutputGate::sigmoid : OutputGate::silu;
    return layer;
}

/// fla's GatedDeltaNetConfig: one head size, stretched for the values.
[[nodiscard]] inline LayerConfig fla_layer(const ConfigReader& json) {
    LayerConfig layer;
    layer.hidden = json.integer("hidden_size");
    layer.n_heads_k = json.integer("num_heads");
    layer.n_heads_v = json.integer("num_v_heads", layer.n_heads_k);
    layer.d_k = json.integer("head_dim");
    const double d_v = static_cast<double>(layer.d_k) * json.number("expand_v", 2.0);
    layer.d_v = std::abs(d_v) < 1e15 ? static_cast<index_t>(d_v) : 0;  // refused by validate()
    layer.conv_width = json.integer("conv_size", 4);
    layer.norm_eps = json.number("norm_eps", 1e-6);
    layer.beta_doubled = json.flag("allow_neg_eigval", false);
    layer.gate = json.flag("use_gate", true) ? OutputGate::silu : OutputGate::none;
    return layer;
}

[[nodiscard]] inline ModelConfig model_config(const nlohmann::json& root,
                                              const std::string& where) {
    const bool nested = root.contains("text_config") && root["text_config"].is_object();
    const ConfigReader json(nested ? root["text_config"] : root,
                            nested ? concat("text_config in ", where) : where);
    const std::string type = json.word("model_type", "");
    ModelConfig config;
    if (type == "gated_deltanet") {
        config.family = Family::fla;
        config.layer = fla_layer(json);
        config.norm_eps = config.layer.norm_eps;
        config.linear_layers.assign(static_cast<std::size_t>(json.layers()), true);
        return config;
    }
    if (type == "qwen3_next") {
        config.family = Family::qwen3_next;
    } else if (type.starts_with("qwen3_5") || type.starts_with("qwen4_exp")) {
        config.family = Family::qwen3_5;
    } else if (type == "olmo_hybrid") {
        config.family = Family::olmo_hybrid;
    } else {
        fail("read_model_config", json.at("model_type"),
             "qwen3_next, qwen3_5..., qwen4_exp..., olmo_hybrid or gated_deltanet",
             type.empty() ? "none" : type);
    }
    config.layer = transformers_layer(json);
    config.norm_eps = json.number("rms_norm_eps", 1e-6);
    config.linear_layers = json.linear_layers();
    if (config.family == Family::olmo_hybrid) {  // its gated norm does not follow the configuration
        config.layer.norm_eps = 1e-5;
        config.layer.beta_doubled = json.flag("linear_allow_neg_eigval", true);
    }
    return config;
}

}  // namespace detail

/// Reads `path`, a config.json. Throws `Error` naming the key that is missing or of the wrong kind.
[[nodiscard]] inline ModelConfig read_model_config(const std::filesystem::path& path) {
    const MappedFile file = MappedFile::open(path);
    const auto* const text = reinterpret_cast<const char*>(file.bytes().data());
    const nlohmann::json root = nlohmann::json::parse(text, text + file.bytes().size(), nullptr,
                                                      /*allow_exceptions=*/false);
    if (!root.is_object())
        detail::fail("read_model_config", path.string(), "a JSON object", "something else");
    ModelConfig config = detail::model_config(root, path.string());
    config.layer.validate();
    return config;
}

}  // namespace deltanet
