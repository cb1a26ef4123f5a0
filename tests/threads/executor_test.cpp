// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Executors: every task once, workers apart, and the same bits from any number of threads.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

#include <atomic>
#include <chrono>
#include <thread>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// The plainest executor with threads: starts them anew for each call.
class ThreadExecutor {
  public:
    explicit ThreadExecutor(index_t threads) : threads_(threads) {}
    [[nodiscard]] index_t concurrency() const { return threads_; }

    template <class F>
    void parallel_for(index_t n, F&& f) const {
        std::atomic<index_t> next{0};
        std::vector<std::jthread> team;
        for (index_t worker = 0; worker < threads_; ++worker) {
            team.emplace_back([&, worker] {
                for (index_t task = next++; task < n; task = next++) f(task, worker);
            });
        }
    }

  private:
    index_t threads_;
};

template <class E>
void check_executor(E executor) {
    constexpr index_t n = 500;
    std::vector<int> done(n, 0);
    std::vector<std::atomic<int>> inside(static_cast<std::size_t>(executor.concurrency()));
    std::atomic<bool> shared{false};
    executor.parallel_for(n, [&](index_t task, index_t worker) {
        if (inside[static_cast<std::size_t>(worker)].fetch_add(1) != 0) shared = true;
        ++done[static_cast<std::size_t>(task)];
        inside[static_cast<std::size_t>(worker)].fetch_sub(1);
    });
    CHECK(done == std::vector<int>(n, 1));
    CHECK_FALSE(shared);
    executor.parallel_for(0, [&](index_t, index_t) { shared = true; });
    CHECK_FALSE(shared);
    executor.parallel_for(1, [&](index_t task, index_t worker) {
        shared = task == 0 && worker < executor.concurrency();
    });
    CHECK(shared);
}

struct Result {
    std::vector<float> y, state;
};

/// A mixed batch through the whole layer.
template <class E>
Result run_with(const RandomLayer& random, E executor) {
    using B = CpuBackend<cpu::default_arch, E>;
    DeltaNetLayer<B> layer(random.config, random.split(), B(std::move(executor)));
    StateSlots slots(random.config, {.slots = 5});
    Batch batch;
    batch.add({.slot = 4, .n_tokens = 130, .start = Start::fresh})
        .add({.slot = 1, .n_tokens = 1, .start = Start::fresh})
        .add({.slot = 0, .n_tokens = 20, .start = Start::fresh})
        .add({.slot = 2, .n_tokens = 4, .start = Start::fresh});
    const std::vector<float> x = Random(3).normals(batch.n_tokens() * random.config.hidden);
    Result result{run(layer, batch, x, slots), {}};
    for (index_t slot = 0; slot < 5; ++slot) {
        const std::vector<float> state = state_of(slots, slot);
        result.state.insert(result.state.end(), state.begin(), state.end());
    }
    return result;
}

}  // namespace

TEST_CASE("executors run every task once") {
    check_executor(SequentialExecutor());
    check_executor(ThreadExecutor(4));
    for (const index_t threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        CHECK(pool.concurrency() == threads);
        for (int again = 0; again < 20; ++again) check_executor(ThreadPoolExecutor(pool));
    }
#if defined(_OPENMP)
    check_executor(OpenMPExecutor());
    check_executor(OpenMPExecutor(3));
    CHECK(OpenMPExecutor(3).concurrency() == 3);
#endif
}

TEST_CASE("a thread pool sleeps between calls, wakes for each, and stops") {
    ThreadPool pool(3);
    std::atomic<index_t> sum{0};
    for (int call = 0; call < 200; ++call) {
        if (call % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        pool.parallel_for(7, [&](index_t task, index_t) { sum += task; });
    }
    CHECK(sum == 200 * 21);
    CHECK(ThreadPool(0).concurrency() >= 1);
    CHECK(message_of([] { ThreadPool bad(-1); }) ==
          "ThreadPool: threads: expected at least 0, found -1");
}

TEST_CASE("any number of threads gives the same bits") {
    LayerConfig config =
        GENERATE(small_config(), small_config(1, 4, 32, 64, 200), small_config(1, 1, 16, 16, 8));
    config.scan = GENERATE(ScanMode::automatic, ScanMode::chunked, ScanMode::recurrent);
    config.pre_norm = PreNorm::one_plus;
    config.residual = true;
    const RandomLayer random(config);
    const Result expected = run_with(random, SequentialExecutor());
    for (const index_t threads : {1, 2, 3, 8}) {
        const Result actual = run_with(random, ThreadExecutor(threads));
        CHECK(bit_equal(actual.y, expected.y));
        CHECK(bit_equal(actual.state, expected.state));
    }
    for (const index_t threads : {2, 4}) {
        ThreadPool pool(threads);
        const Result actual = run_with(random, ThreadPoolExecutor(pool));
        CHECK(bit_equal(actual.y, expected.y));
        CHECK(bit_equal(actual.state, expected.state));
    }
#if defined(_OPENMP)
    for (const int threads : {1, 2, 5}) {
        const Result actual = run_with(random, OpenMPExecutor(threads));
        CHECK(bit_equal(actual.y, expected.y));
        CHECK(bit_equal(actual.state, expected.state));
    }
#endif
}

TEST_CASE("layers on different threads with slots of their own do not meet") {
    const RandomLayer random(small_config());
    const Result expected = run_with(random, SequentialExecutor());
    std::vector<Result> results(4);
    {
        std::vector<std::jthread> team;
        for (Result& result : results) {
            team.emplace_back(
                [&result, &random] { result = run_with(random, SequentialExecutor()); });
        }
    }
    for (const Result& result : results) {
        CHECK(bit_equal(result.y, expected.y));
        CHECK(bit_equal(result.state, expected.state));
    }
}

TEST_CASE("one layer's slots shared by two threads, each with sequences of its own") {
    const RandomLayer random(small_config());
    const std::vector<float> x = Random(5).normals(40 * random.config.hidden);
    StateSlots slots(random.config, {.slots = 2});
    StateSlots apart(random.config, {.slots = 2});
    const auto work = [&](index_t slot, StateSlots& where) {
        DeltaNetLayer<CpuBackend<>> layer(random.config, random.split());
        for (int i = 0; i < 5; ++i)
            static_cast<void>(
                run(layer, one(40, i == 0 ? Start::fresh : Start::resume, slot), x, where));
    };
    work(0, apart);
    {
        std::jthread first([&] { work(0, slots); });
        std::jthread second([&] { work(1, slots); });
    }
    CHECK(bit_equal(state_of(slots, 0), state_of(apart, 0)));
    CHECK(bit_equal(state_of(slots, 1), state_of(apart, 0)));
}
