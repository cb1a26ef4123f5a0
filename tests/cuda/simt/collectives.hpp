// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Collectives of a warp: each lane of the mask waits until all have come to the same call; the
/// last one executes it for all, reading and writing the lanes' arguments through pointers into
/// their stacks.
#pragma once

#include "block.hpp"
#include "location.hpp"

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace simt {

/// What a collective does once all lanes are there: `arguments[lane]` for each lane of the mask.
using CollectiveBody = void (*)(void* const* arguments, unsigned mask);

/// Rendezvous of the lanes of `mask`. Fails for masks that leave out the caller or name lanes that
/// have exited, and where lanes meet in different calls. Orders no memory.
void warp_collective(const char* name, unsigned mask, void* arguments, CollectiveBody body,
                     const Location& at);

/// __syncwarp: a collective that orders memory between the lanes, if all 32 take part.
void warp_barrier(unsigned mask, const Location& at);

/// One value of up to eight bytes from lane `source` of the warp.
[[nodiscard]] std::uint64_t shuffle_bits(unsigned mask, std::uint64_t value, unsigned source,
                                         const Location& at);

/// Bit i: the predicate of lane i, for the lanes of the mask.
[[nodiscard]] unsigned vote(unsigned mask, bool predicate, const Location& at);

/// Not instrumented: its accesses are not those of the kernel.
template <class T>
__attribute__((noinline, no_sanitize("thread"))) T shuffle_value(unsigned mask, T value,
                                                                 unsigned source,
                                                                 const Location& at) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = shuffle_bits(mask, bits, source, at);
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

}  // namespace simt
