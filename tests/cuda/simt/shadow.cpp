// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "shadow.hpp"

#include "block.hpp"
#include "findings.hpp"
#include "metrics.hpp"
#include "schedule.hpp"

#include <new>
#include <sys/mman.h>
#include <vector>

// The linker's names.
extern "C" char __data_start, _end, __executable_start;       // NOLINT
extern "C" char __start_simt_builtins, __stop_simt_builtins;  // NOLINT

namespace simt {
namespace {

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

/// The texts of the findings about one kind of memory.
struct Texts {
    const char* uninitialised;
    const char* read_after_write;
    const char* write_after_write;
    const char* write_after_read;
};
constexpr Texts shared_texts = {
    "read of uninitialised shared memory", "read-after-write race on shared memory",
    "write-after-write race on shared memory", "write-after-read race on shared memory"};
constexpr Texts global_texts = {
    "read of uninitialised global memory", "read-after-write race on global memory",
    "write-after-write race on global memory", "write-after-read race on global memory"};

Region dynamic_shared;
Region static_shared;  // the program's .data and .bss, where __shared__ variables lie
Region global;
std::size_t dynamic_bytes = 0;

std::uint32_t epoch = 1;
std::uint32_t launch_epoch = 1;  // the first of the running launch
std::uint32_t block_epoch = 1;   // the first of the running block
std::vector<std::uint16_t> warp_epochs;
bool active = false;
std::uintptr_t arguments_begin = 0;
std::uintptr_t arguments_bytes = 0;

[[nodiscard]] std::uintptr_t number(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address);
}

/// Zero pages until touched.
Region make_region(std::uintptr_t begin, std::size_t bytes, bool is_shared) {
    const std::size_t n = bytes / 2 + 1;
    void* const cells = mmap(nullptr, n * sizeof(Cell), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cells == MAP_FAILED) throw std::bad_alloc();
    return {begin, begin + bytes, static_cast<Cell*>(cells), is_shared};
}

void make_shared_regions() {
    if (dynamic_shared.cells != nullptr) return;
    dynamic_shared = make_region(number(dynamic_shared_memory()), max_shared_bytes, true);
    const std::uintptr_t data = number(&__data_start) & ~std::uintptr_t{1};
    static_shared = make_region(data, number(&_end) - data, true);
}

[[nodiscard]] const Region* region_of(std::uintptr_t address) {
    if (dynamic_shared.has(address)) return &dynamic_shared;
    if (global.has(address)) return &global;
    if (static_shared.has(address)) return &static_shared;
    return nullptr;
}

/// Constants of the program, arguments of the kernel, threadIdx and the like.
[[nodiscard]] bool is_readable_elsewhere(std::uintptr_t address) {
    return address - number(&__executable_start) <
               number(&__data_start) - number(&__executable_start) ||
           address - arguments_begin < arguments_bytes;
}

[[nodiscard]] bool in_builtins(std::uintptr_t address) {
    return address - number(&__start_simt_builtins) <
           number(&__stop_simt_builtins) - number(&__start_simt_builtins);
}

/// An access in this launch by another block.
[[nodiscard]] bool by_other_block(std::uint32_t when) {
    return when >= launch_epoch && when < block_epoch;
}

/// One access against one cell.
class Judge {
  public:
    Judge(const Region& region, unsigned access, const void* pc)
        : region_(region),
          texts_(region.is_shared ? shared_texts : global_texts),
          access_(access),
          pc_(pc),
          self_(static_cast<std::uint16_t>(position.linear)),
          warp_(static_cast<std::uint16_t>(position.warp)),
          warp_epoch_(warp_epochs[position.warp]) {}

    void operator()(Cell& cell) const {
        check_initialised(cell);
        const bool both_atomic =
            (access_ & atomic_access) != 0 && (cell.flags & last_write_atomic) != 0;
        if (!both_atomic) check_last_write(cell);
        if (is_write()) {
            if (!both_atomic) check_last_reads(cell);
            cell.write_epoch = epoch;
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
            region_.is_shared ? cell.write_epoch >= block_epoch : cell.write_epoch != 0;
        if (!written && (!is_write() || (access_ & atomic_access) != 0)) {
            finding(texts_.uninitialised, pc_);
        }
        if ((access_ & constant_access) != 0 && cell.write_epoch >= launch_epoch) {
            finding("__ldg of data that this launch writes", pc_);
        }
    }

    /// The last write, unless by this thread or ordered before it by a barrier.
    void check_last_write(const Cell& cell) const {
        if (!region_.is_shared && by_other_block(cell.write_epoch)) {
            finding(is_write() ? "write-after-write race between blocks on global memory"
                               : "read-after-write race between blocks on global memory",
                    pc_);
        }
        if (cell.write_epoch != epoch || cell.writer == self_) return;
        const bool ordered =
            cell.writer / warp_size == warp_ && cell.write_warp_epoch != warp_epoch_;
        if (!ordered) {
            finding(is_write() ? texts_.write_after_write : texts_.read_after_write, pc_);
        }
    }

    /// The last reads, of which the cell knows one and whether there were others.
    void check_last_reads(const Cell& cell) const {
        if (!region_.is_shared &&
            (by_other_block(cell.read_epoch) ||
             ((cell.flags & many_blocks_read) != 0 && cell.read_epoch >= launch_epoch))) {
            finding("write-after-read race between blocks on global memory", pc_);
        }
        if (cell.read_epoch != epoch) return;
        const bool other_warp =
            (cell.flags & many_warps_read) != 0 || cell.reader / warp_size != warp_;
        const bool other_lane = (cell.flags & many_lanes_read) != 0 || cell.reader != self_;
        if (other_warp || (other_lane && cell.read_warp_epoch == warp_epoch_)) {
            finding(texts_.write_after_read, pc_);
        }
    }

    void note_read(Cell& cell) const {
        if (cell.read_epoch < launch_epoch) {
            set(cell, many_blocks_read, false);
        } else if (by_other_block(cell.read_epoch)) {
            set(cell, many_blocks_read, true);
        }
        const bool same_warp = cell.reader / warp_size == warp_;
        const bool earlier =
            cell.read_epoch != epoch || (same_warp && cell.read_warp_epoch != warp_epoch_ &&
                                         (cell.flags & many_warps_read) == 0);
        if (earlier) {
            cell.read_epoch = epoch;
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
    const Texts& texts_;
    unsigned access_;
    const void* pc_;
    std::uint16_t self_;
    std::uint16_t warp_;
    std::uint16_t warp_epoch_;
};

void count_global(const Cell& cell, unsigned bytes, bool is_write) {
    if (is_write) {
        metrics.global_written_bytes += bytes;
        if (cell.write_epoch < launch_epoch) metrics.global_distinct_written_bytes += bytes;
    } else {
        metrics.global_read_bytes += bytes;
        // Reading what this launch wrote moves nothing more.
        if (cell.read_epoch < launch_epoch && cell.write_epoch < launch_epoch) {
            metrics.global_distinct_read_bytes += bytes;
        }
    }
}

/// False if there is nothing more to say about the access.
bool check_place(const Region* region, std::uintptr_t begin, std::size_t bytes, bool is_write,
                 const void* pc) {
    if (region == nullptr) {
        if (!is_write && is_readable_elsewhere(begin)) return false;
        finding(
            is_write ? "write outside of all device memory" : "read outside of all device memory",
            pc);
        return false;
    }
    if (region == &dynamic_shared && begin + bytes > region->begin + dynamic_bytes) {
        finding(is_write ? "out-of-bounds write to dynamic shared memory"
                         : "out-of-bounds read of dynamic shared memory",
                pc);
        return false;
    }
    return true;
}

bool check_cell(const Cell& cell, bool is_write, const void* pc) {
    if ((cell.flags & (red_zone | freed)) != 0) {
        if ((cell.flags & freed) != 0) {
            finding(is_write ? "write to freed global memory" : "read of freed global memory", pc);
        } else {
            finding(is_write ? "out-of-bounds write to global memory"
                             : "out-of-bounds read of global memory",
                    pc);
        }
        return false;
    }
    if ((cell.flags & in_flight) != 0) {
        finding(is_write ? "write to a cp.async destination that is still in flight"
                         : "read of a cp.async destination that is still in flight",
                pc);
    }
    return true;
}

}  // namespace

void touch(const void* address, std::size_t bytes, unsigned access, const void* pc) {
    const std::uintptr_t begin = number(address);
    if (!active || current_thread == nullptr) {
        if (!active && global.has(begin)) finding("the host accesses device memory", pc);
        return;
    }
    if (on_fiber_stack(begin)) {
        if (!current_thread->fiber.owns(begin)) {
            finding("access to a local variable of another thread", pc);
        }
        return;
    }
    if (in_builtins(begin)) return;
    ++metrics.accesses;
    const bool is_write = (access & write_access) != 0;
    const Region* const region = region_of(begin);
    if (!check_place(region, begin, bytes, is_write, pc)) return;
    const Judge judge(*region, access, pc);
    for (std::uintptr_t at = begin & ~std::uintptr_t{1}; at < begin + bytes; at += 2) {
        Cell& cell = region->cell(at);
        if (!check_cell(cell, is_write, pc)) return;
        if (!instrumented) continue;
        if (!region->is_shared) count_global(cell, bytes == 1 ? 1 : 2, is_write);
        judge(cell);
    }
    if (!instrumented) return;
    if (count_accesses) {
        count_access(pc, begin - (region->is_shared ? region->begin : 0),
                     static_cast<unsigned>(bytes), region->is_shared);
    }
    if (schedule.preempt_every != 0 && current_thread->state == State::ready &&
        random_number() % schedule.preempt_every == 0) {
        give_way();
    }
}

void touch_aligned(const void* address, std::size_t bytes, unsigned access, const void* pc) {
    if (number(address) % bytes != 0 && in_kernel()) finding("misaligned access", pc);
    touch(address, bytes, access, pc);
}

bool in_kernel() { return active && current_thread != nullptr; }

void shadow_begin_launch(const Grid& grid) {
    make_shared_regions();
    launch_epoch = ++epoch;
    dynamic_bytes = grid.shared_bytes;
    arguments_begin = number(grid.arguments);
    arguments_bytes = grid.argument_bytes;
    warp_epochs.assign((n_threads + warp_size - 1) / warp_size, 0);
    active = true;
}

void shadow_end_launch() {
    active = false;
    ++epoch;
}

void shadow_begin_block() { block_epoch = ++epoch; }

void shadow_barrier() { ++epoch; }

void shadow_warp_barrier() { ++warp_epochs[position.warp]; }

void shadow_set_in_flight(const void* address, std::size_t bytes, bool on) {
    const Region* const region = region_of(number(address));
    if (region == nullptr) return;
    for (std::size_t i = 0; i < bytes; i += 2) {
        std::uint8_t& flags = region->cell(number(address) + i).flags;
        flags = static_cast<std::uint8_t>(on ? flags | in_flight : flags & ~in_flight);
    }
}

bool is_shared_memory(const void* address) {
    return dynamic_shared.has(number(address)) || static_shared.has(number(address));
}

void shadow_set_global(const void* begin, std::size_t bytes) {
    global = make_region(number(begin), bytes, false);
}

void shadow_mark_global(const void* address, std::size_t bytes, Contents contents) {
    Cell cell{};
    if (contents == Contents::red_zone) cell.flags = red_zone;
    if (contents == Contents::freed) cell.flags = freed;
    if (contents == Contents::written) cell.write_epoch = 1;
    for (std::size_t i = 0; i < bytes; i += 2) global.cell(number(address) + i) = cell;
}

void shadow_copy_global(const void* to, const void* from, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 2) {
        const Cell& source = global.cell(number(from) + i);
        Cell copy{};
        copy.write_epoch = source.write_epoch != 0 ? 1 : 0;
        global.cell(number(to) + i) = copy;
    }
}

}  // namespace simt
