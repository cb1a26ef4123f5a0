// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "async_copy.hpp"

#include "block.hpp"
#include "findings.hpp"
#include "metrics.hpp"
#include "schedule.hpp"
#include "shadow.hpp"

#include <cstdint>
#include <cstring>
#include <string>

namespace simt {
namespace {

[[nodiscard]] bool is_aligned(const void* address, unsigned bytes) {
    return reinterpret_cast<std::uintptr_t>(address) % bytes == 0;
}

void land(const PendingCopy& copy) {
    auto* const to = static_cast<unsigned char*>(copy.destination);
    std::memcpy(to, copy.source, copy.source_bytes);
    std::memset(to + copy.source_bytes, 0, copy.bytes - copy.source_bytes);
}

}  // namespace

void cp_async(void* shared, const void* global, unsigned bytes, unsigned source_bytes,
              const Location& at) {
    const void* const pc = __builtin_return_address(0);
    ++metrics.async_copies;
    metrics.async_bytes += source_bytes;
    if (!is_aligned(shared, bytes) || !is_aligned(global, bytes)) {
        fail("cp.async with a misaligned address at " + to_string(at));
    }
    if (!is_shared_memory(shared))
        fail("cp.async to what is not shared memory at " + to_string(at));
    if (source_bytes != 0) touch(global, source_bytes, read_access, pc);
    touch(shared, bytes, write_access, pc);
    shadow_set_in_flight(shared, bytes, true);
    const PendingCopy copy{shared, global, bytes, source_bytes, current_thread->copy_group};
    if (schedule.late_async) {
        std::memset(shared, 0xFF, bytes);
    } else {
        land(copy);
    }
    current_thread->copies.push_back(copy);
}

void cp_async_commit() { ++current_thread->copy_group; }

void cp_async_wait(unsigned n_left) {
    const void* const pc = __builtin_return_address(0);
    std::vector<PendingCopy>& copies = current_thread->copies;
    std::vector<PendingCopy> landed;
    std::vector<PendingCopy> left;
    for (const PendingCopy& copy : copies) {
        const bool done = copy.group + n_left < current_thread->copy_group;
        (done ? landed : left).push_back(copy);
    }
    copies = left;
    for (const PendingCopy& copy : landed) {
        shadow_set_in_flight(copy.destination, copy.bytes, false);
        if (schedule.late_async) land(copy);
        touch(copy.destination, copy.bytes, write_access, pc);  // it lands now, for this thread
    }
}

void finish_async_copies() {
    if (!current_thread->copies.empty()) {
        finding("cp.async still under way at the exit of its thread: no wait", nullptr);
    }
}

}  // namespace simt
