// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Who runs the tasks of an op. The library never starts a thread: it hands independent tasks to an
/// executor, sequential unless the engine brings its own pool. Results do not depend on the
/// executor or on the number of threads: every task writes its own outputs in a fixed order of
/// arithmetic.
#pragma once

#include <deltanet/config.hpp>

#include <concepts>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace deltanet {

namespace detail {
struct ExampleTask {
    void operator()(index_t task, index_t worker) const noexcept;
};
}  // namespace detail

/// `executor.parallel_for(n, f)` calls `f(task, worker)` exactly once for every task in [0, n), in
/// any order and on any thread, and returns when all calls have returned and their writes are
/// visible. `worker` lies in [0, executor.concurrency()) and no two calls that overlap in time
/// share one: it selects a piece of scratch memory. `concurrency()` is at least 1 and does not
/// change while an op runs. Calls are not nested.
template <class E>
concept Executor = requires(E& executor, index_t n, detail::ExampleTask f) {
    { executor.concurrency() } -> std::convertible_to<index_t>;
    executor.parallel_for(n, f);
};

/// Everything on the calling thread.
struct SequentialExecutor {
    [[nodiscard]] static constexpr index_t concurrency() noexcept { return 1; }

    template <class F>
    void parallel_for(index_t n, F&& f) const {
        for (index_t task = 0; task < n; ++task) f(task, index_t{0});
    }
};

#if defined(_OPENMP)
/// The threads of the OpenMP runtime; there only when compiled with OpenMP. `threads` 0 means
/// omp_get_max_threads() at the time of construction.
class OpenMPExecutor {
  public:
    explicit OpenMPExecutor(int threads = 0) noexcept
        : threads_(threads > 0 ? threads : omp_get_max_threads()) {}

    [[nodiscard]] index_t concurrency() const noexcept { return threads_; }

    template <class F>
    void parallel_for(index_t n, F&& f) const {
        if (n <= 1) {  // a team costs more than one task gains
            if (n == 1) f(index_t{0}, index_t{0});
            return;
        }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads_)
        for (index_t task = 0; task < n; ++task) f(task, index_t{omp_get_thread_num()});
    }

  private:
    int threads_;
};
#endif

}  // namespace deltanet
