// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Runs the blocks of a grid one after another, and the threads of a block as fibers.
#pragma once

#include "cuda_types.hpp"
#include "fiber.hpp"
#include "location.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// CUDA's own, of the thread that runs. In a section of their own, so that reads of them are told
/// from those of shared memory.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

namespace simt {

constexpr unsigned warp_size = 32;
constexpr unsigned all_lanes = 0xFFFFFFFFU;

/// Where the thread that runs stands; beside threadIdx and the like.
struct Position {
    unsigned lane = 0;
    unsigned warp = 0;
    unsigned linear = 0;  ///< thread in its block
};
extern Position position;

enum class State : std::uint8_t { ready, at_barrier, in_collective, finished };

/// A cp.async that was not yet waited for.
struct PendingCopy {
    void* destination;
    const void* source;
    unsigned bytes;
    unsigned source_bytes;  ///< the rest is filled with zeros
    unsigned group;         ///< of cp.async.commit_group
};

/// What a lane brings to a collective of its warp (collectives.hpp).
struct CollectiveCall {
    const char* name = nullptr;
    unsigned mask = 0;
    void* arguments = nullptr;
};

struct Thread {
    Fiber fiber;
    State state = State::ready;
    uint3 index{};
    Location where{};  ///< of the barrier or collective that it waits in
    CollectiveCall call;
    std::vector<PendingCopy> copies;
    unsigned copy_group = 0;
};

/// The thread that runs; null on the host.
extern Thread* current_thread;
extern std::vector<Thread> threads;  ///< of the running block, by linear index
extern unsigned n_threads;

/// What a launch executes.
struct Grid {
    dim3 grid_size;
    dim3 block_size;
    std::size_t shared_bytes = 0;
    void (*body)(void*) = nullptr;  ///< one thread: calls the kernel with `arguments`
    void* arguments = nullptr;
    std::size_t argument_bytes = 0;
};

/// False if the kernel could not go on; why is among the findings.
bool run_grid(const Grid& grid);

/// __syncthreads.
void block_barrier(const Location& at);

/// Lets other threads run first.
void give_way();

/// Ends the launch with a finding, for what leaves no way to go on. Called by a running thread.
[[noreturn]] void fail(const std::string& what);

/// xorshift, seeded by the schedule.
[[nodiscard]] unsigned random_number();

[[nodiscard]] unsigned char* dynamic_shared_memory();

/// The most dynamic shared memory of a block, sm_90 and later.
constexpr std::size_t max_shared_bytes = 227 << 10;

}  // namespace simt
