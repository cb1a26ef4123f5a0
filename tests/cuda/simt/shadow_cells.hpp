// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the shadow memory remembers of each two bytes, and its time.
#pragma once

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
};

/// For two bytes. Epoch 0: never.
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
    Cell* cells = nullptr;
    bool is_shared = false;

    [[nodiscard]] bool has(std::uintptr_t address) const { return address - begin < end - begin; }
    [[nodiscard]] Cell& cell(std::uintptr_t address) const { return cells[(address - begin) / 2]; }
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
