// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Row lists as a kernel argument, as sequences are (sequence_table.cuh): a longer list takes
/// several launches.
#pragma once

#include <deltanet/config.hpp>

#include <cstdint>
#include <optional>
#include <span>

namespace deltanet::cuda {

struct RowTable {
    static constexpr int kCapacity = 900;

    std::int64_t first = 0;  ///< list index of the first row of this launch
    std::int32_t count = 0;  ///< rows of this launch
    bool identity = false;   ///< row i of the list is i, `rows` is not filled
    std::int32_t rows[kCapacity];

    /// Of entry i of this launch.
    [[nodiscard]] constexpr std::int64_t row(int i) const noexcept {
        return identity ? first + i : rows[i];
    }
};

/// Calls f(table) as often as it takes for all rows; no list: rows 0 to n_rows - 1.
template <class F>
void for_each_row_table(const std::optional<std::span<const index_t>>& list, index_t n_rows,
                        const F& f) {
    RowTable table;
    table.identity = !list.has_value();
    const index_t most = table.identity ? index_t{1} << 30 : RowTable::kCapacity;
    for (index_t first = 0; first < n_rows; first += most) {
        const index_t count = n_rows - first < most ? n_rows - first : most;
        table.first = first;
        table.count = static_cast<std::int32_t>(count);
        for (index_t i = 0; i < count && !table.identity; ++i) {
            table.rows[i] = static_cast<std::int32_t>((*list)[static_cast<std::size_t>(first + i)]);
        }
        f(table);
    }
}

}  // namespace deltanet::cuda
