// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Whether an access is ordered with those before it.
#pragma once

#include "block.hpp"
#include "findings.hpp"
#include "shadow.hpp"
#include "shadow_cells.hpp"

namespace simt {

/// The texts of the findings about one kind of memory.
struct Texts {
    const char* uninitialised;
    const char* read_after_write;
    const char* write_after_write;
    const char* write_after_read;
};
inline constexpr Texts shared_texts = {
    "read of uninitialised shared memory", "read-after-write race on shared memory",
    "write-after-write race on shared memory", "write-after-read race on shared memory"};
inline constexpr Texts global_texts = {
    "read of uninitialised global memory", "read-after-write race on global memory",
    "write-after-write race on global memory", "write-after-read race on global memory"};

/// One access of the running thread against the cells of what it touches: whether somebody wrote
/// them, and whether the last accesses by others are ordered before it. Then it becomes the last
/// one.
class Judge {
  public:
    Judge(const Region& region, const Clock& clock, unsigned access, const void* pc)
        : region_(region),
          clock_(clock),
          texts_(region.is_shared ? shared_texts : global_texts),
          access_(access),
          pc_(pc),
          self_(static_cast<std::uint16_t>(position.linear)),
          warp_(static_cast<std::uint16_t>(position.warp)),
          warp_epoch_(clock.warp_epochs[position.warp]) {}

    void operator()(Cell& cell) const {
        check_initialised(cell);
        const bool both_atomic =
            (access_ & atomic_access) != 0 && (cell.flags & last_write_atomic) != 0;
        if (!both_atomic) check_last_write(cell);
        if (is_write()) {
            if (!both_atomic) check_last_reads(cell);
            cell.write_epoch = clock_.epoch;
            cell.writer = self_;
            cell.write_warp_epoch = warp_epoch_;
            set(cell, last_write_atomic, (access_ & atomic_access) != 0);
        } else {
            note_read(cell);
        }
    }

  private:
    [[nodiscard]] bool is_write() const { return (access_ & write_access) != 0; }

    static void set(Cell& cell, unsigned flag, bool on) {
        cell.flags = static_cast<std::uint8_t>(on ? cell.flags | flag : cell.flags & ~flag);
    }

    void check_initialised(const Cell& cell) const {
        const bool written =
            region_.is_shared ? cell.write_epoch >= clock_.block_epoch : cell.write_epoch != 0;
        if (!written && (!is_write() || (access_ & atomic_access) != 0)) {
            finding(texts_.uninitialised, pc_);
        }
        if ((access_ & constant_access) != 0 && cell.write_epoch >= clock_.launch_epoch) {
            finding("__ldg of data that this launch writes", pc_);
        }
    }

    /// The last write, unless by this thread or ordered before it by a barrier.
    void check_last_write(const Cell& cell) const {
        if (!region_.is_shared && clock_.by_other_block(cell.write_epoch)) {
            finding(is_write() ? "write-after-write race between blocks on global memory"
                               : "read-after-write race between blocks on global memory",
                    pc_);
        }
        if (cell.write_epoch != clock_.epoch || cell.writer == self_) return;
        const bool ordered =
            cell.writer / warp_size == warp_ && cell.write_warp_epoch != warp_epoch_;
        if (!ordered) {
            finding(is_write() ? texts_.write_after_write : texts_.read_after_write, pc_);
        }
    }

    /// The last reads, of which the cell knows one and whether there were others.
    void check_last_reads(const Cell& cell) const {
        if (!region_.is_shared &&
            (clock_.by_other_block(cell.read_epoch) ||
             ((cell.flags & many_blocks_read) != 0 && cell.read_epoch >= clock_.launch_epoch))) {
            finding("write-after-read race between blocks on global memory", pc_);
        }
        if (cell.read_epoch != clock_.epoch) return;
        const bool other_warp =
            (cell.flags & many_warps_read) != 0 || cell.reader / warp_size != warp_;
        const bool other_lane = (cell.flags & many_lanes_read) != 0 || cell.reader != self_;
        if (other_warp || (other_lane && cell.read_warp_epoch == warp_epoch_)) {
            finding(texts_.write_after_read, pc_);
        }
    }

    void note_read(Cell& cell) const {
        if (cell.read_epoch < clock_.launch_epoch) {
            set(cell, many_blocks_read, false);
        } else if (clock_.by_other_block(cell.read_epoch)) {
            set(cell, many_blocks_read, true);
        }
        const bool same_warp = cell.reader / warp_size == warp_;
        const bool earlier =
            cell.read_epoch != clock_.epoch || (same_warp && cell.read_warp_epoch != warp_epoch_ &&
                                                (cell.flags & many_warps_read) == 0);
        if (earlier) {
            cell.read_epoch = clock_.epoch;
            cell.reader = self_;
            cell.read_warp_epoch = warp_epoch_;
            set(cell, many_lanes_read | many_warps_read, false);
        } else if (!same_warp) {
            set(cell, many_warps_read, true);
        } else if (cell.reader != self_) {
            set(cell, many_lanes_read, true);
        }
    }

    const Region& region_;
    const Clock& clock_;
    const Texts& texts_;
    unsigned access_;
    const void* pc_;
    std::uint16_t self_;
    std::uint16_t warp_;
    std::uint16_t warp_epoch_;
};

}  // namespace simt
