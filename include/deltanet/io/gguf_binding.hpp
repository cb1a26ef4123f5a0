// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Gated DeltaNet layers of GGUF files, as the converters of llama.cpp and ik_llama.cpp write them.
/// Projections stay where they are in the mapped file.
///
/// What differs from the checkpoints that they are made from: value heads of qwen35 are in tiled
/// order, ssm_a is exp(A_log) with a sign, and norms in front of layers have their 1 added already.
/// The names are those of Qwen's files and, for layers with a decay per head, of Kimi's and Ling's.
#pragma once

#include <deltanet/io/detail/bound_tensors.hpp>
#include <deltanet/io/gguf.hpp>
#include <deltanet/io/gguf_config.hpp>
#include <deltanet/io/layer_binding.hpp>

#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deltanet {

namespace detail {

/// Reads the tensors of one block. Where files of different converters have different names, the
/// names that are there decide.
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
        check_decays();
        const ProjectionLayout split = ProjectionLayout::split(c);
        w.layout = has("ssm_in.weight") ? ProjectionLayout::packed(c) : split;
        bind_queries_to_gate();
        const ProjectionLayout ba = has("ssm_ba.weight") ? ProjectionLayout::packed(c) : split;
        w.layout.b = ba.b;
        w.layout.a = ba.a;
        bind_gates();
        w.out_proj =
            L(matrix(one_of("ssm_out.weight", "attn_output.weight"), c.hidden, c.value_dim()));
        w.conv = convolution();
        w.A_log = log_decay_rates();
        w.dt_bias = tensors_.vector(prefix_ + "ssm_dt.bias", c.n_heads_v);
        w.norm = tensors_.vector(prefix_ + "ssm_norm.weight", c.d_v);
        if (c.pre_norm != PreNorm::none)
            w.pre_norm = tensors_.vector(prefix_ + "attn_norm.weight", c.hidden);
    }

  private:
    static constexpr const char* kName = "bind_layer";

    [[nodiscard]] bool has(std::string_view name) const {
        return tensors_.has(prefix_ + std::string(name));
    }
    /// The first of the names that the block has, or the first for a message that it is missing.
    template <class... Names>
    [[nodiscard]] std::string_view one_of(std::string_view first, Names... others) const {
        for (const std::string_view name : {first, std::string_view(others)...}) {
            if (has(name)) return name;
        }
        return first;
    }
    [[nodiscard]] WeightMatrix matrix(std::string_view name, index_t out, index_t in) {
        return tensors_.matrix(prefix_ + std::string(name), out, in);
    }
    void project(std::string_view name, index_t width) {
        bound_.weights.in_proj.push_back(L(matrix(name, width, bound_.config.hidden)));
    }
    /// What Kimi's files have in two pieces, up times down; Ling's have one, of either name.
    void project(std::string_view first, std::string_view whole, std::string_view down,
                 std::string_view up, index_t width) {
        if (!has(up)) return project(one_of(first, whole, down), width);
        bound_.weights.in_proj.push_back(L(tensors_.product(
            prefix_ + std::string(up), prefix_ + std::string(down), width, bound_.config.hidden)));
    }

    /// Kimi Delta Attention has the same names, but a decay for every key channel.
    void check_decays() const {
        const LayerConfig& c = bound_.config;
        const std::string name =
            prefix_ + std::string(one_of("ssm_f_b.weight", "ssm_f_a.weight", "ssm_f.weight"));
        const TensorInfo* const found = tensors_.source().find(name);
        if (found == nullptr || found->shape.empty()) return;
        const index_t rows = found->shape[found->shape.size() == 1 ? 0 : found->shape.size() - 2];
        if (rows != c.n_heads_v && rows == c.n_heads_v * c.d_k) {
            fail(kName, tensors_.where(name), concat(c.n_heads_v, " rows, one per value head"),
                 concat(rows, kChannelDecays));
        }
    }

    void bind_queries_to_gate() {
        const LayerConfig& c = bound_.config;
        const index_t z = c.has_gate() ? c.value_dim() : 0;
        check_grouped("ssm_in.weight");
        if (has("ssm_in.weight")) return project("ssm_in.weight", c.conv_dim() + z);
        if (has("ssm_conv1d_q.weight")) {  // full attention has an attn_q too
            project("attn_q.weight", c.key_dim());
            project("attn_k.weight", c.key_dim());
            project("attn_v.weight", c.value_dim());
        } else {
            project("attn_qkv.weight", c.conv_dim());
        }
        if (z > 0)
            project("attn_gate.weight", "ssm_g.weight", "ssm_g_a.weight", "ssm_g_b.weight", z);
    }

    void bind_gates() {
        const index_t heads = bound_.config.n_heads_v;
        check_grouped("ssm_ba.weight");
        if (has("ssm_ba.weight")) return project("ssm_ba.weight", 2 * heads);
        project("ssm_beta.weight", heads);
        project("ssm_alpha.weight", "ssm_f.weight", "ssm_f_a.weight", "ssm_f_b.weight", heads);
    }

    void check_grouped(std::string_view interleaved) const {
        const LayerConfig& c = bound_.config;
        if (has(interleaved) && c.head_map == HeadMap::tiled && c.heads_per_group() > 1) {
            fail(kName, tensors_.where(prefix_ + std::string(interleaved)),
                 "grouped heads, in which alone it is written", "a configuration of tiled ones");
        }
    }

    /// Rows of one tensor, or of three, one after another.
    [[nodiscard]] View<const float, 2> convolution() {
        const LayerConfig& c = bound_.config;
        std::vector<float> taps;
        const auto append = [&](std::string_view name, index_t channels) {
            const std::vector<float> rows =
                read_float(tensors_.tensor(prefix_ + std::string(name), {channels, c.conv_width}));
            taps.insert(taps.end(), rows.begin(), rows.end());
        };
        if (has("ssm_conv1d_q.weight")) {
            append("ssm_conv1d_q.weight", c.key_dim());
            append("ssm_conv1d_k.weight", c.key_dim());
            append("ssm_conv1d_v.weight", c.value_dim());
        } else {
            append("ssm_conv1d.weight", c.conv_dim());
        }
        return {tensors_.keep(std::move(taps)), {c.conv_dim(), c.conv_width}};
    }

    /// A_log of the exp(A_log) in the file, which Qwen's and Kimi's converters write with a minus
    /// and Ling's with a plus. A decay rate is positive, so the numbers say which; but not both.
    [[nodiscard]] View<const float, 1> log_decay_rates() {
        const std::string name = prefix_ + "ssm_a";
        const index_t n = bound_.config.n_heads_v;
        std::vector<float> values = read_float(tensors_.tensor(name, {n}));
        const bool negative = std::accumulate(values.begin(), values.end(), 0.0) <= 0.0;
        for (float& a : values) {
            const double rate = negative ? -static_cast<double>(a) : static_cast<double>(a);
            if (!(rate >= 0.0) || std::isinf(rate)) {
                fail(kName, tensors_.where(name),
                     negative ? "finite numbers of at most 0, like most of them: -exp(A_log)"
                              : "finite numbers of at least 0, like most of them: exp(A_log)",
                     concat(a));
            }
            a = static_cast<float>(std::log(rate));
        }
        if (!negative) check_softplus(name);
        return {tensors_.keep(std::move(values)), {n}};
    }

    /// Where converters write exp(A_log) with a plus, models may have another gate.
    void check_softplus(const std::string& name) const {
        const GgufMetadata& metadata = tensors_.source().metadata();
        const GgufValue* const architecture = metadata.find("general.architecture");
        const std::optional<std::string_view> text =
            architecture == nullptr ? std::nullopt : architecture->text();
        const std::string key = concat(text.value_or(""), ".kda.gate_lower_bound");
        if (metadata.find(key) != nullptr) {
            fail(kName, tensors_.where(name),
                 "softplus gates, the only ones that DeltaNetLayer has",
                 concat(in_quotes(key), ": a gate with a lower bound"));
        }
    }

    BoundTensors<GgufFile> tensors_;
    std::string prefix_;
    BoundLayer<L>& bound_;
};

}  // namespace detail

/// The layer in block `block` of the file, which must outlive it. `config` says the sizes, which
/// the tensors are checked against; with `config.pre_norm`, which is `PreNorm::plain` in GGUF
/// files, the norm of the block is bound as well. Projections that a file has in two pieces
/// (ssm_g_a and ssm_g_b) are multiplied out, to floats. Throws `Error` naming the tensor that is
/// missing, with those that are like it, or has the wrong shape or type, or decays of Kimi Delta
/// Attention. L is built from a `WeightMatrix`.
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
