// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "shadow.hpp"

#include "block.hpp"
#include "findings.hpp"
#include "judge.hpp"
#include "metrics.hpp"
#include "schedule.hpp"
#include "shadow_cells.hpp"

#include <new>
#include <sys/mman.h>

// The linker's names.
extern "C" char __data_start, _end, __executable_start;       // NOLINT
extern "C" char __start_simt_builtins, __stop_simt_builtins;  // NOLINT

namespace simt {
namespace {

Region dynamic_shared;
Region static_shared;  // the program's .data and .bss, where __shared__ variables lie
Region global;
std::size_t dynamic_bytes = 0;

Clock clock_now;
bool active = false;
std::uintptr_t arguments_begin = 0;
std::uintptr_t arguments_bytes = 0;

[[nodiscard]] std::uintptr_t number(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address);
}

/// Zero pages until touched.
Region make_region(std::uintptr_t begin, std::size_t bytes, bool is_shared) {
    const std::size_t n = 2 * Region::pairs_of(bytes);
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

void count_global(const Cell& cell, unsigned bytes, bool is_write) {
    if (is_write) {
        metrics.global_written_bytes += bytes;
        if (cell.write_epoch < clock_now.launch_epoch)
            metrics.global_distinct_written_bytes += bytes;
    } else {
        metrics.global_read_bytes += bytes;
        // Reading what this launch wrote moves nothing more.
        if (cell.read_epoch < clock_now.launch_epoch && cell.write_epoch < clock_now.launch_epoch) {
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

/// What is split stays so.
void replace(Cell& old, Cell cell) {
    cell.flags = static_cast<std::uint8_t>(cell.flags | (old.flags & split));
    old = cell;
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
    const bool is_write = (access & write_access) != 0;
    const Region* const region = region_of(begin);
    if (!check_place(region, begin, bytes, is_write, pc)) return;
    ++metrics.accesses;
    const Judge judge(*region, clock_now, access, pc);
    bool may_go_on = true;
    region->for_each_cell(begin, bytes, [&](Cell& cell, unsigned n) {
        may_go_on = check_cell(cell, is_write, pc);
        if (!may_go_on || !instrumented) return may_go_on;
        if (!region->is_shared) count_global(cell, n, is_write);
        judge(cell);
        return true;
    });
    if (!may_go_on || !instrumented) return;
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
    clock_now.launch_epoch = ++clock_now.epoch;
    dynamic_bytes = grid.shared_bytes;
    arguments_begin = number(grid.arguments);
    arguments_bytes = grid.argument_bytes;
    clock_now.warp_epochs.assign((n_threads + warp_size - 1) / warp_size, 0);
    active = true;
}

void shadow_end_launch() {
    active = false;
    ++clock_now.epoch;
}

void shadow_begin_block() { clock_now.block_epoch = ++clock_now.epoch; }

void shadow_barrier() { ++clock_now.epoch; }

void shadow_warp_barrier() { ++clock_now.warp_epochs[position.warp]; }

void shadow_set_in_flight(const void* address, std::size_t bytes, bool on) {
    const Region* const region = region_of(number(address));
    if (region == nullptr) return;
    region->for_each_cell(number(address), bytes, [on](Cell& cell, unsigned) {
        cell.flags =
            static_cast<std::uint8_t>(on ? cell.flags | in_flight : cell.flags & ~in_flight);
        return true;
    });
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
    global.for_each_cell(number(address), bytes, [&](Cell& old, unsigned) {
        replace(old, cell);
        return true;
    });
}

void shadow_copy_global(const void* to, const void* from, std::size_t bytes) {
    std::uintptr_t source = number(from);
    global.for_each_cell(number(to), bytes, [&](Cell& old, unsigned n) {
        Cell copy{};
        // Of two bytes that were written apart, what is known of both.
        copy.write_epoch = 1;
        global.for_each_cell(source, n, [&](const Cell& cell, unsigned) {
            if (cell.write_epoch == 0) copy.write_epoch = 0;
            return true;
        });
        source += n;
        replace(old, copy);
        return true;
    });
}

}  // namespace simt
