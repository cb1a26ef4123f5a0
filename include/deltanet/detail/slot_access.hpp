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
    [[nodiscard]] static const SlotProgressTable& progress(const StateSlots& slots) noexcept {
        return slots.progress_;
    }
    [[nodiscard]] static SlotProgressTable& progress(StateSlots& slots) noexcept {
        return slots.progress_;
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
