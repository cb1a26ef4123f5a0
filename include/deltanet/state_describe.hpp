// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What an arena of states costs, as text for a log.
#pragma once

#include <deltanet/detail/slot_access.hpp>

#include <cstdio>
#include <string>

namespace deltanet {

namespace detail {

/// "96.0 KiB"
[[nodiscard]] inline std::string bytes_text(index_t bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    int unit = 0;
    for (; value >= 1024.0 && unit < 4; ++unit) value /= 1024.0;
    char text[32];
    std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

}  // namespace detail

/// Three lines: what there is, what a slot is made of, and all of it. Padding between rows counts
/// in the last line only. Allocates; throws nothing else.
[[nodiscard]] inline std::string describe(const StateSlots& slots) {
    using detail::bytes_text;
    using detail::concat;
    const detail::SlotLayout& layout = detail::SlotAccess::layout(slots);
    constexpr auto size = static_cast<index_t>(sizeof(float));
    const index_t layers = slots.n_layers(), R = layout.rollback;
    const index_t update = size * (layout.n_heads_k * layout.d_k + layout.n_heads_v * layout.d_v +
                                   layout.n_heads_v + layout.conv_dim);
    const index_t recurrent =
        layout.n_heads_v * state_head_bytes(layout.state, layout.d_k, layout.d_v);
    const index_t stride = size * detail::SlotAccess::slot_stride(slots);
    return concat(
        "StateSlots: ", slots.n_slots(), " slots, ", layers, " layers, ", name_of(layout.state),
        " state, rollback ", R, "\na slot: ", bytes_text(size * layout.row() * layers), " = ",
        layers, " x ( recurrent ", bytes_text(recurrent), " + conv ",
        bytes_text(size * layout.conv_taps * layout.conv_dim), " + ", R, " x ", bytes_text(update),
        " pending )\nall slots: ", bytes_text(slots.n_slots() * layers * stride), "\n");
}

}  // namespace deltanet
