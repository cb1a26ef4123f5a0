// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A small language model of the Qwen3.5 architecture with nothing but linear attention: byte
/// embedding, blocks of { Gated DeltaNet layer, MLP }, final norm, tied output matrix. The layers
/// are the library's; the few lines around them are what an engine already has.
#pragma once

#include "model_files.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/linear/quantized.hpp>

#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace generate {

using deltanet::View;
using Backend = deltanet::CpuBackend<>;

/// What the model's recurrent states are stored as, what its prefill multiplies in, how many tokens
/// can be taken back, and how many states there are.
struct ModelOptions {
    deltanet::DType state = deltanet::DType::f32;
    deltanet::ScanCompute scan = deltanet::ScanCompute::f32;
    index_t rollback = 0;
    index_t slots = 1;
};

/// One sequence at a time, in slot 0. The weights stay in the mapped file, as they are stored; L
/// multiplies by them.
template <class L>
class BasicLanguageModel {
  public:
    /// `path`: a directory that transformers saved, or a GGUF file.
    explicit BasicLanguageModel(const std::filesystem::path& path, const ModelOptions& options = {})
        : files_(path),
          layer_(files_.layer()),
          slots_(layer_, {.slots = options.slots,
                          .layers = n_layers(),
                          .state = options.state,
                          .rollback = options.rollback}) {
        layer_.scan_compute = options.scan;
        for (index_t i = 0; i < n_layers(); ++i) {
            blocks_.emplace_back(files_.bind<L>(layer_, i));
            Block& block = blocks_.back();
            block.mlp_norm = files_.floats("post_attention_layernorm.weight", i);
            block.gate = files_.matrix("mlp.gate_proj.weight", i);
            block.up = files_.matrix("mlp.up_proj.weight", i);
            block.down = files_.matrix("mlp.down_proj.weight", i);
        }
        final_norm_ = files_.floats("norm.weight");
        output_ = files_.matrix("embed_tokens.weight");  // tied
        const deltanet::WeightMatrix embedding = files_.matrix("embed_tokens.weight");
        embedding_.resize(size(embedding.rows() * embedding.cols()));
        for (index_t row = 0; row < embedding.rows(); ++row)
            embedding.load(row, 0, layer_.hidden, embedding_.data() + row * layer_.hidden);
    }

    [[nodiscard]] index_t vocabulary() const { return output_.out_features(); }
    [[nodiscard]] index_t n_layers() const { return files_.n_layers(); }
    [[nodiscard]] const deltanet::LayerConfig& layer() const { return layer_; }

    /// Logits [n, vocabulary] of n more tokens: of the first ones after `Start::fresh`, else of
    /// those that follow what was fed before. Several tokens take the chunked path through the
    /// delta rule, one the recurrent path. `parents` and
    /// `snapshots`: see `deltanet::BatchSequence`.
    const std::vector<float>& feed(const std::vector<int>& tokens, deltanet::Start start,
                                   const std::vector<index_t>& parents = {},
                                   const std::vector<deltanet::Snapshot>& snapshots = {}) {
        const auto n = static_cast<index_t>(tokens.size());
        const index_t hidden = layer_.hidden;
        x_.resize(size(n * hidden));
        y_.resize(size(n * hidden));
        for (index_t t = 0; t < n; ++t) {
            const auto row = embedding_.begin() + tokens[size(t)] * hidden;
            std::copy_n(row, hidden, x_.begin() + t * hidden);
        }
        batch_.clear();
        batch_.add(
            {.slot = 0, .n_tokens = n, .start = start, .parents = parents, .snapshots = snapshots});
        for (index_t i = 0; i < n_layers(); ++i) {
            // y = x + DeltaNet(norm(x)): norm and residual belong to the layer, see ModelFiles
            blocks_[size(i)].layer.forward(batch_, rows(x_, n, hidden), rows(y_, n, hidden), slots_,
                                           {.layer = i, .workspace = &workspace_});
            mlp(blocks_[size(i)], n);
            std::swap(x_, y_);
        }
        norm(final_norm_, rows(x_, n, hidden), rows(y_, n, hidden));
        logits_.resize(size(n * vocabulary()));
        apply(output_, rows(y_, n, hidden), rows(logits_, n, vocabulary()));
        return logits_;
    }

    /// Slot 0 is the sequence.
    [[nodiscard]] deltanet::StateSlots& slots() { return slots_; }

    /// The recurrent states of all layers, one after the other.
    [[nodiscard]] std::vector<float> states() const {
        const deltanet::LayerConfig& c = layer_;
        const index_t count = c.n_heads_v * c.d_k * c.d_v;
        std::vector<float> all(size(n_layers() * count));
        for (index_t i = 0; i < n_layers(); ++i) {
            deltanet::export_recurrent(
                slots_, 0, i, View<float, 3>(all.data() + i * count, {c.n_heads_v, c.d_k, c.d_v}),
                deltanet::StateOrder::k_first);
        }
        return all;
    }

  private:
    struct Block {
        explicit Block(deltanet::BoundLayer<L> bound)
            : weights(std::move(bound)), layer(weights.config, weights.weights) {}
        deltanet::BoundLayer<L> weights;
        deltanet::DeltaNetLayer<Backend, L> layer;
        std::vector<float> mlp_norm;
        L gate, up, down;
    };

    static std::size_t size(index_t n) { return static_cast<std::size_t>(n); }
    static View<float, 2> rows(std::vector<float>& values, index_t n, index_t width) {
        return {values.data(), {n, width}};
    }

    void norm(const std::vector<float>& weight, View<const float, 2> in, View<float, 2> out) {
        deltanet::rmsnorm(backend_,
                          deltanet::RmsNormArgs<float>{.input = in,
                                                       .weight = {weight.data(), {in.size(1)}},
                                                       .output = out,
                                                       .eps = layer_.pre_norm_eps,
                                                       .weight_offset = files_.norm_offset()});
    }

    void apply(const L& w, View<const float, 2> in, View<float, 2> out) {
        w(in, out, workspace_.acquire(w.scratch_bytes(in.size(0), 1)), backend_.executor());
    }

    /// y += down(silu(gate(norm(y))) * up(norm(y)))
    void mlp(const Block& block, index_t n) {
        const index_t hidden = layer_.hidden;
        const index_t inner = block.gate.out_features();
        x_.resize(size(n * hidden));
        gate_.resize(size(n * inner));
        up_.resize(size(n * inner));
        norm(block.mlp_norm, rows(y_, n, hidden), rows(x_, n, hidden));
        apply(block.gate, rows(x_, n, hidden), rows(gate_, n, inner));
        apply(block.up, rows(x_, n, hidden), rows(up_, n, inner));
        for (std::size_t i = 0; i < gate_.size(); ++i)
            gate_[i] *= up_[i] / (1.0F + std::exp(-gate_[i]));
        apply(block.down, rows(gate_, n, inner), rows(x_, n, hidden));
        for (std::size_t i = 0; i < y_.size(); ++i) y_[i] += x_[i];
    }

    ModelFiles files_;
    deltanet::LayerConfig layer_;
    deltanet::StateSlots slots_;
    std::vector<Block> blocks_;
    std::vector<float> final_norm_, embedding_;
    L output_;

    Backend backend_;
    deltanet::Batch batch_;
    deltanet::Workspace workspace_;
    std::vector<float> x_, y_, gate_, up_, logits_;
};

/// Blocks of quantised files are multiplied as the integers that they are.
using LanguageModel = BasicLanguageModel<deltanet::QuantizedLinear<>>;

}  // namespace generate
