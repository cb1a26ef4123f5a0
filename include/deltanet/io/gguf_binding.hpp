// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Gated DeltaNet layers of GGUF files: architectures qwen3next, qwen35 and qwen35moe, as the
/// converters of llama.cpp and ik_llama.cpp write them. Projections stay where they are in the
/// mapped file.
///
/// What differs from the checkpoints that they are made from: value heads of qwen35 are in tiled
/// order, ssm_a is -exp(A_log), and norms in front of layers have their 1 added already.
#pragma once

#include <deltanet/io/detail/bound_tensors.hpp>
#include <deltanet/io/gguf.hpp>
#include <deltanet/io/layer_binding.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace deltanet {

struct GgufModelConfig {
    std::string architecture;
    LayerConfig layer;                ///< of every linear-attention layer; no pre-norm, no residual
    double norm_eps = 1e-6;           ///< of the block norms, which are `PreNorm::plain` here
    std::vector<bool> linear_layers;  ///< per block of the model: linear attention?
};

/// What the metadata say about the linear-attention layers. Throws `Error` naming the key that is
/// missing or wrong, and for other architectures.
[[nodiscard]] inline GgufModelConfig read_gguf_config(const GgufFile& file) {
    const char* const where = "read_gguf_config";
    const GgufMetadata& metadata = file.metadata();
    GgufModelConfig model;
    model.architecture = metadata.text("general.architecture");
    const bool is_next = model.architecture == "qwen3next";
    if (!is_next && model.architecture != "qwen35" && model.architecture != "qwen35moe") {
        detail::fail(where, detail::concat(file.path(), ": general.architecture"),
                     "qwen3next, qwen35 or qwen35moe", detail::in_quotes(model.architecture));
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

namespace detail {

/// Reads the tensors of one block.
template <LinearOperator L>
class GgufLayerBinder {
  public:
    GgufLayerBinder(const GgufFile& file, index_t block, BoundLayer<L>& bound)
        : tensors_(kName, file, bound.storage),
          prefix_(concat("blk.", block, ".")),
          bound_(bound) {}

    void bind() {
        const LayerConfig& c = bound_.config;
        LayerWeights<L>& w = bound_.weights;
        const bool interleaved_qkvz = tensors_.has(prefix_ + "ssm_in.weight");
        const bool interleaved_ba = tensors_.has(prefix_ + "ssm_ba.weight");
        if ((interleaved_qkvz || interleaved_ba) && c.head_map == HeadMap::tiled &&
            c.heads_per_group() > 1) {
            fail(kName, concat(prefix_, interleaved_ba ? "ssm_ba.weight" : "ssm_in.weight"),
                 "grouped heads, in which alone it is written", "a configuration of tiled ones");
        }
        if (interleaved_qkvz) {
            project("ssm_in.weight", c.conv_dim() + c.value_dim());
        } else {
            project("attn_qkv.weight", c.conv_dim());
            project("attn_gate.weight", c.value_dim());
        }
        if (interleaved_ba) {
            project("ssm_ba.weight", 2 * c.n_heads_v);
        } else {
            project("ssm_beta.weight", c.n_heads_v);
            project("ssm_alpha.weight", c.n_heads_v);
        }
        w.layout = interleaved_qkvz ? ProjectionLayout::packed(c) : ProjectionLayout::split(c);
        const ProjectionLayout ba =
            interleaved_ba ? ProjectionLayout::packed(c) : ProjectionLayout::split(c);
        w.layout.b = ba.b;
        w.layout.a = ba.a;
        w.out_proj = matrix("ssm_out.weight", c.hidden, c.value_dim());
        const std::string conv = prefix_ + "ssm_conv1d.weight";
        w.conv = {tensors_.keep(read_float(tensors_.tensor(conv, {c.conv_dim(), c.conv_width}))),
                  {c.conv_dim(), c.conv_width}};
        w.A_log = log_decay_rate();
        w.dt_bias = tensors_.vector(prefix_ + "ssm_dt.bias", c.n_heads_v);
        w.norm = tensors_.vector(prefix_ + "ssm_norm.weight", c.d_v);
        if (c.pre_norm != PreNorm::none)
            w.pre_norm = tensors_.vector(prefix_ + "attn_norm.weight", c.hidden);
    }

  private:
    static constexpr const char* kName = "bind_layer";

    [[nodiscard]] L matrix(std::string_view name, index_t out, index_t in) {
        return tensors_.template projection<L>(prefix_ + std::string(name), out, in);
    }
    void project(std::string_view name, index_t width) {
        bound_.weights.in_proj.push_back(matrix(name, width, bound_.config.hidden));
    }

    /// A_log of the -exp(A_log) in the file.
    [[nodiscard]] View<const float, 1> log_decay_rate() {
        const std::string name = prefix_ + "ssm_a";
        const index_t n = bound_.config.n_heads_v;
        std::vector<float> values = read_float(tensors_.tensor(name, {n}));
        for (float& a : values) {
            if (!(a <= 0.0F)) {
                fail(kName, concat(name, " in ", tensors_.source().path()),
                     "numbers of at most 0: -exp(A_log)", concat(a));
            }
            a = static_cast<float>(std::log(-static_cast<double>(a)));
        }
        return {tensors_.keep(std::move(values)), {n}};
    }

    BoundTensors<GgufFile> tensors_;
    std::string prefix_;
    BoundLayer<L>& bound_;
};

}  // namespace detail

/// The layer in block `block` of the file, which must outlive it. `config` says the sizes, which
/// the tensors are checked against; with `config.pre_norm`, which is `PreNorm::plain` in GGUF
/// files, the norm of the block is bound as well. Throws `Error` naming the tensor that is missing,
/// with those that are like it, or has the wrong shape or type. L is built from a `WeightMatrix`.
template <LinearOperator L = EigenLinear>
[[nodiscard]] BoundLayer<L> bind_layer(const GgufFile& file, const LayerConfig& config,
                                       index_t block) {
    config.validate();
    if (config.pre_norm == PreNorm::one_plus) {
        detail::fail("bind_layer", "config.pre_norm",
                     "plain or none: norms in GGUF files have their 1 added", "one_plus");
    }
    BoundLayer<L> bound;
    bound.config = config;
    detail::GgufLayerBinder<L>(file, block, bound).bind();
    bound.weights.validate(config);
    return bound;
}

}  // namespace deltanet
