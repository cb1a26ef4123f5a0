// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Where the weights come from: a directory with config.json and safetensors, as transformers saves
/// it, or one GGUF file. They differ in names, in the order of value heads, and in whether norms
/// have their 1 added; nothing of that is seen behind this file.
#pragma once

#include <deltanet/deltanet.hpp>
#include <deltanet/io/gguf_binding.hpp>
#include <deltanet/io/layer_binding.hpp>
#include <deltanet/io/model_config.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace generate {

using deltanet::index_t;

class ModelFiles {
  public:
    explicit ModelFiles(const std::filesystem::path& path) {
        if (path.extension() == ".gguf") {
            gguf_.emplace(deltanet::GgufFile::open(path));
            const deltanet::GgufModelConfig model = deltanet::read_gguf_config(*gguf_);
            set_layer(model.layer, model.norm_eps, deltanet::PreNorm::plain);
            n_layers_ = static_cast<index_t>(model.linear_layers.size());
        } else {
            const deltanet::ModelConfig model = deltanet::read_model_config(path / "config.json");
            family_ = model.family;
            checkpoint_.emplace(deltanet::Checkpoint::open(path));
            set_layer(model.layer, model.norm_eps, deltanet::PreNorm::one_plus);
            n_layers_ = static_cast<index_t>(model.linear_layers.size());
        }
    }

    /// Every layer, with the block's norm in front and the residual behind.
    [[nodiscard]] const deltanet::LayerConfig& layer() const { return layer_; }
    [[nodiscard]] index_t n_layers() const { return n_layers_; }
    /// What norms of blocks add to their weights.
    [[nodiscard]] double norm_offset() const { return gguf_ ? 0.0 : 1.0; }

    /// Layer i, computed as `config` says.
    template <class L>
    [[nodiscard]] deltanet::BoundLayer<L> bind(const deltanet::LayerConfig& config,
                                               index_t i) const {
        if (gguf_) return deltanet::bind_layer<L>(*gguf_, config, i);
        return deltanet::bind_layer<L>(*checkpoint_, family_, config,
                                       deltanet::find_layer_prefix(*checkpoint_, family_, i));
    }

    /// A tensor of block i, or of the model with i = -1, under the name that transformers gives it.
    [[nodiscard]] std::vector<float> floats(const std::string& name, index_t i = -1) const {
        return deltanet::read_float(gguf_ ? gguf_->tensor(gguf_name(name, i))
                                          : checkpoint_->tensor(transformers_name(name, i)));
    }
    /// A matrix, where it lies in the file.
    [[nodiscard]] deltanet::WeightMatrix matrix(const std::string& name, index_t i = -1) const {
        if (gguf_) return deltanet::map_matrix(*gguf_, gguf_name(name, i));
        return deltanet::map_matrix(*checkpoint_, transformers_name(name, i));
    }

  private:
    void set_layer(const deltanet::LayerConfig& layer, double norm_eps, deltanet::PreNorm norm) {
        layer_ = layer;
        layer_.pre_norm = norm;
        layer_.pre_norm_eps = norm_eps;
        layer_.residual = true;
    }

    static std::string transformers_name(const std::string& name, index_t i) {
        return i < 0 ? "model." + name : "model.layers." + std::to_string(i) + "." + name;
    }
    static std::string gguf_name(const std::string& name, index_t i) {
        struct Names {
            const char *transformers, *gguf;
        };
        static constexpr Names names[] = {
            {"embed_tokens.weight", "token_embd.weight"},
            {"norm.weight", "output_norm.weight"},
            {"post_attention_layernorm.weight", "post_attention_norm.weight"},
            {"mlp.gate_proj.weight", "ffn_gate.weight"},
            {"mlp.up_proj.weight", "ffn_up.weight"},
            {"mlp.down_proj.weight", "ffn_down.weight"}};
        for (const Names& n : names) {
            if (name == n.transformers)
                return i < 0 ? n.gguf : "blk." + std::to_string(i) + "." + n.gguf;
        }
        return name;
    }

    std::optional<deltanet::Checkpoint> checkpoint_;
    std::optional<deltanet::GgufFile> gguf_;
    deltanet::Family family_ = deltanet::Family::qwen3_5;
    deltanet::LayerConfig layer_;
    index_t n_layers_ = 0;
};

}  // namespace generate
