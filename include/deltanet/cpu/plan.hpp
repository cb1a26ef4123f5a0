// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A plan is one call of an op, cut into tasks for one instruction set: what `CpuBackend` hands to
/// an executor. Where the cuts lie decides speed and never results.
///   Plan<Arch, Args>(args, workers)            looks at the arguments, which must outlive it
///   index_t n_tasks()                          independent of each other
///   void run(task, T* scratch)                 on any thread; scratch as below, aligned to 64
///   bytes static index_t scratch_bytes(args)         of one worker, a multiple of 64
/// Constructing a plan writes nothing, and `run` neither allocates nor throws.
#pragma once

#include <deltanet/cpu/tuning.hpp>

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

}  // namespace deltanet::cpu
