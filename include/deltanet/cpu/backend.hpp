// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The CPU backend: every op as vectorised kernels over tasks that an executor runs. The arguments
/// were checked at the op's edge (ops/); here they are cut into tasks, and each task calls kernels.
/// Nothing allocates. Results depend neither on the executor nor on the number of its threads.
#pragma once

#include <deltanet/cpu/conv_plan.hpp>
#include <deltanet/cpu/delta_plan.hpp>
#include <deltanet/cpu/kernels/gated_rmsnorm.hpp>
#include <deltanet/cpu/kernels/gates.hpp>
#include <deltanet/cpu/kernels/l2norm.hpp>
#include <deltanet/cpu/kernels/rmsnorm.hpp>
#include <deltanet/detail/rows.hpp>
#include <deltanet/executor.hpp>
#include <deltanet/ops/conv1d.hpp>
#include <deltanet/ops/gated_rmsnorm.hpp>
#include <deltanet/ops/gates.hpp>
#include <deltanet/ops/l2norm.hpp>
#include <deltanet/ops/rmsnorm.hpp>

#include <algorithm>
#include <concepts>
#include <span>
#include <utility>

namespace deltanet {

/// `Arch` is one of xsimd's tags, by default the best that the compiler's flags allow. Scalars are
/// float or double. A backend holds its executor and nothing else; one may serve any number of
/// layers, one call at a time per executor.
template <class Arch = cpu::default_arch, Executor E = SequentialExecutor>
class CpuBackend {
  public:
    using arch = Arch;
    static constexpr const char* name = "cpu";
    /// "avx512", "avx2", "sse2", or xsimd's name of another arch.
    static constexpr const char* arch_name = cpu::arch_name<Arch>();

    CpuBackend() requires std::default_initializable<E>
    = default;
    explicit CpuBackend(E executor) : executor_(std::move(executor)) {}

    [[nodiscard]] E& executor() noexcept { return executor_; }

    template <class T>
    void conv1d(const Conv1dArgs<T>& args) {
        const cpu::ConvPlan<Arch, T> plan(args);
        executor_.parallel_for(plan.n_tasks(), [&](index_t task, index_t) { plan.run(task); });
        if (args.norm && !plan.can_norm(args)) norm_afterwards(args);
    }

    template <class T>
    void l2norm(const L2NormArgs<T>& args) {
        const auto kernel = args.form == L2Form::max ? &cpu::kernels::l2norm<Arch, T, true>
                                                     : &cpu::kernels::l2norm<Arch, T, false>;
        const index_t heads = args.input.size(1);
        const index_t d = args.input.size(2);
        for_each_row(args.input.size(0), heads * d, [&](index_t t) {
            kernel(args.input.ptr(t), args.input.stride(1), args.output.ptr(t),
                   args.output.stride(1), heads, d, static_cast<T>(args.eps));
        });
    }

    template <class T>
    void rmsnorm(const RmsNormArgs<T>& args) {
        const index_t n = args.input.size(1);
        for_each_row(args.input.size(0), n, [&](index_t row) {
            cpu::kernels::rmsnorm<Arch, T>(args.input.ptr(row), 0, args.weight.data(),
                                           static_cast<T>(args.weight_offset), args.output.ptr(row),
                                           0, 1, n, static_cast<T>(args.eps));
        });
    }

    template <class T>
    void gates(const GatesArgs<T>& args) {
        const index_t heads = args.beta.size(1);
        const index_t n_tokens = args.beta.size(0);
        if (heads == 0) return;
        const index_t per_task = rows_per_task(heads);
        const T beta_factor = args.beta_doubled ? T(2) : T(1);
        executor_.parallel_for(n_task(n_tokens, per_task), [&](index_t task, index_t) {
            const index_t first = task * per_task;
            const index_t last = std::min(n_tokens, first + per_task);
            for (index_t h = 0; h < heads; h += cpu::tuning::gate_heads) {
                cpu::kernels::gates<Arch, T>(
                    gate_input(args.a), gate_input(args.b), args.A_log.data(), args.A_log.stride(0),
                    args.dt_bias.data(), args.dt_bias.stride(0), beta_factor, args.decay_log.data(),
                    args.decay_log.stride(0), args.beta.data(), args.beta.stride(0), first, last, h,
                    std::min(cpu::tuning::gate_heads, heads - h));
            }
        });
    }

    template <class T>
    void gated_rmsnorm(const GatedRmsNormArgs<T>& args) {
        const index_t heads = args.input.size(1);
        const index_t d = args.input.size(2);
        const index_t groups = args.gate == OutputGate::none ? 1 : args.z.size(1);
        const index_t per_group = heads / groups;
        const T eps = static_cast<T>(args.eps);
        for_each_row(args.output.size(0), heads * d, [&](index_t j) {
            const index_t t = args.rows ? (*args.rows)[static_cast<std::size_t>(j)] : j;
            if (args.gate == OutputGate::none) {
                cpu::kernels::rmsnorm<Arch, T>(args.input.ptr(t), args.input.stride(1),
                                               args.weight.data(), T(0), args.output.ptr(j),
                                               args.output.stride(1), heads, d, eps);
                return;
            }
            const auto kernel =
                args.gate == OutputGate::silu
                    ? &cpu::kernels::gated_rmsnorm<Arch, T, cpu::kernels::SiluGate>
                    : &cpu::kernels::gated_rmsnorm<Arch, T, cpu::kernels::SigmoidGate>;
            for (index_t g = 0; g < groups; ++g) {
                kernel(args.input.ptr(t, g * per_group), args.input.stride(1), args.z.ptr(t, g),
                       args.z.stride(2), args.weight.data(), args.output.ptr(j, g * per_group),
                       args.output.stride(1), per_group, d, eps);
            }
        });
    }

    template <class T>
    void gather_rows(const RowsArgs<T>& args) {
        for_each_row(args.output.size(0), args.output.size(1),
                     [&](index_t j) { detail::gather_rows(one_row(args, j)); });
    }

    template <class T>
    void add_rows(const RowsArgs<T>& args) {
        for_each_row(args.output.size(0), args.output.size(1),
                     [&](index_t j) { detail::add_rows(one_row(args, j)); });
    }

    /// Depends on d_k, d_v, H_v / H_k, the mode and the number of workers only.
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(const DeltaRuleArgs<T>& args) {
        return workers() * worker_bytes(args);
    }
    /// Bound over every batch and mode of a layer with these sizes.
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(index_t d_k, index_t d_v,
                                                   index_t heads_per_group) {
        return workers() * cpu::DeltaPlan<Arch, T>::worker_bytes(d_k, d_v, heads_per_group,
                                                                 ScanMode::automatic);
    }

    /// `scratch` is aligned to 64 bytes.
    template <class T>
    void delta_rule(const DeltaRuleArgs<T>& args, std::span<std::byte> scratch) {
        const cpu::DeltaPlan<Arch, T> plan(args, workers());
        const index_t bytes = worker_bytes(args);
        executor_.parallel_for(plan.n_tasks(), [&](index_t task, index_t worker) {
            plan.run(task, reinterpret_cast<T*>(scratch.data() + worker * bytes));
        });
    }

  private:
    template <class T>
    [[nodiscard]] static index_t worker_bytes(const DeltaRuleArgs<T>& args) noexcept {
        return cpu::DeltaPlan<Arch, T>::worker_bytes(args.k.size(2), args.v.size(2),
                                                     args.v.size(1) / args.k.size(1), args.mode);
    }
    /// The heads of the rows that sequences name.
    template <class T>
    void norm_afterwards(const Conv1dArgs<T>& args) {
        const index_t d = args.norm->d;
        for (const SequenceSpan& sequence : args.sequences) {
            const View<T, 3> heads(args.output.ptr(sequence.first_token),
                                   {sequence.n_tokens, args.output.size(1) / d, d},
                                   {args.output.stride(0), d, 1});
            l2norm(L2NormArgs<T>{heads, heads, args.norm->form, args.norm->eps});
        }
    }

    [[nodiscard]] index_t workers() { return static_cast<index_t>(executor_.concurrency()); }

    [[nodiscard]] static constexpr index_t n_task(index_t n, index_t per_task) noexcept {
        return (n + per_task - 1) / per_task;
    }
    [[nodiscard]] static constexpr index_t rows_per_task(index_t row_elements) noexcept {
        return std::max<index_t>(
            1, cpu::tuning::elements_per_task / std::max<index_t>(1, row_elements));
    }

    /// f(row) for every row, in tasks of about tuning::elements_per_task elements.
    template <class F>
    void for_each_row(index_t n_rows, index_t row_elements, const F& f) {
        const index_t per_task = rows_per_task(row_elements);
        executor_.parallel_for(n_task(n_rows, per_task), [&](index_t task, index_t) {
            const index_t last = std::min(n_rows, (task + 1) * per_task);
            for (index_t row = task * per_task; row < last; ++row) f(row);
        });
    }

    template <class T>
    [[nodiscard]] static RowsArgs<T> one_row(const RowsArgs<T>& args, index_t j) noexcept {
        const index_t row = args.rows ? (*args.rows)[static_cast<std::size_t>(j)] : j;
        return {
            .input = args.input.slice(0, row, 1), .output = args.output.slice(0, j, 1), .rows = {}};
    }

    template <class T>
    [[nodiscard]] static cpu::kernels::GateInput<T> gate_input(
        const View<const T, 3>& view) noexcept {
        return {.data = view.data(),
                .token_stride = view.stride(0),
                .group_stride = view.stride(1),
                .head_stride = view.stride(2),
                .per_group = view.size(2)};
    }

    E executor_;
};

}  // namespace deltanet
