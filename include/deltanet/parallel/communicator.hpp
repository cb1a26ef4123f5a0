// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// How the ranks of one layer speak to each other. The library brings no network: an engine hands
/// in what it has (MPI, NCCL, threads, its own), as long as it can do these two things.
#pragma once

#include <deltanet/config.hpp>
#include <deltanet/dtype.hpp>

#include <concepts>
#include <cstddef>
#include <span>

namespace deltanet {

/// `rank()` of `world()` ranks, and two operations that all ranks call together, in the same order
/// and with the same sizes:
///   all_reduce(values)      each element becomes its sum over the ranks; the same bits on every
///                           rank
///   all_gather(mine, all)   all = the ranks' `mine` in the order of the ranks; all.size() is
///                           world() * mine.size()
/// Both return when the result is there. Memory belongs to the host, unless the adapter says
/// otherwise. A failure of the transport is an exception, on every rank.
template <class C>
concept Communicator = requires(C& c, std::span<float> values, std::span<const std::byte> mine,
                                std::span<std::byte> all) {
    { c.rank() } -> std::convertible_to<index_t>;
    { c.world() } -> std::convertible_to<index_t>;
    c.all_reduce(values);
    c.all_gather(mine, all);
};

/// One that can also add bfloat16, each sum rounded to bfloat16 once or on the way.
template <class C>
concept Bf16Communicator = Communicator<C> && requires(C& c, std::span<bf16> values) {
    c.all_reduce(values);
};

}  // namespace deltanet
