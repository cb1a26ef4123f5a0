// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: the engine's own threads. A small pool of `std::jthread`s models `Executor`;
/// the library itself starts no thread. The results have the same bits as on one thread.
#include "small_layer.hpp"

#include <atomic>
#include <barrier>
#include <cstdio>
#include <functional>
#include <thread>

using namespace deltanet;
using namespace example;

struct Pool {
    explicit Pool(index_t n) : start_(n), end_(n) {  // the caller of run() is worker 0
        for (index_t w = 1; w < n; ++w)
            threads_.emplace_back([this, w](const std::stop_token& stop) {
                for (start_.arrive_and_wait(); !stop.stop_requested(); start_.arrive_and_wait())
                    take_tasks(w), end_.arrive_and_wait();
            });
    }
    ~Pool() {
        for (std::jthread& thread : threads_) thread.request_stop();
        start_.arrive_and_wait();
    }
    void run(index_t n, const std::function<void(index_t, index_t)>& f) {
        f_ = &f, n_ = n, next_ = 0;
        start_.arrive_and_wait();
        take_tasks(0), end_.arrive_and_wait();
    }

  private:
    void take_tasks(index_t worker) {
        for (index_t task = next_++; task < n_; task = next_++) (*f_)(task, worker);
    }
    std::barrier<> start_, end_;
    const std::function<void(index_t, index_t)>* f_ = nullptr;
    index_t n_ = 0;
    std::atomic<index_t> next_{0};
    std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

/// What the backend holds: a handle, since a backend is copied and a pool is not.
struct PoolExecutor {
    Pool* pool;
    index_t threads;
    [[nodiscard]] index_t concurrency() const { return threads; }
    void parallel_for(index_t n, const auto& f) const { pool->run(n, std::ref(f)); }
};

template <class B>
std::vector<float> run(B backend) {
    const SmallLayer small;
    DeltaNetLayer<B> layer(small.config, small.weights(), backend);
    StateSlots slots(small.config, {.slots = 2});
    Batch batch;  // a long prefill and a decode: their work is one queue of tasks
    batch.add({.slot = 0, .n_tokens = 200, .start = Start::fresh})
        .add({.slot = 1, .start = Start::fresh});
    std::vector<float> x = numbers(201 * small.config.hidden, 1.0F, 10), y(x.size());
    layer.forward(batch, rows(x, small.config.hidden), rows(y, small.config.hidden), slots);
    return y;
}

int main() {
    const std::vector<float> sequential = run(CpuBackend<>());
    bool same = true;
    for (const index_t n : {2, 3, 7}) {
        Pool pool(n);
        same = same && run(CpuBackend<cpu::default_arch, PoolExecutor>({&pool, n})) == sequential;
        std::printf("%td threads: %s\n", n, same ? "the same bits" : "other bits");
    }
    return same ? 0 : 1;
}

// Expected output:
// 2 threads: the same bits
// 3 threads: the same bits
// 7 threads: the same bits
