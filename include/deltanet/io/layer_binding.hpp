// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// From tensors in a checkpoint to the weights of a layer: every difference between model families
/// ends here. Projections stay where they are in the mapped files, in float32, bfloat16 or float16;
/// the small tensors become floats of their own before any arithmetic (exp(A_log) in half precision
/// overflows).
#pragma once

#include <deltanet/io/checkpoint.hpp>
#include <deltanet/io/detail/bound_tensors.hpp>
#include <deltanet/io/families.hpp>
#include <deltanet/linear/eigen.hpp>
#include <deltanet/weights.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deltanet {

/// Weights of one layer and the floats that had to be converted; the projections point into the
/// checkpoint, which must outlive them. Move-only: the views follow the storage, whose memory does
/// not move.
template <LinearOperator L = EigenLinear>
struct BoundLayer {
    LayerConfig config;
    LayerWeights<L> weights;
    std::vector<std::vector<float>> storage;

    BoundLayer() = default;
    BoundLayer(BoundLayer&&) = default;
    BoundLayer& operator=(BoundLayer&&) = default;
};

/// The matrix of that name, in the mapped file, which must outlive it: for the projections around
/// the layer. Throws `Error` if it is not there, of a type that no operator computes with, or at an
/// address that its type cannot be read from. `Source`: a `Checkpoint` or a `GgufFile`.
template <class Source>
[[nodiscard]] WeightMatrix map_matrix(const Source& source, std::string_view name) {
    const TensorInfo& info = source.tensor(name);
    if (!weight_format(info.dtype))
        detail::fail("map_matrix", name, detail::kWeightTypes, info.dtype);
    if (info.shape.size() != 2) {
        detail::fail("map_matrix", name, "2 dimensions", detail::concat(info.shape.size()));
    }
    const auto weight = detail::weight_in_place(info, {info.shape[0], info.shape[1]});
    if (!weight)
        detail::fail("map_matrix", name, "an address aligned to its type", "one that is not");
    return *weight;
}

/// Prefix of layer `layer`, "model.layers.3.linear_attn." or as the checkpoint has it. Throws
/// `Error` with all that was looked for if the layer is not there, as for a layer of full
/// attention.
[[nodiscard]] inline std::string find_layer_prefix(const Checkpoint& checkpoint, Family family,
                                                   index_t layer) {
    const FamilyMap& map = map_of(family);
    std::string looked_for;
    for (const std::string_view block : map.block_prefixes) {
        std::string prefix = detail::concat(block, layer, map.layer_prefix);
        if (checkpoint.find(prefix + "A_log") != nullptr) return prefix;
        looked_for += detail::concat(looked_for.empty() ? "" : ", ", prefix, "A_log");
    }
    detail::fail("find_layer_prefix",
                 detail::concat("layer ", layer, " of family ", name_of(family)),
                 detail::concat("one of the tensors ", looked_for), "none of them");
}

namespace detail {

/// Reads the tensors of one layer; every failure names the tensor.
template <LinearOperator L>
class LayerBinder {
  public:
    LayerBinder(const Checkpoint& checkpoint, const FamilyMap& map, std::string_view prefix,
                BoundLayer<L>& bound)
        : checkpoint_(checkpoint),
          tensors_(kName, checkpoint, bound.storage),
          map_(map),
          prefix_(prefix),
          bound_(bound) {}

    void bind() {
        const LayerConfig& c = bound_.config;
        LayerWeights<L>& w = bound_.weights;
        w.layout = map_.packed ? ProjectionLayout::packed(c) : ProjectionLayout::split(c);
        const std::vector<index_t> widths = projection_widths();
        for (std::size_t i = 0; i < map_.in_proj.size(); ++i) {
            if (widths[i] > 0)
                w.in_proj.push_back(projection(map_.in_proj[i], widths[i], c.hidden));
        }
        w.out_proj = projection(map_.out_proj, c.hidden, c.value_dim());
        w.conv = convolution();
        w.A_log = tensors_.vector(prefix_ + "A_log", c.n_heads_v);
        w.dt_bias = tensors_.vector(prefix_ + "dt_bias", c.n_heads_v);
        w.norm = tensors_.vector(name(map_.norm), c.d_v);
        if (c.pre_norm != PreNorm::none) w.pre_norm = tensors_.vector(block_norm_name(), c.hidden);
    }

  private:
    static constexpr const char* kName = "bind_layer";

    /// Rows of each input projection; 0 for one that the configuration has no use for.
    [[nodiscard]] std::vector<index_t> projection_widths() const {
        const LayerConfig& c = bound_.config;
        const index_t z = c.has_gate() ? c.value_dim() : 0;
        if (map_.packed) return {c.conv_dim() + z, 2 * c.n_heads_v};
        if (map_.in_proj.size() == 4) return {c.conv_dim(), z, c.n_heads_v, c.n_heads_v};
        return {c.key_dim(), c.key_dim(), c.value_dim(), z, c.n_heads_v, c.n_heads_v};
    }

    [[nodiscard]] std::string name(std::string_view tensor) const {
        return prefix_ + std::string(tensor);
    }

    /// "model.layers.3." of "model.layers.3.linear_attn."
    [[nodiscard]] std::string block_prefix() const {
        const std::size_t end =
            prefix_.size() < 2 ? std::string::npos : prefix_.rfind('.', prefix_.size() - 2);
        return end == std::string::npos ? std::string() : prefix_.substr(0, end + 1);
    }

    /// The norm in front of the layer, under the first of its names that the checkpoint has.
    [[nodiscard]] std::string block_norm_name() const {
        std::string looked_for;
        for (const std::string_view norm : map_.block_norms) {
            std::string full_name = block_prefix() + std::string(norm);
            if (checkpoint_.find(full_name) != nullptr) return full_name;
            looked_for += concat(looked_for.empty() ? "" : ", ", full_name);
        }
        fail(kName, "pre_norm", concat("one of the tensors ", looked_for), "none of them");
    }

    L projection(std::string_view short_name, index_t out, index_t in) {
        return L(tensors_.matrix(name(short_name), out, in));
    }

    /// Rows of one tensor or of three, one after another. Only their sum is checked: transformers
    /// cuts the joint weight of OLMo-Hybrid into three equal parts when it saves a model anew.
    View<const float, 2> convolution() {
        const LayerConfig& c = bound_.config;
        std::vector<float> taps;
        std::string shapes;
        for (const std::string_view part : map_.conv) {
            const std::string full_name = name(part);
            const TensorInfo& info = checkpoint_.tensor(full_name);
            shapes += concat(shapes.empty() ? "" : ", ", full_name, " ", extents_text(info.shape));
            if (info.shape.empty() || info.shape.back() != c.conv_width)
                continue;  // the sum will not do
            const std::vector<float> rows = read_float(tensors_.tensor(full_name, info.shape));
            taps.insert(taps.end(), rows.begin(), rows.end());
        }
        if (static_cast<index_t>(taps.size()) != c.conv_dim() * c.conv_width) {
            fail(kName, "convolution weights",
                 concat(c.conv_dim(), " rows of ", c.conv_width, " taps in all"), shapes);
        }
        return {tensors_.keep(std::move(taps)), {c.conv_dim(), c.conv_width}};
    }

    const Checkpoint& checkpoint_;
    BoundTensors<Checkpoint> tensors_;
    const FamilyMap& map_;
    std::string prefix_;
    BoundLayer<L>& bound_;
};

}  // namespace detail

/// The layer whose tensors begin with `prefix` (see `find_layer_prefix`). `config` says the sizes,
/// which the tensors are checked against; with `config.pre_norm` the norm of the block around the
/// layer is bound as well. Throws `Error` naming the tensor that is missing, with those it may be,
/// or has the wrong shape or type. L is built from a `WeightMatrix`.
template <LinearOperator L = EigenLinear>
[[nodiscard]] BoundLayer<L> bind_layer(const Checkpoint& checkpoint, Family family,
                                       const LayerConfig& config, std::string_view prefix) {
    config.validate();
    BoundLayer<L> bound;
    bound.config = config;
    detail::LayerBinder<L>(checkpoint, map_of(family), prefix, bound).bind();
    bound.weights.validate(config);
    return bound;
}

}  // namespace deltanet
