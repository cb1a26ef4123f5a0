// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The parameters of one layer, as views over memory that the engine owns. Checkpoints pack the
/// input projections in different ways; here that is only a matter of where q, k, v, z, b and a
/// stand in a row of projection outputs, so packed and split weights run through the same code.
#pragma once

#include <deltanet/layer_config.hpp>
#include <deltanet/linear_operator.hpp>
#include <deltanet/views.hpp>

#include <vector>

namespace deltanet {

/// Element i of group g (key head g's share) stands in column offset + g * group_stride + i.
struct ProjectionSegment {
    index_t offset = 0;
    index_t group_stride = 0;
};

/// Columns of one row of projection outputs. A group is a key head with its r value heads (`tiled`
/// head maps, which exist split only, have the same groups of columns).
struct ProjectionLayout {
    index_t width = 0;
    ProjectionSegment q, k;  ///< d_k columns per group
    ProjectionSegment v, z;  ///< r d_v columns per group; z is absent with OutputGate::none
    ProjectionSegment b, a;  ///< r columns per group

    /// q | k | v | z | b | a, each contiguous: Qwen3.5, OLMo-Hybrid, fla, whether their projections
    /// are one matrix or six.
    [[nodiscard]] static ProjectionLayout split(const LayerConfig& config) {
        ProjectionLayout layout;
        const index_t r = config.heads_per_group();
        layout.q = layout.append(config, config.d_k);
        layout.k = layout.append(config, config.d_k);
        layout.v = layout.append(config, r * config.d_v);
        if (config.has_gate()) layout.z = layout.append(config, r * config.d_v);
        layout.b = layout.append(config, r);
        layout.a = layout.append(config, r);
        return layout;
    }

    /// Qwen3-Next: per key head q | k | v | z (in_proj_qkvz), then per key head b | a (in_proj_ba).
    [[nodiscard]] static ProjectionLayout packed(const LayerConfig& config) {
        const index_t r = config.heads_per_group();
        const index_t group = 2 * config.d_k + (config.has_gate() ? 2 : 1) * r * config.d_v;
        const index_t ba = config.n_heads_k * group;
        ProjectionLayout layout;
        layout.width = ba + config.n_heads_k * 2 * r;
        layout.q = {0, group};
        layout.k = {config.d_k, group};
        layout.v = {2 * config.d_k, group};
        if (config.has_gate()) layout.z = {2 * config.d_k + r * config.d_v, group};
        layout.b = {ba, 2 * r};
        layout.a = {ba + r, 2 * r};
        return layout;
    }

    /// Throws `Error` unless every segment lies inside a row.
    void validate(const LayerConfig& config) const {
        const index_t r = config.heads_per_group();
        check_segment(config, "q", q, config.d_k);
        check_segment(config, "k", k, config.d_k);
        check_segment(config, "v", v, r * config.d_v);
        if (config.has_gate()) check_segment(config, "z", z, r * config.d_v);
        check_segment(config, "b", b, r);
        check_segment(config, "a", a, r);
    }

  private:
    ProjectionSegment append(const LayerConfig& config, index_t per_group) {
        const ProjectionSegment segment{width, per_group};
        width += config.n_heads_k * per_group;
        return segment;
    }

    void check_segment(const LayerConfig& config, std::string_view name,
                       const ProjectionSegment& segment, index_t per_group) const {
        const index_t end =
            segment.offset + (config.n_heads_k - 1) * segment.group_stride + per_group;
        if (segment.offset < 0 || segment.group_stride < per_group || end > width) {
            detail::fail("ProjectionLayout", name,
                         detail::concat(config.n_heads_k, " groups of ", per_group,
                                        " columns inside [0, ", width, ")"),
                         detail::concat("offset ", segment.offset, " and group stride ",
                                        segment.group_stride));
        }
    }
};

class EigenLinear;

/// Views, not owned. Optional ones are left empty.
template <LinearOperator L = EigenLinear>
struct LayerWeights {
    /// Their outputs side by side are a row of `layout`: {qkvz, ba}, {qkv, z, b, a}, {q, k, v, z,
    /// b, a}, ...
    std::vector<L> in_proj;
    ProjectionLayout layout;
    View<const float, 2>
        conv;  ///< [conv_dim, W], channels q, k, v; tap W - 1 is the current token's
    View<const float, 1> conv_bias;  ///< [conv_dim], or empty
    View<const float, 1> A_log;      ///< [H_v], natural logarithm of the decay rate
    View<const float, 1> dt_bias;    ///< [H_v]
    View<const float, 1> norm;       ///< [d_v], of the gated RMSNorm
    View<const float, 1> pre_norm;   ///< [hidden], with LayerConfig::pre_norm
    L out_proj{};                    ///< [hidden, H_v d_v]

    /// Throws `Error` naming the weight whose shape does not fit the configuration.
    void validate(const LayerConfig& config) const {
        const char* const where = "LayerWeights";
        layout.validate(config);
        index_t width = 0;
        for (std::size_t i = 0; i < in_proj.size(); ++i) {
            check_features(where, detail::concat("in_proj[", i, "] inputs"),
                           in_proj[i].in_features(), config.hidden);
            width += in_proj[i].out_features();
        }
        check_features(where, "in_proj outputs together", width, layout.width);
        check_features(where, "out_proj inputs", out_proj.in_features(), config.value_dim());
        check_features(where, "out_proj outputs", out_proj.out_features(), config.hidden);
        detail::check_shape(where, "conv", conv, {config.conv_dim(), config.conv_width});
        if (conv_bias.data() != nullptr)
            detail::check_shape(where, "conv_bias", conv_bias, {config.conv_dim()});
        detail::check_shape(where, "A_log", A_log, {config.n_heads_v});
        detail::check_shape(where, "dt_bias", dt_bias, {config.n_heads_v});
        detail::check_tensor(where, "norm", norm, {config.d_v});
        if (config.pre_norm != PreNorm::none)
            detail::check_tensor(where, "pre_norm", pre_norm, {config.hidden});
    }

  private:
    static void check_features(std::string_view where, std::string_view what, index_t found,
                               index_t expected) {
        if (found != expected)
            detail::fail(where, what, detail::concat(expected), detail::concat(found));
    }
};

}  // namespace deltanet
