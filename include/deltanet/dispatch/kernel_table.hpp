// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The plans of every op for one instruction set behind function pointers: what an object file that
/// was compiled for this instruction set exports, and all that it exports. float only.
#pragma once

#include <deltanet/cpu/block_product_plan.hpp>
#include <deltanet/cpu/conv_plan.hpp>
#include <deltanet/cpu/delta_plan.hpp>
#include <deltanet/cpu/delta_prepare_plan.hpp>
#include <deltanet/cpu/gates_plan.hpp>
#include <deltanet/cpu/norm_plans.hpp>
#include <deltanet/cpu/row_product_plan.hpp>

#include <cstddef>
#include <new>
#include <type_traits>

namespace deltanet::dispatch {

/// Room for any plan. A plan is constants about a call; it is copied nowhere and needs no
/// destructor.
inline constexpr std::size_t plan_bytes = 256;

/// cpu::Plan<an arch, Args>, erased.
template <class Args>
struct PlanFunctions {
    void (*make)(void* plan, const Args& args, index_t workers) noexcept;
    index_t (*n_tasks)(const void* plan) noexcept;
    void (*run)(const void* plan, index_t task, float* scratch) noexcept;
    index_t (*scratch_bytes)(const void* plan) noexcept;
};

struct KernelTable {
    PlanFunctions<Conv1dArgs<float>> conv1d;
    PlanFunctions<L2NormArgs<float>> l2norm;
    PlanFunctions<RmsNormArgs<float>> rmsnorm;
    PlanFunctions<GatesArgs<float>> gates;
    PlanFunctions<cpu::DeltaPrepareArgs<float>> delta_prepare;
    PlanFunctions<cpu::DeltaScanArgs<float>> delta_scan;
    PlanFunctions<GatedRmsNormArgs<float>> gated_rmsnorm;
    PlanFunctions<QuantizeRowsArgs<float>> quantize_rows;
    PlanFunctions<BlockProductArgs<float>> block_product;
    PlanFunctions<PackTokensArgs<float>> pack_tokens;
    PlanFunctions<RowProductArgs<float>> row_product;
    cpu::DeltaSizes (*delta_sizes)(const DeltaRuleArgs<float>& args, index_t workers) noexcept;
    cpu::DeltaSizes (*largest_delta_sizes)(index_t d_k, index_t d_v, index_t heads_per_group,
                                           index_t workers) noexcept;
    ScanCompute (*scan_compute)(ScanCompute) noexcept;

    [[nodiscard]] const auto& of(const Conv1dArgs<float>*) const noexcept { return conv1d; }
    [[nodiscard]] const auto& of(const L2NormArgs<float>*) const noexcept { return l2norm; }
    [[nodiscard]] const auto& of(const RmsNormArgs<float>*) const noexcept { return rmsnorm; }
    [[nodiscard]] const auto& of(const GatesArgs<float>*) const noexcept { return gates; }
    [[nodiscard]] const auto& of(const cpu::DeltaPrepareArgs<float>*) const noexcept {
        return delta_prepare;
    }
    [[nodiscard]] const auto& of(const cpu::DeltaScanArgs<float>*) const noexcept {
        return delta_scan;
    }
    [[nodiscard]] const auto& of(const GatedRmsNormArgs<float>*) const noexcept {
        return gated_rmsnorm;
    }
    [[nodiscard]] const auto& of(const QuantizeRowsArgs<float>*) const noexcept {
        return quantize_rows;
    }
    [[nodiscard]] const auto& of(const BlockProductArgs<float>*) const noexcept {
        return block_product;
    }
    [[nodiscard]] const auto& of(const PackTokensArgs<float>*) const noexcept {
        return pack_tokens;
    }
    [[nodiscard]] const auto& of(const RowProductArgs<float>*) const noexcept {
        return row_product;
    }
};

/// The functions themselves; everything is a template on Arch, so that no two object files share a
/// symbol.
template <class Arch, class Args>
struct ErasedPlan {
    using Plan = cpu::Plan<Arch, Args>;
    static_assert(sizeof(Plan) <= plan_bytes && alignof(Plan) <= alignof(std::max_align_t));
    static_assert(std::is_trivially_destructible_v<Plan>);

    static void make(void* plan, const Args& args, index_t workers) noexcept {
        new (plan) Plan(args, workers);
    }
    static index_t n_tasks(const void* plan) noexcept {
        return static_cast<const Plan*>(plan)->n_tasks();
    }
    static void run(const void* plan, index_t task, float* scratch) noexcept {
        static_cast<const Plan*>(plan)->run(task, scratch);
    }
    static index_t scratch_bytes(const void* plan) noexcept {
        return static_cast<const Plan*>(plan)->scratch_bytes();
    }

    static constexpr PlanFunctions<Args> functions{&make, &n_tasks, &run, &scratch_bytes};
};

template <class Arch>
struct ArchKernels {
    using Delta = cpu::DeltaCall<Arch, float>;

    static cpu::DeltaSizes delta_sizes(const DeltaRuleArgs<float>& args, index_t workers) noexcept {
        return Delta::sizes(args, workers);
    }
    static cpu::DeltaSizes largest_delta_sizes(index_t d_k, index_t d_v, index_t heads_per_group,
                                               index_t workers) noexcept {
        return Delta::largest_sizes(d_k, d_v, heads_per_group, workers);
    }
    static ScanCompute scan_compute(ScanCompute compute) noexcept {
        return Delta::scan_compute(compute);
    }

    static constexpr KernelTable table{
        .conv1d = ErasedPlan<Arch, Conv1dArgs<float>>::functions,
        .l2norm = ErasedPlan<Arch, L2NormArgs<float>>::functions,
        .rmsnorm = ErasedPlan<Arch, RmsNormArgs<float>>::functions,
        .gates = ErasedPlan<Arch, GatesArgs<float>>::functions,
        .delta_prepare = ErasedPlan<Arch, cpu::DeltaPrepareArgs<float>>::functions,
        .delta_scan = ErasedPlan<Arch, cpu::DeltaScanArgs<float>>::functions,
        .gated_rmsnorm = ErasedPlan<Arch, GatedRmsNormArgs<float>>::functions,
        .quantize_rows = ErasedPlan<Arch, QuantizeRowsArgs<float>>::functions,
        .block_product = ErasedPlan<Arch, BlockProductArgs<float>>::functions,
        .pack_tokens = ErasedPlan<Arch, PackTokensArgs<float>>::functions,
        .row_product = ErasedPlan<Arch, RowProductArgs<float>>::functions,
        .delta_sizes = &delta_sizes,
        .largest_delta_sizes = &largest_delta_sizes,
        .scan_compute = &scan_compute};
};

}  // namespace deltanet::dispatch
