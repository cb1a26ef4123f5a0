// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the metadata of a GGUF file say about the linear-attention layers of its model:
/// architectures qwen3next, qwen35 and qwen35moe.
#pragma once

#include <deltanet/io/gguf.hpp>
#include <deltanet/layer_config.hpp>

#include <string>
#include <vector>

namespace deltanet {

struct GgufModelConfig {
    std::string architecture;
    LayerConfig layer;                ///< of every linear-attention layer; no pre-norm, no residual
    double norm_eps = 1e-6;           ///< of the block norms, which are `PreNorm::plain` here
    std::vector<bool> linear_layers;  ///< per block of the model: linear attention?
};

namespace detail {

/// Why a layer of Kimi Delta Attention is refused.
inline constexpr std::string_view kChannelDecays =
    ", with a decay per key channel (Kimi Delta Attention), which DeltaNetLayer does not have";

}  // namespace detail

/// What the metadata say about the linear-attention layers. Throws `Error` naming the key that is
/// missing or wrong, and for other architectures; those of Kimi and Ling are told apart by their
/// decay per key channel.
[[nodiscard]] inline GgufModelConfig read_gguf_config(const GgufFile& file) {
    const char* const where = "read_gguf_config";
    const GgufMetadata& metadata = file.metadata();
    GgufModelConfig model;
    model.architecture = metadata.text("general.architecture");
    const bool is_next = model.architecture == "qwen3next";
    if (!is_next && model.architecture != "qwen35" && model.architecture != "qwen35moe") {
        // Kimi-Linear, Ling: detail::GgufLayerBinder takes their names where the decay is a scalar.
        const bool channels =
            metadata.find(detail::concat(model.architecture, ".kda.head_dim")) != nullptr;
        detail::fail(where, detail::concat(file.path(), ": general.architecture"),
                     "qwen3next, qwen35 or qwen35moe",
                     detail::concat(detail::in_quotes(model.architecture),
                                    channels ? detail::kChannelDecays : std::string_view()));
    }
    const auto key = [&](const char* name) {
        return detail::concat(model.architecture, ".", name);
    };
    LayerConfig& layer = model.layer;
    layer.hidden = metadata.integer(key("embedding_length"));
    layer.n_heads_k = metadata.integer(key("ssm.group_count"));
    layer.n_heads_v = metadata.integer(key("ssm.time_step_rank"));
    layer.d_k = metadata.integer(key("ssm.state_size"));
    const index_t inner = metadata.integer(key("ssm.inner_size"));
    if (layer.n_heads_v < 1 || inner % layer.n_heads_v != 0) {
        detail::fail(where, detail::concat(file.path(), ": ", key("ssm.inner_size")),
                     detail::concat("a multiple of the ", layer.n_heads_v, " value heads"),
                     detail::concat(inner));
    }
    layer.d_v = inner / layer.n_heads_v;
    layer.conv_width = metadata.integer(key("ssm.conv_kernel"), 4);
    layer.head_map = is_next ? HeadMap::grouped : HeadMap::tiled;
    model.norm_eps = metadata.number(key("attention.layer_norm_rms_epsilon"), 1e-6);
    layer.norm_eps = model.norm_eps;
    layer.validate();

    const index_t blocks = metadata.integer(key("block_count"));
    const index_t drafting = metadata.integer(key("nextn_predict_layers"), 0);  // full attention
    const index_t interval = metadata.integer(key("full_attention_interval"), 4);
    if (blocks < 1 || blocks > 100000 || drafting < 0 || drafting > blocks || interval < 1) {
        detail::fail(
            where, detail::concat(file.path(), ": ", key("block_count")),
            "1 to 100000 blocks, no more of them for drafts, and an interval of at least 1",
            detail::concat(blocks, ", ", drafting, " and ", interval));
    }
    for (index_t i = 0; i < blocks; ++i)
        model.linear_layers.push_back(i < blocks - drafting && (i + 1) % interval != 0);
    return model;
}

}  // namespace deltanet
