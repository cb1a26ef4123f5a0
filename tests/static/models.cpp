// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Presets and configurations are constant expressions: sizes of buffers can be.
#include <deltanet/models.hpp>

namespace deltanet {
namespace {

static_assert(std::is_trivially_copyable_v<LayerConfig>);

constexpr LayerConfig kNext = qwen3_next_80b_a3b();
static_assert(kNext.key_dim() == 2048 && kNext.value_dim() == 4096 && kNext.conv_dim() == 8192);
static_assert(kNext.conv_taps() == 3 && kNext.heads_per_group() == 2 && kNext.has_gate());

// r is 1, 2, 3 and 4 in the published models
static_assert(qwen3_5_0_8b().heads_per_group() == 1 && qwen3_5_2b().heads_per_group() == 1);
static_assert(qwen3_5_4b().heads_per_group() == 2 && qwen3_5_9b().heads_per_group() == 2);
static_assert(qwen3_5_35b_a3b().heads_per_group() == 2);
static_assert(qwen3_5_27b().heads_per_group() == 3 && qwen3_8_flash_next().heads_per_group() == 3);
static_assert(qwen3_5_122b_a10b().heads_per_group() == 4 &&
              qwen3_5_397b_a17b().heads_per_group() == 4);
static_assert(olmo_hybrid_7b().heads_per_group() == 1 &&
              fla_gated_deltanet().heads_per_group() == 1);

static_assert(qwen3_8_flash_next().gate == OutputGate::sigmoid && kNext.gate == OutputGate::silu);
static_assert(olmo_hybrid_7b().beta_doubled && !kNext.beta_doubled);
static_assert(olmo_hybrid_7b().d_v == 2 * olmo_hybrid_7b().d_k &&
              fla_gated_deltanet().conv_dim() == 6144);
static_assert(
    noexcept(kNext.conv_dim()) && noexcept(kNext.query_scale()) && noexcept(kNext.has_gate()));
static_assert(name_of(HeadMap::tiled) == "tiled");

}  // namespace
}  // namespace deltanet
