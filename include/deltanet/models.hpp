// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The Gated DeltaNet layers of published models, by name. Sizes as in the publishers'
/// configuration files; add `pre_norm` and `residual` where the engine wants the layer to do them.
#pragma once

#include <deltanet/layer_config.hpp>

namespace deltanet {

namespace detail {
[[nodiscard]] constexpr LayerConfig qwen_layer(index_t hidden, index_t n_heads_v) {
    LayerConfig config;
    config.hidden = hidden;
    config.n_heads_k = 16;
    config.n_heads_v = n_heads_v;
    config.d_k = 128;
    config.d_v = 128;
    return config;
}
}  // namespace detail

[[nodiscard]] constexpr LayerConfig qwen3_next_80b_a3b() { return detail::qwen_layer(2048, 32); }
[[nodiscard]] constexpr LayerConfig qwen3_5_0_8b() { return detail::qwen_layer(1024, 16); }
[[nodiscard]] constexpr LayerConfig qwen3_5_2b() { return detail::qwen_layer(2048, 16); }
[[nodiscard]] constexpr LayerConfig qwen3_5_4b() { return detail::qwen_layer(2560, 32); }
[[nodiscard]] constexpr LayerConfig qwen3_5_9b() { return detail::qwen_layer(4096, 32); }
[[nodiscard]] constexpr LayerConfig qwen3_5_27b() { return detail::qwen_layer(5120, 48); }
[[nodiscard]] constexpr LayerConfig qwen3_5_35b_a3b() { return detail::qwen_layer(2048, 32); }
[[nodiscard]] constexpr LayerConfig qwen3_5_122b_a10b() { return detail::qwen_layer(3072, 64); }
[[nodiscard]] constexpr LayerConfig qwen3_5_397b_a17b() { return detail::qwen_layer(4096, 64); }

/// Qwen3.8-Flash-Next ("qwen4_exp"): a sigmoid output gate.
[[nodiscard]] constexpr LayerConfig qwen3_8_flash_next() {
    LayerConfig config = detail::qwen_layer(2560, 48);
    config.gate = OutputGate::sigmoid;
    return config;
}

/// OLMo-Hybrid 7B: value heads twice as wide as key heads, beta in (0, 2), a wider epsilon in the
/// gated norm.
[[nodiscard]] constexpr LayerConfig olmo_hybrid_7b() {
    LayerConfig config;
    config.hidden = 3840;
    config.n_heads_k = 30;
    config.n_heads_v = 30;
    config.d_k = 96;
    config.d_v = 192;
    config.norm_eps = 1e-5;
    config.beta_doubled = true;
    return config;
}

/// The defaults of flash-linear-attention's GatedDeltaNet layer.
[[nodiscard]] constexpr LayerConfig fla_gated_deltanet() {
    LayerConfig config;
    config.hidden = 2048;
    config.n_heads_k = 6;
    config.n_heads_v = 6;
    config.d_k = 256;
    config.d_v = 512;
    config.norm_eps = 1e-5;
    return config;
}

}  // namespace deltanet
