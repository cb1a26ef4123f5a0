// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the shadow memory remembers of each two bytes, or of each one where bytes were touched
/// alone, and its time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace simt {

enum CellFlag : std::uint8_t {
    last_write_atomic = 1,
    in_flight = 2,
    many_lanes_read = 4,    ///< of one warp, in the epoch of the last read
    many_warps_read = 8,    ///< in the epoch of the last read
    many_blocks_read = 16,  ///< in this launch
    red_zone = 32,
    freed = 64,
    split = 128,  ///< this is for the even byte alone, and the odd one has a cell too
};

/// For two bytes, or one. Epoch 0: never.
struct Cell {
    std::uint32_t write_epoch;
    std::uint32_t read_epoch;
    std::uint16_t writer;
    std::uint16_t reader;
    std::uint16_t write_warp_epoch;
    std::uint16_t read_warp_epoch;
    std::uint8_t flags;
};

struct Region {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    Cell* cells = nullptr;  ///< by two bytes, then the cells of odd bytes
    bool is_shared = false;

    [[nodiscard]] bool has(std::uintptr_t address) const { return address - begin < end - begin; }
    [[nodiscard]] static std::size_t pairs_of(std::size_t bytes) { return bytes / 2 + 1; }

    /// f(cell, bytes of it) for all that [from, from + bytes) touches, until f returns false. A
    /// cell that is touched in part becomes two.
    template <class F>
    void for_each_cell(std::uintptr_t from, std::size_t bytes, F&& f) const {
        const std::uintptr_t to = from + bytes;
        for (std::uintptr_t at = from - (from - begin) % 2; at < to; at += 2) {
            const std::size_t pair = (at - begin) / 2;
            Cell& cell = cells[pair];
            const bool has_even = at >= from, has_odd = at + 1 < to;
            if ((cell.flags & split) == 0) {
                if (has_even && has_odd) {
                    if (!f(cell, 2U)) return;
                    continue;
                }
                cell.flags |= split;
                cells[pairs_of(end - begin) + pair] = cell;
            }
            if (has_even && !f(cell, 1U)) return;
            if (has_odd && !f(cells[pairs_of(end - begin) + pair], 1U)) return;
        }
    }
};

/// Time in epochs, see shadow.hpp.
struct Clock {
    std::uint32_t epoch = 1;
    std::uint32_t launch_epoch = 1;  ///< the first of the running launch
    std::uint32_t block_epoch = 1;   ///< the first of the running block
    std::vector<std::uint16_t> warp_epochs;

    /// An access in this launch by another block.
    [[nodiscard]] bool by_other_block(std::uint32_t when) const {
        return when >= launch_epoch && when < block_epoch;
    }
};

}  // namespace simt
