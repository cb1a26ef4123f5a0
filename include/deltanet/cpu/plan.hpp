// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A plan is one call of an op, cut into tasks for one instruction set: what `CpuBackend` hands to
/// an executor. Where the cuts lie decides speed and never results. It is made from the arguments,
/// which must outlive it, and the number of workers, and has
///   index_t n_tasks()                  tasks, independent of each other
///   void run(task, T* scratch)         one task, on any thread; scratch is aligned to 64 bytes
///   index_t scratch_bytes()            scratch of one worker, a multiple of 64
/// Constructing a plan writes nothing, and `run` neither allocates nor throws.
#pragma once

#include <deltanet/cpu/tuning.hpp>

#include <cstddef>

namespace deltanet::cpu {

/// Specialised for the arguments of each op, in a file of that op.
template <class Arch, class Args>
class Plan;

/// Which plan `CpuBackend<Arch>` makes for an op's arguments; deltanet/dispatch/ has another
/// answer.
template <class Arch, class Args>
struct PlanOf {
    using type = Plan<Arch, Args>;
};

/// A whole call by an executor's workers, with `scratch` for all of them, aligned to 64 bytes.
template <class Arch, template <class> class Args, class T, class E>
void run_plan(const Args<T>& args, std::byte* scratch, E& executor) {
    const typename PlanOf<Arch, Args<T>>::type plan(args,
                                                    static_cast<index_t>(executor.concurrency()));
    const index_t bytes = plan.scratch_bytes();
    executor.parallel_for(plan.n_tasks(), [&](index_t task, index_t worker) {
        plan.run(task, reinterpret_cast<T*>(scratch + worker * bytes));
    });
}

/// The tasks of an op that goes over rows, each of a few thousand elements so that handing it out
/// is not what costs.
class RowTasks {
  public:
    constexpr RowTasks(index_t n_rows, index_t row_elements) noexcept
        : n_rows_(n_rows),
          per_task_(larger(1, tuning::elements_per_task / larger(1, row_elements))) {}

    [[nodiscard]] constexpr index_t n_tasks() const noexcept {
        return (n_rows_ + per_task_ - 1) / per_task_;
    }
    [[nodiscard]] constexpr index_t first(index_t task) const noexcept { return task * per_task_; }
    [[nodiscard]] constexpr index_t last(index_t task) const noexcept {
        const index_t end = (task + 1) * per_task_;
        return end < n_rows_ ? end : n_rows_;
    }

  private:
    [[nodiscard]] static constexpr index_t larger(index_t a, index_t b) noexcept {
        return a > b ? a : b;
    }

    index_t n_rows_;
    index_t per_task_;
};

/// What the plans of such ops share: no scratch, and as many tasks as their rows make.
template <class Args>
class RowPlan {
  public:
    [[nodiscard]] DELTANET_FORCE_INLINE index_t n_tasks() const noexcept { return rows_.n_tasks(); }
    [[nodiscard]] DELTANET_FORCE_INLINE index_t scratch_bytes() const noexcept { return 0; }

  protected:
    DELTANET_FORCE_INLINE RowPlan(const Args& args, index_t n_rows, index_t row_elements) noexcept
        : args_(args), rows_(n_rows, row_elements) {}

    const Args& args_;
    RowTasks rows_;
};

}  // namespace deltanet::cpu
