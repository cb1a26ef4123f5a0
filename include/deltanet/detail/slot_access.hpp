// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The inside of `StateSlots`, for what saves and loads it.
#pragma once

#include <deltanet/state_slots.hpp>

#include <cstring>

namespace deltanet::detail {

struct SlotAccess {
    [[nodiscard]] static const SlotLayout& layout(const StateSlots& slots) noexcept {
        return slots.layout_;
    }
    /// Floats from one slot's row to the next.
    [[nodiscard]] static index_t slot_stride(const StateSlots& slots) noexcept {
        return slots.options_.slot_stride;
    }
    [[nodiscard]] static const SlotProgressTable& progress(const StateSlots& slots) noexcept {
        return slots.progress_;
    }
    [[nodiscard]] static SlotProgressTable& progress(StateSlots& slots) noexcept {
        return slots.progress_;
    }
    /// What slot `from` keeps of the convolution with `pending` updates.
    static void copy_conv(const StateSlots& slots, index_t layer, index_t from,
                          StateSlots& to_slots, index_t to, index_t pending) noexcept {
        const index_t n = (slots.conv_taps() + pending) * slots.conv_dim();
        std::memcpy(row(to_slots, layer, to), row(slots, layer, from),
                    static_cast<std::size_t>(n) * sizeof(float));
    }
    /// Everything else: the recurrent state and what is pending.
    static void copy_state(const StateSlots& slots, index_t layer, index_t from,
                           StateSlots& to_slots, index_t to) noexcept {
        const index_t first = slots.layout_.pending_k();
        std::memcpy(row(to_slots, layer, to) + first, row(slots, layer, from) + first,
                    static_cast<std::size_t>(slots.layout_.row() - first) * sizeof(float));
    }
    [[nodiscard]] static const float* row(const StateSlots& slots, index_t layer,
                                          index_t slot) noexcept {
        return slots.row(layer, slot);
    }
    [[nodiscard]] static float* row(StateSlots& slots, index_t layer, index_t slot) noexcept {
        return slots.row(layer, slot);
    }
};

}  // namespace deltanet::detail
