// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Ranks that are threads of a test.
#pragma once

#include "parallel/rank_runs.hpp"
#include <deltanet/parallel/local_ranks.hpp>

#include <algorithm>
#include <limits>
#include <thread>
#include <vector>

namespace deltanet::test {

/// f(communicator) on every rank, each a thread; what they return, in their order. A rank that
/// throws ends the program: the others would wait for it.
template <class F>
[[nodiscard]] auto on_ranks(index_t world, const F& f) {
    LocalRanks ranks(world);
    std::vector<decltype(f(std::declval<LocalRank&>()))> results(static_cast<std::size_t>(world));
    std::vector<std::jthread> team;
    for (index_t rank = 0; rank < world; ++rank) {
        team.emplace_back([&, rank]() noexcept {
            LocalRank me(ranks, rank);
            results[static_cast<std::size_t>(rank)] = f(me);
        });
    }
    team.clear();  // joins
    return results;
}

/// The largest; infinite where one is negative, which stands for a mistake.
[[nodiscard]] inline double worst(const std::vector<double>& differences) {
    if (*std::min_element(differences.begin(), differences.end()) < 0.0)
        return std::numeric_limits<double>::infinity();
    return *std::max_element(differences.begin(), differences.end());
}

}  // namespace deltanet::test
