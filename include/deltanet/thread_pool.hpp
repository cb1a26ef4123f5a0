// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A team of threads for engines that have none: started once, idle between calls. An engine with a
/// pool of its own writes an executor of ten lines instead (examples/05_own_thread_pool.cpp).
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/executor.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace deltanet {

/// The threads. One call of `parallel_for` at a time; the calling thread works too, as worker 0.
class ThreadPool {
  public:
    /// `threads` in all, the caller's included; 0 means one for each hardware thread. Throws
    /// `Error` below 0, and what std::jthread throws when the system has no more threads.
    explicit ThreadPool(index_t threads = 0) {
        detail::check_at_least("ThreadPool", "threads", threads, 0);
        if (threads == 0)
            threads = std::max(index_t{1}, index_t{std::thread::hardware_concurrency()});
        for (index_t worker = 1; worker < threads; ++worker) {
            team_.emplace_back(
                [this, worker](const std::stop_token& stop) { serve(stop, worker); });
        }
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() = default;  // see StopOrder

    [[nodiscard]] index_t concurrency() const noexcept {
        return static_cast<index_t>(team_.size()) + 1;
    }

    /// See `Executor`. An exception out of f ends the program. Allocates nothing.
    template <class F>
    void parallel_for(index_t n, F&& f) {
        if (n <= 1 || team_.empty()) {
            for (index_t task = 0; task < n; ++task) f(task, index_t{0});
            return;
        }
        using Function = std::remove_reference_t<F>;
        call_ = [](const void* function, index_t task, index_t worker) {
            (*static_cast<Function*>(const_cast<void*>(function)))(task, worker);
        };
        function_ = static_cast<const void*>(std::addressof(f));
        n_tasks_ = n;
        next_.store(0, std::memory_order_relaxed);
        busy_.store(static_cast<index_t>(team_.size()), std::memory_order_relaxed);
        publish();
        run_tasks(0);
        await(busy_, [](index_t busy) { return busy == 0; });
    }

  private:
    // A few microseconds: about what the next op of a layer is away.
    static constexpr int kSpins = 4000;

    /// Returns when `ready(value)` holds: looks for a while, then sleeps.
    template <class Value, class Ready>
    static void await(const std::atomic<Value>& value, Ready ready) {
        for (int spin = 0; spin < kSpins; ++spin) {
            if (ready(value.load(std::memory_order_acquire))) return;
            relax();
        }
        for (Value seen = value.load(std::memory_order_acquire); !ready(seen);
             seen = value.load(std::memory_order_acquire)) {
            value.wait(seen, std::memory_order_acquire);
        }
    }

    /// Tells the core that this is a wait; another hardware thread may have its resources.
    static void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }

    /// A new job, or the order to stop.
    void publish() {
        epoch_.fetch_add(1, std::memory_order_release);
        epoch_.notify_all();
    }

    void run_tasks(index_t worker) noexcept {
        for (index_t task = next_.fetch_add(1, std::memory_order_relaxed); task < n_tasks_;
             task = next_.fetch_add(1, std::memory_order_relaxed)) {
            call_(function_, task, worker);
        }
    }

    void serve(const std::stop_token& stop, index_t worker) {
        for (std::uint64_t seen = 0;; ++seen) {
            await(epoch_, [seen](std::uint64_t epoch) { return epoch != seen; });
            if (stop.stop_requested()) return;
            run_tasks(worker);
            if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
        }
    }

    /// Wakes and stops the team before it is joined, also when the constructor could not start all.
    struct StopOrder {
        ThreadPool* pool;
        ~StopOrder() {
            for (std::jthread& thread : pool->team_) thread.request_stop();
            pool->publish();
        }
    };

    using Call = void (*)(const void*, index_t, index_t);
    Call call_ = nullptr;
    const void* function_ = nullptr;
    index_t n_tasks_ = 0;
    // On lines of their own: every worker writes them.
    alignas(64) std::atomic<index_t> next_{0};
    alignas(64) std::atomic<index_t> busy_{0};
    alignas(64) std::atomic<std::uint64_t> epoch_{0};
    std::vector<std::jthread> team_;  // the threads use what stands above
    StopOrder stop_order_{this};      // destroyed first
};

/// Models Executor: a pool that lives elsewhere, and may serve any number of backends one call at a
/// time.
class ThreadPoolExecutor {
  public:
    explicit ThreadPoolExecutor(ThreadPool& pool) noexcept : pool_(&pool) {}
    [[nodiscard]] index_t concurrency() const noexcept { return pool_->concurrency(); }
    template <class F>
    void parallel_for(index_t n, F&& f) const {
        pool_->parallel_for(n, f);
    }

  private:
    ThreadPool* pool_;
};

static_assert(Executor<ThreadPoolExecutor>);

}  // namespace deltanet
