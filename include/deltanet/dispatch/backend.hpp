// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The CPU backend with the instruction set chosen at run time: one program for every x86-64
/// machine. Link deltanet::dispatch. Costs one call through a pointer a task.
///   DeltaNetLayer<DispatchedCpuBackend<>> layer(config, weights);   cpu_info().text() says what it
///   uses
#pragma once

#include <deltanet/cpu/backend.hpp>
#include <deltanet/dispatch/cpu_info.hpp>
#include <deltanet/dispatch/kernel_table.hpp>
#include <deltanet/linear/dense.hpp>
#include <deltanet/linear/quantized.hpp>

#include <cstddef>
#include <type_traits>

namespace deltanet {

namespace dispatch {

/// Stands where `CpuBackend` has an arch.
struct RunTimeArch {
    static constexpr const char* name() noexcept { return "dispatched"; }
};

/// A plan of the chosen arch.
template <class Args>
class RunTimePlan {
    static_assert(
        requires(const KernelTable& table, const Args* args) { table.of(args); },
        "deltanet::dispatch has kernels for float; for double use CpuBackend");

  public:
    RunTimePlan(const Args& args, index_t workers) : functions_(functions()) {
        functions_.make(plan_, args, workers);
    }
    RunTimePlan(const RunTimePlan&) = delete;
    RunTimePlan& operator=(const RunTimePlan&) = delete;

    [[nodiscard]] index_t n_tasks() const noexcept { return functions_.n_tasks(plan_); }
    void run(index_t task, float* scratch) const noexcept { functions_.run(plan_, task, scratch); }
    [[nodiscard]] index_t scratch_bytes() const noexcept { return functions_.scratch_bytes(plan_); }

    // Of plans of the delta rule.
    [[nodiscard]] static cpu::DeltaSizes sizes(const DeltaRuleArgs<float>& args, index_t workers) {
        return kernels().delta_sizes(args, workers);
    }
    [[nodiscard]] static cpu::DeltaSizes largest_sizes(index_t d_k, index_t d_v,
                                                       index_t heads_per_group, index_t workers) {
        return kernels().largest_delta_sizes(d_k, d_v, heads_per_group, workers);
    }
    [[nodiscard]] static ScanCompute scan_compute(ScanCompute compute) {
        return kernels().scan_compute(compute);
    }

  private:
    [[nodiscard]] static const auto& functions() {
        return kernels().of(static_cast<const Args*>(nullptr));
    }

    const PlanFunctions<Args>& functions_;
    alignas(std::max_align_t) std::byte plan_[plan_bytes];
};

}  // namespace dispatch

template <class Args>
struct cpu::PlanOf<dispatch::RunTimeArch, Args> {
    using type = dispatch::RunTimePlan<Args>;
};

template <Executor E = SequentialExecutor>
using DispatchedCpuBackend = CpuBackend<dispatch::RunTimeArch, E>;

using DispatchedDenseLinear = DenseLinear<dispatch::RunTimeArch>;
using DispatchedQuantizedLinear = QuantizedLinear<dispatch::RunTimeArch>;

}  // namespace deltanet
