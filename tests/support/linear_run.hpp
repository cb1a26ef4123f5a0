// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A call of a linear operator, with all that it must not touch watched.
#pragma once

#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/linear_operator.hpp>
#include <deltanet/workspace.hpp>

#include <cstring>
#include <limits>
#include <vector>

namespace deltanet::test {

/// Runs tasks from the last to the first on changing workers.
struct BackwardExecutor {
    index_t workers;
    [[nodiscard]] index_t concurrency() const noexcept { return workers; }
    template <class F>
    void parallel_for(index_t n, F&& f) const {
        for (index_t task = n - 1; task >= 0; --task) f(task, (task * 5 + 1) % workers);
    }
};

/// y of rows `stride` apart, with NaN around it that must stay; scratch full of NaN.
template <class L, class E>
[[nodiscard]] std::vector<float> run_linear(const L& w, View<const float, 2> x, index_t stride,
                                            E executor) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const index_t n = x.size(0);
    const index_t out = w.out_features();
    std::vector<float> memory(static_cast<std::size_t>(n * stride + 7), nan);
    const View<float, 2> y(memory.data() + 5, {n, out}, {stride, 1});
    const index_t bytes = w.scratch_bytes(n, executor.concurrency());
    Workspace workspace;
    const std::span<std::byte> scratch = workspace.acquire(bytes);
    std::memset(scratch.data(), 0xFF, scratch.size());
    w(x, y, scratch.first(static_cast<std::size_t>(bytes)), executor);
    const std::vector<float> result = elements(y);
    for (index_t t = 0; t < n; ++t) {
        for (index_t o = 0; o < out; ++o) y(t, o) = nan;
    }
    CHECK(bit_equal(memory, std::vector<float>(memory.size(), nan)));  // nothing else was written
    return result;
}
template <class L>
[[nodiscard]] std::vector<float> run_linear(const L& w, View<const float, 2> x) {
    return run_linear(w, x, w.out_features(), SequentialExecutor{});
}

}  // namespace deltanet::test
