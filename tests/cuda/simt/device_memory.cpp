// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "device_memory.hpp"

#include "shadow.hpp"

#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <new>
#include <sys/mman.h>

namespace simt {
namespace {

constexpr std::size_t capacity = std::size_t{1} << 30;
constexpr std::size_t alignment = 256;
constexpr std::size_t red_zone_bytes = 256;

struct Allocation {
    std::size_t bytes;     ///< asked for
    std::size_t reserved;  ///< with what fills up to the alignment, and the red zone behind
};

unsigned char* arena = nullptr;
std::size_t used = 0;
std::map<std::uintptr_t, Allocation> live;

void make_arena() {
    if (arena != nullptr) return;
    void* const memory = mmap(nullptr, capacity, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    arena = static_cast<unsigned char*>(memory);
    shadow_set_global(arena, capacity);
    shadow_mark_global(arena, red_zone_bytes, Contents::red_zone);
    used = red_zone_bytes;
}

}  // namespace

void* allocate_global(std::size_t bytes) {
    make_arena();
    // Nothing is reused while anything lives, so that uses of freed memory are seen.
    if (live.empty()) used = red_zone_bytes;
    const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
    const std::size_t reserved = whole + red_zone_bytes;
    if (bytes > capacity || reserved > capacity - used) return nullptr;
    unsigned char* const memory = arena + used;
    used += reserved;
    std::memset(memory, 0xFF, bytes);
    shadow_mark_global(memory, bytes, Contents::undefined);
    shadow_mark_global(memory + bytes, reserved - bytes, Contents::red_zone);
    live[reinterpret_cast<std::uintptr_t>(memory)] = {bytes, reserved};
    return memory;
}

bool free_global(void* memory) {
    const auto found = live.find(reinterpret_cast<std::uintptr_t>(memory));
    if (found == live.end()) return false;
    std::memset(memory, 0xFF, found->second.bytes);
    shadow_mark_global(memory, found->second.bytes, Contents::freed);
    live.erase(found);
    return true;
}

bool is_global(const void* memory, std::size_t bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    const auto after = live.upper_bound(address);
    if (after == live.begin()) return false;
    const auto& [begin, allocation] = *std::prev(after);
    return address - begin <= allocation.bytes && bytes <= allocation.bytes - (address - begin);
}

bool is_device_address(const void* memory) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    return arena != nullptr && address - reinterpret_cast<std::uintptr_t>(arena) < capacity;
}

std::size_t live_allocations() { return live.size(); }

}  // namespace simt
