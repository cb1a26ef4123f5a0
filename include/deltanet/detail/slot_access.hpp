// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The inside of `StateSlots`, for what saves and loads it.
#pragma once

#include <deltanet/state_slots.hpp>

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
    [[nodiscard]] static SlotRows rows(const StateSlots& slots, index_t layer) noexcept {
        return slots.rows(layer);
    }
    /// What slot `from` keeps of the convolution with `pending` updates.
    static void copy_conv(const StateSlots& slots, index_t layer, index_t from,
                          StateSlots& to_slots, index_t to, index_t pending) {
        const index_t n = (slots.conv_taps() + pending) * slots.conv_dim();
        slots.copy(row(to_slots, layer, to), row(slots, layer, from), n);
    }
    /// Everything else: the recurrent state and what is pending.
    static void copy_state(const StateSlots& slots, index_t layer, index_t from,
                           StateSlots& to_slots, index_t to) {
        const index_t first = slots.layout_.pending_k();
        slots.copy(row(to_slots, layer, to) + first, row(slots, layer, from) + first,
                   slots.layout_.row() - first);
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
