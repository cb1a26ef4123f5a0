// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the executor counts.
#pragma once

#include <cstdint>

namespace simt {

struct Metrics {
    std::uint64_t device_allocations = 0;  ///< cudaMalloc and cudaFree
    std::uint64_t waits = 0;               ///< calls that a host waits in
    std::uint64_t launches = 0;
    std::uint64_t blocks = 0;
    std::uint64_t barriers = 0;     ///< of blocks, each counted once for its block
    std::uint64_t collectives = 0;  ///< of warps, each counted once for its warp
    std::uint64_t mma = 0;
    std::uint64_t ldmatrix = 0;  ///< instructions, of one, two or four matrices
    /// Turns of shared memory beyond one for each matrix of ldmatrix. 0: without bank conflicts.
    std::uint64_t ldmatrix_conflicts = 0;
    std::uint64_t async_copies = 0;  ///< cp.async, each of one thread
    std::uint64_t async_bytes = 0;   ///< read by them

    // In instrumented builds alone.
    std::uint64_t accesses = 0;
    std::uint64_t global_read_bytes = 0;  ///< as asked for by the threads
    std::uint64_t global_written_bytes = 0;
    /// Each byte once in a launch: what a cache that keeps everything would move.
    std::uint64_t global_distinct_read_bytes = 0;
    std::uint64_t global_distinct_written_bytes = 0;

    // In instrumented builds, while `count_accesses` is on.
    std::uint64_t shared_turns = 0;        ///< turns of shared memory, bank conflicts included
    std::uint64_t shared_ideal_turns = 0;  ///< the same without conflicts
    std::uint64_t global_sectors = 0;      ///< 32-byte sectors touched by warps
    std::uint64_t global_ideal_sectors = 0;
};

inline Metrics metrics;

/// Puts the accesses of a warp together, for turns and sectors: slow, so off unless asked for.
inline bool count_accesses = false;

/// One access of the running thread. `offset` is the address in shared memory if `is_shared`.
void count_access(const void* pc, std::uintptr_t offset, unsigned bytes, bool is_shared);

/// At barriers and ends of blocks: what was put together goes into `metrics`.
void close_access_groups();

}  // namespace simt
