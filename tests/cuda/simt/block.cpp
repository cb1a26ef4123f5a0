// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "block.hpp"

#include "async_copy.hpp"
#include "findings.hpp"
#include "metrics.hpp"
#include "schedule.hpp"
#include "shadow.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>

#define SIMT_BUILTIN __attribute__((section("simt_builtins")))
SIMT_BUILTIN uint3 threadIdx{};
SIMT_BUILTIN uint3 blockIdx{};
SIMT_BUILTIN dim3 blockDim;
SIMT_BUILTIN dim3 gridDim;

namespace simt {

SIMT_BUILTIN Position position;
Thread* current_thread = nullptr;
std::vector<Thread> threads;
unsigned n_threads = 0;

namespace {

const Grid* running = nullptr;
bool failed = false;
std::uint64_t random_state = 1;
alignas(1024) unsigned char shared_memory[max_shared_bytes];

void thread_main() {
    running->body(running->arguments);
    finish_async_copies();
    current_thread->state = State::finished;
    for (;;) current_thread->fiber.leave();
}

void resume(unsigned i) {
    current_thread = &threads[i];
    threadIdx = threads[i].index;
    position.linear = i;
    position.lane = i % warp_size;
    position.warp = i / warp_size;
    threads[i].fiber.enter();
    current_thread = nullptr;
}

template <class T>
void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) {
        std::swap(values[i - 1], values[random_number() % i]);
    }
}

[[nodiscard]] uint3 index_of(unsigned linear, const dim3& size) {
    return {linear % size.x, linear / size.x % size.y, linear / (size.x * size.y)};
}

/// Gives each thread that can run one turn, in the schedule's order. False if none could.
bool run_round(std::vector<unsigned>& order) {
    bool any = false;
    const auto run = [&any](unsigned i) {
        if (failed || threads[i].state != State::ready) return false;
        resume(i);
        any = true;
        return true;
    };
    if (schedule.order == Order::random) shuffle(order);
    if (schedule.order == Order::warps_forward || schedule.order == Order::warps_reverse) {
        for (unsigned first = 0; first < n_threads; first += warp_size) {
            const unsigned end = std::min(n_threads, first + warp_size);
            bool progress = true;
            while (progress) {
                progress = false;
                for (unsigned i = first; i < end; ++i) progress = run(order[i]) || progress;
            }
        }
    } else {
        for (const unsigned i : order) run(i);
    }
    return any;
}

/// Releases the threads if all that are left stand at one barrier.
bool pass_barrier() {
    const Thread* first = nullptr;
    unsigned n_live = 0;
    for (unsigned i = 0; i < n_threads; ++i) {
        const Thread& thread = threads[i];
        if (thread.state == State::finished) continue;
        ++n_live;
        if (thread.state != State::at_barrier) return false;
        if (first == nullptr) first = &thread;
        if (!same_place(first->where, thread.where)) {
            finding(
                "divergent barrier: threads of one block meet in different __syncthreads() at " +
                to_string(first->where) + " and " + to_string(thread.where));
            failed = true;
            return false;
        }
    }
    if (first == nullptr) return false;
    if (n_live != n_threads) {
        finding("__syncthreads() after some threads of the block have exited at " +
                to_string(first->where));
    }
    for (unsigned i = 0; i < n_threads; ++i) {
        if (threads[i].state == State::at_barrier) threads[i].state = State::ready;
    }
    ++metrics.barriers;
    shadow_barrier();
    close_access_groups();
    return true;
}

/// A lane that the collective of this thread waits for in vain; -1 if there is none.
int missing_lane(unsigned i) {
    const unsigned first = i / warp_size * warp_size;
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        if ((threads[i].call.mask >> lane & 1U) == 0) continue;
        const unsigned other = first + lane;
        if (other >= n_threads || threads[other].state == State::finished) {
            return static_cast<int>(lane);
        }
    }
    return -1;
}

/// Nobody can go on: which threads wait where.
void report_deadlock() {
    std::map<std::string, unsigned> waiting;
    unsigned n_finished = 0;
    for (unsigned i = 0; i < n_threads; ++i) {
        const Thread& thread = threads[i];
        if (thread.state == State::finished) {
            ++n_finished;
        } else {
            const bool at_barrier = thread.state == State::at_barrier;
            std::string name = at_barrier ? "__syncthreads" : thread.call.name;
            name += " at " + to_string(thread.where);
            if (const int lane = at_barrier ? -1 : missing_lane(i); lane >= 0) {
                name += " (the mask names lane " + std::to_string(lane) +
                        ", which has exited or does not exist)";
            }
            ++waiting[name];
        }
    }
    if (waiting.empty()) return;
    std::string text = "deadlock: ";
    for (const auto& [where, n] : waiting) {
        text += std::to_string(n) + " threads in " + where + ", ";
    }
    finding(text + std::to_string(n_finished) + " finished");
    failed = true;
}

void run_block(std::vector<unsigned>& order) {
    ++metrics.blocks;
    shadow_begin_block();
    // A pattern that is a NaN in every float type, so that what nobody wrote shows in results.
    std::memset(shared_memory, 0xFF, running->shared_bytes);
    for (unsigned i = 0; i < n_threads; ++i) {
        Thread& thread = threads[i];
        thread.fiber.prepare(i, thread_main);
        thread.state = State::ready;
        thread.index = index_of(i, running->block_size);
        thread.call = {};
        thread.copies.clear();
        thread.copy_group = 0;
    }
    const bool backwards =
        schedule.order == Order::reverse || schedule.order == Order::warps_reverse;
    std::iota(order.begin(), order.end(), 0U);
    if (backwards) std::reverse(order.begin(), order.end());
    while (!failed) {
        const bool ran = run_round(order);
        if (failed) break;
        const bool passed = pass_barrier();
        if (failed || ran || passed) continue;
        report_deadlock();
        break;
    }
    close_access_groups();
}

}  // namespace

bool run_grid(const Grid& grid) {
    running = &grid;
    failed = false;
    random_state = 0x9E3779B97F4A7C15ULL * (schedule.seed + 1);
    n_threads = grid.block_size.x * grid.block_size.y * grid.block_size.z;
    reserve_stacks(n_threads);
    if (threads.size() < n_threads) threads.resize(n_threads);
    blockDim = grid.block_size;
    gridDim = grid.grid_size;
    ++metrics.launches;

    std::vector<unsigned> blocks(grid.grid_size.x * grid.grid_size.y * grid.grid_size.z);
    std::iota(blocks.begin(), blocks.end(), 0U);
    if (schedule.order == Order::reverse || schedule.order == Order::warps_reverse) {
        std::reverse(blocks.begin(), blocks.end());
    } else if (schedule.order == Order::random) {
        shuffle(blocks);
    }
    std::vector<unsigned> order(n_threads);
    shadow_begin_launch(grid);
    for (const unsigned block : blocks) {
        blockIdx = index_of(block, grid.grid_size);
        run_block(order);
        if (failed) break;
    }
    shadow_end_launch();
    return !failed;
}

void block_barrier(const Location& at) {
    current_thread->state = State::at_barrier;
    current_thread->where = at;
    current_thread->fiber.leave();
}

void give_way() { current_thread->fiber.leave(); }

void fail(const std::string& what) {
    const uint3& block = blockIdx;
    finding(what + " [block " + std::to_string(block.x) + "," + std::to_string(block.y) + "," +
            std::to_string(block.z) + " thread " + std::to_string(position.linear) + "]");
    failed = true;
    current_thread->state = State::finished;
    for (;;) current_thread->fiber.leave();
}

unsigned random_number() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return static_cast<unsigned>(random_state >> 11);
}

unsigned char* dynamic_shared_memory() { return shared_memory; }

}  // namespace simt
