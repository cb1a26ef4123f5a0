// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Where the parts of one slot in one layer stand, in floats from its beginning:
///   [ conv [W - 1 + R, conv_dim] | pending k [R, H_k, d_k] | pending u [R, H_v, d_v]
///     | pending decay_log [R, H_v] | recurrent [H_v, d_k, d_v] ]
#pragma once

#include <deltanet/layer_config.hpp>
#include <deltanet/ops/state_columns.hpp>

namespace deltanet::detail {

struct SlotLayout {
    index_t conv_dim = 0;
    index_t conv_taps = 0;
    index_t n_heads_k = 0;
    index_t n_heads_v = 0;
    index_t d_k = 0;
    index_t d_v = 0;
    index_t rollback = 0;  ///< R
    DType state = DType::f32;

    constexpr SlotLayout(const LayerConfig& config, DType dtype, index_t updates) noexcept
        : conv_dim(config.conv_dim()),
          conv_taps(config.conv_taps()),
          n_heads_k(config.n_heads_k),
          n_heads_v(config.n_heads_v),
          d_k(config.d_k),
          d_v(config.d_v),
          rollback(updates),
          state(dtype) {}

    [[nodiscard]] constexpr bool operator==(const SlotLayout&) const noexcept = default;

    [[nodiscard]] constexpr index_t conv_rows() const noexcept { return conv_taps + rollback; }

    [[nodiscard]] constexpr index_t pending_k() const noexcept { return conv_rows() * conv_dim; }
    [[nodiscard]] constexpr index_t pending_u() const noexcept {
        return pending_k() + rollback * n_heads_k * d_k;
    }
    [[nodiscard]] constexpr index_t pending_log() const noexcept {
        return pending_u() + rollback * n_heads_v * d_v;
    }
    [[nodiscard]] constexpr index_t recurrent() const noexcept {
        return pending_log() + rollback * n_heads_v;
    }
    /// Of the whole row; an odd number of 16-bit elements is rounded up.
    [[nodiscard]] constexpr index_t row() const noexcept {
        constexpr auto size = static_cast<index_t>(sizeof(float));
        const index_t bytes = n_heads_v * state_head_bytes(state, d_k, d_v);
        return recurrent() + (bytes + size - 1) / size;
    }
};

/// Throws unless slots of this layout hold the state of such a layer.
inline void check_same_state(std::string_view function, const SlotLayout& slots, HeadMap head_map,
                             const LayerConfig& config) {
    const Shape<4> expected{config.n_heads_v, config.d_k, config.d_v, config.conv_dim()};
    const Shape<4> found{slots.n_heads_v, slots.d_k, slots.d_v, slots.conv_dim};
    if (expected != found || config.conv_taps() != slots.conv_taps) {
        fail(function, "slots",
             concat("state of [H_v, d_k, d_v, conv_dim] = ", shape_text(expected), " and ",
                    config.conv_taps(), " conv taps"),
             concat(shape_text(found), " and ", slots.conv_taps));
    }
    if (config.head_map != head_map && config.heads_per_group() > 1) {
        fail(function, "slots", concat("state of ", name_of(config.head_map), " heads"),
             concat(name_of(head_map), " heads"));
    }
}

}  // namespace deltanet::detail
