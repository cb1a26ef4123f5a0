// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// One slot in one layer as the host sees it: the row itself where slots are in host memory, else a
/// copy of it. For what looks at elements: exchange with other programs, saved slots, observers.
#pragma once

#include <deltanet/detail/slot_access.hpp>

#include <vector>

namespace deltanet::detail {

class HostRow {
  public:
    HostRow(HostRow&&) noexcept = default;
    HostRow& operator=(HostRow&&) noexcept = default;

    /// What the slot holds. Waits for a device that it comes from.
    [[nodiscard]] static HostRow of(const StateSlots& slots, index_t layer, index_t slot) {
        HostRow row(slots, layer, slot);
        if (!row.copy_.empty()) slots.memory().download(row.rows_.first, row.place_, row.bytes());
        return row;
    }
    /// To be filled: where it is a copy it begins as zeros, not as what the slot holds.
    [[nodiscard]] static HostRow to_fill(StateSlots& slots, index_t layer, index_t slot) {
        return {slots, layer, slot};
    }

    /// Views over one slot, number 0.
    [[nodiscard]] const SlotRows& rows() const noexcept { return rows_; }
    [[nodiscard]] float* data() const noexcept { return rows_.first; }

    /// Makes it what the slot holds, if it was a copy.
    void store(StateSlots& slots) const {
        if (!copy_.empty()) slots.memory().upload(place_, rows_.first, bytes());
    }

  private:
    HostRow(const StateSlots& slots, index_t layer, index_t slot)
        : rows_(SlotAccess::rows(slots, layer)), place_(rows_.row(slot)) {
        if (!slots.memory().is_host()) copy_.resize(static_cast<std::size_t>(rows_.layout.row()));
        rows_.first = copy_.empty() ? place_ : copy_.data();
        rows_.n_rows = 1;
    }
    [[nodiscard]] index_t bytes() const noexcept {
        return rows_.layout.row() * static_cast<index_t>(sizeof(float));
    }

    SlotRows rows_;
    float* place_;
    std::vector<float> copy_;
};

}  // namespace deltanet::detail
