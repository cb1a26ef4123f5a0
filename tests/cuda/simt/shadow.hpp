// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Shadow memory: who last wrote and read each byte of shared and global memory, and when. Knows of
/// races, of memory that nobody wrote, of bounds and of asynchronous copies under way.
///
/// Time is counted in epochs. Each launch, each block and each __syncthreads begins one; blocks
/// run one after another, so that an epoch belongs to one block. Two accesses of different threads
/// in one epoch are unordered, unless a full __syncwarp lies between them in one warp (warp
/// epochs). Two accesses in one launch but different blocks are unordered always.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simt {

struct Grid;

enum Access : unsigned {
    read_access = 0,
    write_access = 1,
    atomic_access = 2,    ///< together with write_access
    constant_access = 4,  ///< __ldg: read through the cache that is not kept coherent
};

/// An access of the running thread to `bytes` bytes; `pc`: a return address in the kernel. Judges
/// all but the initialisation and races in builds that are not instrumented: those see only what
/// passes through the executor's own functions.
void touch(const void* address, std::size_t bytes, unsigned access, const void* pc);

/// The same for what must lie at a multiple of its size; `bytes` a power of two.
void touch_aligned(const void* address, std::size_t bytes, unsigned access, const void* pc);

/// One access of the running thread that is also made; not instrumented.
template <class V>
__attribute__((noinline, no_sanitize("thread"))) V load(const void* memory) {
    touch_aligned(memory, sizeof(V), read_access, __builtin_return_address(0));
    return *static_cast<const V*>(memory);
}
template <class V>
__attribute__((noinline, no_sanitize("thread"))) void store(void* memory, V value) {
    touch_aligned(memory, sizeof(V), write_access, __builtin_return_address(0));
    *static_cast<V*>(memory) = value;
}

/// True while a thread of a kernel runs.
[[nodiscard]] bool in_kernel();

/// True once a translation unit built with -fsanitize=thread was loaded.
inline bool instrumented = false;

void shadow_begin_launch(const Grid& grid);
void shadow_end_launch();
void shadow_begin_block();
void shadow_barrier();
void shadow_warp_barrier();  ///< of the running thread's warp

/// Destination of a cp.async: not to be touched until it is waited for.
void shadow_set_in_flight(const void* address, std::size_t bytes, bool in_flight);

[[nodiscard]] bool is_shared_memory(const void* address);

/// Of global memory, by the host.
enum class Contents : std::uint8_t { red_zone, freed, undefined, written };
void shadow_mark_global(const void* address, std::size_t bytes, Contents contents);
/// Copies what is known about initialisation along with the bytes.
void shadow_copy_global(const void* to, const void* from, std::size_t bytes);

/// The range of global memory, given once.
void shadow_set_global(const void* begin, std::size_t bytes);

}  // namespace simt
