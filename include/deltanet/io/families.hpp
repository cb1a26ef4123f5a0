// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The name-and-layout map of each model family: under which names a checkpoint holds one Gated
/// DeltaNet layer, in which order its projections fill a row, and where its layers sit. A family is
/// a table here and nothing anywhere else.
#pragma once

#include <deltanet/layer_config.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace deltanet {

/// Checkpoints of one naming. `qwen3_5` covers the dense and the mixture-of-experts models, with
/// and without vision.
enum class Family : std::uint8_t { qwen3_next, qwen3_5, olmo_hybrid, fla };

[[nodiscard]] constexpr std::string_view name_of(Family family) noexcept {
    constexpr std::string_view kNames[] = {"qwen3_next", "qwen3_5", "olmo_hybrid", "fla"};
    return kNames[static_cast<std::size_t>(family)];
}

/// Names behind the layer's prefix ("model.layers.3.linear_attn."), except for the norm, which
/// belongs to the block around it ("model.layers.3.").
struct FamilyMap {
    std::span<const std::string_view> in_proj;  ///< in the order of their columns
    bool packed;                                ///< ProjectionLayout::packed, else split
    std::span<const std::string_view> conv;  ///< [C, 1, W] each; one after another they are q, k, v
    std::string_view norm;
    std::string_view out_proj;
    std::span<const std::string_view> block_norms;  ///< the first that is there
    PreNorm block_norm_form;
    std::span<const std::string_view> block_prefixes;  ///< in front of "<layer number>."
    std::string_view layer_prefix;                     ///< behind it
};

namespace detail {

inline constexpr std::string_view kPackedProj[] = {"in_proj_qkvz.weight", "in_proj_ba.weight"};
inline constexpr std::string_view kSplitProj[] = {"in_proj_qkv.weight", "in_proj_z.weight",
                                                  "in_proj_b.weight", "in_proj_a.weight"};
inline constexpr std::string_view kSeparateProj[] = {"q_proj.weight", "k_proj.weight",
                                                     "v_proj.weight", "g_proj.weight",
                                                     "b_proj.weight", "a_proj.weight"};
inline constexpr std::string_view kOneConv[] = {"conv1d.weight"};
inline constexpr std::string_view kThreeConvs[] = {"q_conv1d.weight", "k_conv1d.weight",
                                                   "v_conv1d.weight"};
inline constexpr std::string_view kInputNorm[] = {"input_layernorm.weight"};
inline constexpr std::string_view kOlmoNorms[] = {"input_layernorm.weight",
                                                  "attention_layer_norm.weight"};
inline constexpr std::string_view kFlaNorm[] = {"attn_norm.weight"};
inline constexpr std::string_view kTextPrefixes[] = {"model.layers."};
inline constexpr std::string_view kVisionPrefixes[] = {
    "model.language_model.layers.", "model.layers.", "language_model.model.layers."};

inline constexpr FamilyMap kFamilies[] = {
    {kPackedProj, true, kOneConv, "norm.weight", "out_proj.weight", kInputNorm, PreNorm::one_plus,
     kTextPrefixes, ".linear_attn."},
    {kSplitProj, false, kOneConv, "norm.weight", "out_proj.weight", kInputNorm, PreNorm::one_plus,
     kVisionPrefixes, ".linear_attn."},
    {kSeparateProj, false, kThreeConvs, "o_norm.weight", "o_proj.weight", kOlmoNorms,
     PreNorm::plain, kTextPrefixes, ".linear_attn."},
    {kSeparateProj, false, kThreeConvs, "o_norm.weight", "o_proj.weight", kFlaNorm, PreNorm::plain,
     kTextPrefixes, ".attn."},
};

}  // namespace detail

[[nodiscard]] constexpr const FamilyMap& map_of(Family family) noexcept {
    return detail::kFamilies[static_cast<std::size_t>(family)];
}

}  // namespace deltanet
