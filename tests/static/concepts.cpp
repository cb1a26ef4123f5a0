// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Each concept accepts what the library has, what a user would write, and nothing that lacks a
/// part.
#include <deltanet/concepts.hpp>
#include <deltanet/cpu/backend.hpp>
#include <deltanet/linear/callable.hpp>
#include <deltanet/linear/dense.hpp>
#include <deltanet/linear/eigen.hpp>
#include <deltanet/linear/reference.hpp>
#include <deltanet/linear/sharded.hpp>
#include <deltanet/observer.hpp>
#include <deltanet/reference/backend.hpp>

#include <functional>
#include <span>

namespace deltanet {
namespace {

// ---- Executor

struct Pool {
    [[nodiscard]] int concurrency() const { return 4; }  // any integer will do
    void parallel_for(index_t n, const std::function<void(index_t, index_t)>& f) {
        for (index_t i = 0; i < n; ++i) f(i, i % 4);
    }
};
struct NoConcurrency {
    template <class F>
    void parallel_for(index_t, F&&) const {}
};
struct NoLoop {
    [[nodiscard]] static index_t concurrency() { return 1; }
};
struct TaskOnly {  // does not say which worker runs the task
    [[nodiscard]] static index_t concurrency() { return 1; }
    void parallel_for(index_t, const std::function<void(index_t)>&) const {}
};
struct WrongConcurrency {
    [[nodiscard]] static const char* concurrency() { return "four"; }
    template <class F>
    void parallel_for(index_t, F&&) const {}
};
static_assert(Executor<SequentialExecutor> && Executor<const SequentialExecutor> && Executor<Pool>);
static_assert(!Executor<int> && !Executor<NoConcurrency> && !Executor<NoLoop> &&
              !Executor<TaskOnly> && !Executor<WrongConcurrency>);
static_assert(!Executor<const Pool>, "its loop changes the pool");
static_assert(noexcept(SequentialExecutor::concurrency()) &&
              SequentialExecutor::concurrency() == 1);

// ---- Backend

struct BadExecutor : ReferenceBackend {
    int& executor();
};
struct NoScratchSize : ReferenceBackend {
    void delta_rule_scratch_bytes() const;  // hides both of the base
};
struct NoBound : ReferenceBackend {
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(
        const DeltaRuleArgs<T>&) const;  // hides the bound over batches
};
struct NoGates : ReferenceBackend {
    void gates();
};
struct WrongRows : ReferenceBackend {
    void add_rows(int);
};
static_assert(Backend<ReferenceBackend> && Backend<CpuBackend<>> &&
              Backend<CpuBackend<cpu::default_arch, Pool>>);
static_assert(!Backend<int> && !Backend<SequentialExecutor> && !Backend<BadExecutor> &&
              !Backend<NoScratchSize> && !Backend<NoBound> && !Backend<NoGates> &&
              !Backend<WrongRows>);
static_assert(std::is_default_constructible_v<CpuBackend<>> &&
              std::is_copy_constructible_v<CpuBackend<>>);
struct Borrowed {  // an executor that cannot be made out of nothing
    explicit Borrowed(Pool& pool) : pool_(&pool) {}
    [[nodiscard]] index_t concurrency() const { return pool_->concurrency(); }
    template <class F>
    void parallel_for(index_t n, F&& f) const {
        pool_->parallel_for(n, f);
    }

  private:
    Pool* pool_;
};
static_assert(Backend<CpuBackend<cpu::default_arch, Borrowed>>);
static_assert(!std::is_default_constructible_v<CpuBackend<cpu::default_arch, Borrowed>>);
static_assert(std::is_constructible_v<CpuBackend<cpu::default_arch, Borrowed>, Borrowed>);
static_assert(!std::is_convertible_v<Pool, CpuBackend<cpu::default_arch, Pool>>,
              "an executor is not a backend");

// ---- LinearOperator

struct Identity {
    [[nodiscard]] static int in_features() { return 1; }
    [[nodiscard]] static int out_features() { return 1; }
    [[nodiscard]] static int scratch_bytes(index_t, index_t) { return 0; }
    template <class E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte>, E&) const {
        y(0, 0) = x(0, 0);
    }
};
struct NoOutFeatures : Identity {
    void out_features(int) const;
};
struct NoScratch : Identity {
    void scratch_bytes() const;
};
struct NotConst : Identity {
    template <class E>
    void operator()(View<const float, 2>, View<float, 2>, std::span<std::byte>, E&);
};
struct WritesInput : Identity {
    template <class E>
    void operator()(View<float, 2>, View<float, 2>, std::span<std::byte>, E&) const;
};
constexpr auto kFunction = [](View<const float, 2>, View<float, 2>) {};
static_assert(LinearOperator<EigenLinear> && LinearOperator<ReferenceLinear> &&
              LinearOperator<CallableLinear<>> &&
              LinearOperator<CallableLinear<decltype(kFunction)>> && LinearOperator<Identity>);
static_assert(!LinearOperator<int> && !LinearOperator<WeightMatrix> &&
              !LinearOperator<decltype(kFunction)> && !LinearOperator<NoOutFeatures> &&
              !LinearOperator<NoScratch> && !LinearOperator<NotConst> &&
              !LinearOperator<WritesInput>);
// a view of weights in any of the three types is an operator; one of doubles is not
static_assert(std::is_convertible_v<View<const float, 2>, WeightMatrix> &&
              std::is_convertible_v<View<float, 2>, WeightMatrix>);
static_assert(std::is_constructible_v<EigenLinear, View<const bf16, 2>> &&
              std::is_constructible_v<EigenLinear, View<const f16, 2>>);
static_assert(!std::is_constructible_v<EigenLinear, View<const double, 2>>);
static_assert(SliceableOperator<EigenLinear> && SliceableOperator<DenseLinear<>>);
static_assert(std::is_default_constructible_v<DenseLinear<>> &&
              std::is_constructible_v<DenseLinear<>, View<const bf16, 2>>);
static_assert(std::is_default_constructible_v<EigenLinear> &&
              std::is_default_constructible_v<CallableLinear<>>);

// ---- Observer

constexpr auto kObserver = [](const Observation&) {};
constexpr auto kByValue = [](Observation) {};
constexpr auto kOfStages = [](Stage) {};
constexpr auto kMutableReference = [](Observation&) {};
static_assert(Observer<NullObserver> && Observer<const NullObserver> &&
              Observer<decltype(kObserver)> && Observer<decltype(kByValue)> &&
              Observer<std::function<void(const Observation&)>>);
static_assert(Observer<void (*)(const Observation&)>);
static_assert(!Observer<int> && !Observer<decltype(kOfStages)> &&
              !Observer<decltype(kMutableReference)>);
static_assert(std::is_empty_v<NullObserver>&& noexcept(NullObserver{}(Observation{
    Stage::z, {}, -1, {}})));

}  // namespace
}  // namespace deltanet
