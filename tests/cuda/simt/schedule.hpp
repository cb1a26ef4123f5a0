// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// In which order the executor runs what CUDA leaves unordered.
#pragma once

#include <cstdint>
#include <vector>

namespace simt {

/// Which of the threads that can run goes next.
enum class Order : std::uint8_t {
    forward,
    reverse,
    warps_forward,  ///< a warp runs as far as it can before the next one starts
    warps_reverse,
    random,  ///< a new order of the threads after each of their turns; blocks shuffled too
};

struct Schedule {
    Order order = Order::forward;
    unsigned seed = 1;
    /// cp.async copies when it is waited for; otherwise at once. Kernels must be right with both.
    bool late_async = true;
    /// In instrumented builds a thread gives way at one of so many accesses to memory; 0: never.
    unsigned preempt_every = 0;
};

/// Set between launches; taken by the next.
inline Schedule schedule;

/// The first n of a fixed list that begins with those that find most: forward, reverse, random,
/// random with preemption, then warps at a time, then more seeds.
[[nodiscard]] inline std::vector<Schedule> schedules(unsigned n) {
    const std::vector<Schedule> first = {
        {Order::forward, 1, true, 0},       {Order::reverse, 1, true, 0},
        {Order::random, 1, true, 0},        {Order::random, 2, true, 7},
        {Order::warps_forward, 1, true, 0}, {Order::warps_reverse, 1, true, 0},
    };
    std::vector<Schedule> list;
    for (unsigned i = 0; i < n; ++i) {
        list.push_back(i < first.size()
                           ? first[i]
                           : Schedule{Order::random, i + 1, true, i % 2 == 0 ? 0 : 5 + i});
    }
    return list;
}

}  // namespace simt
