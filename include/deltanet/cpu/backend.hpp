// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The CPU backend: every op as vectorised kernels over tasks that an executor runs. The arguments
/// were checked at the op's edge (ops/); a plan cuts them into tasks, and each task calls kernels.
/// Nothing allocates. Results depend neither on the executor nor on the number of its threads.
#pragma once

#include <deltanet/cpu/conv_plan.hpp>
#include <deltanet/cpu/delta_plan.hpp>
#include <deltanet/cpu/delta_prepare_plan.hpp>
#include <deltanet/cpu/gates_plan.hpp>
#include <deltanet/cpu/norm_plans.hpp>
#include <deltanet/detail/rows.hpp>
#include <deltanet/executor.hpp>
#include <deltanet/memory_space.hpp>
#include <deltanet/ops/conv_gates.hpp>
#include <deltanet/ops/rows.hpp>

#include <array>
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
    [[nodiscard]] HostMemory& memory() const noexcept { return host_memory(); }

    template <class T>
    void conv1d(const Conv1dArgs<T>& args) {
        execute(args);
        if (args.norm && !cpu::norm_is_fused(args)) norm_afterwards(args);
    }
    template <class T>
    void l2norm(const L2NormArgs<T>& args) {
        execute(args);
    }
    template <class T>
    void rmsnorm(const RmsNormArgs<T>& args) {
        execute(args);
    }
    template <class T>
    void gates(const GatesArgs<T>& args) {
        execute(args);
    }
    template <class T>
    void conv_gates(const ConvGatesArgs<T>& args) {
        const std::array<Conv1dArgs<T>, 3> parts = args.convolutions();
        using Conv = PlanOf<Conv1dArgs<T>>;
        const Conv convs[] = {Conv(parts[0], workers()), Conv(parts[1], workers()),
                              Conv(parts[2], workers())};
        const PlanOf<GatesArgs<T>> gates(args.gates, workers());
        index_t ends[3];
        index_t total = 0;
        for (int i = 0; i < 3; ++i) ends[i] = total += convs[i].n_tasks();
        executor_.parallel_for(total + gates.n_tasks(), [&](index_t task, index_t) {
            if (task >= ends[2]) return gates.run(task - ends[2], nullptr);
            const int i = task < ends[0] ? 0 : task < ends[1] ? 1 : 2;
            convs[i].run(task - (i == 0 ? 0 : ends[i - 1]), nullptr);
        });
        for (const Conv1dArgs<T>& part : parts) {
            if (part.norm && !cpu::norm_is_fused(part)) norm_afterwards(part);
        }
    }
    template <class T>
    void gated_rmsnorm(const GatedRmsNormArgs<T>& args) {
        execute(args);
    }

    template <class T>
    void gather_rows(const RowsArgs<T>& args) {
        for_each_row(args, [&](index_t j) { detail::gather_rows(one_row(args, j)); });
    }
    template <class T>
    void add_rows(const RowsArgs<T>& args) {
        for_each_row(args, [&](index_t j) { detail::add_rows(one_row(args, j)); });
    }
    void clear_rows(View<float, 2> y, std::span<const index_t> rows) {
        detail::clear_rows(y, rows);
    }

    /// What a delta rule in float that asks for `compute` is done in: with a bfloat16 dot product
    /// on this arch bf16 for either of bf16 and bf16_emulated, without one f32 for bf16.
    [[nodiscard]] ScanCompute scan_compute(ScanCompute compute) const {
        return Scan<float>::scan_compute(compute);
    }
    /// Depends on the sizes, the lengths of the sequences, and the number of workers.
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(const DeltaRuleArgs<T>& args) {
        return Scan<T>::sizes(args, workers()).bytes(workers());
    }
    /// Bound over every batch and mode of a layer with these sizes.
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(index_t d_k, index_t d_v,
                                                   index_t heads_per_group) {
        return Scan<T>::largest_sizes(d_k, d_v, heads_per_group, workers()).bytes(workers());
    }
    /// `scratch` is aligned to 64 bytes.
    template <class T>
    void delta_rule(const DeltaRuleArgs<T>& args, std::span<std::byte> scratch) {
        scan(args, scratch);
        if (args.pending.capacity() == 0) return;
        const auto n = static_cast<index_t>(args.sequences.size());
        executor_.parallel_for(n, [&](index_t i, index_t) {
            detail::append_keys(args.pending, args.sequences[static_cast<std::size_t>(i)], args.k,
                                args.decay_log.heads());
        });
    }

  private:
    template <class T>
    void scan(const DeltaRuleArgs<T>& args, std::span<std::byte> scratch) {
        const cpu::DeltaSizes sizes = Scan<T>::sizes(args, workers());
        if (sizes.window_tokens == 0) return execute(cpu::DeltaScanArgs<T>{args}, scratch);
        cpu::DeltaWindow<T> window{
            .first = 0,
            .n_tokens = sizes.window_tokens,
            .records = reinterpret_cast<T*>(scratch.data() + workers() * sizes.worker_bytes)};
        for (; window.first < sizes.longest; window.first += window.n_tokens) {
            execute(cpu::DeltaPrepareArgs<T>{args, window}, scratch);
            execute(cpu::DeltaScanArgs<T>{args, window}, scratch);
        }
    }

    template <class Args>
    using PlanOf = typename cpu::PlanOf<Arch, Args>::type;
    template <class T>
    using Scan = PlanOf<cpu::DeltaScanArgs<T>>;

    [[nodiscard]] index_t workers() { return static_cast<index_t>(executor_.concurrency()); }

    template <template <class> class Args, class T>
    void execute(const Args<T>& args, std::span<std::byte> scratch = {}) {
        cpu::run_plan<Arch>(args, scratch.data(), executor_);
    }

    /// The norm of heads that are wider than a task of the convolution.
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

    template <class T, class F>
    void for_each_row(const RowsArgs<T>& args, const F& f) {
        const cpu::RowTasks rows(args.output.size(0), args.output.size(1));
        executor_.parallel_for(rows.n_tasks(), [&](index_t task, index_t) {
            for (index_t j = rows.first(task); j < rows.last(task); ++j) f(j);
        });
    }

    template <class T>
    [[nodiscard]] static RowsArgs<T> one_row(const RowsArgs<T>& args, index_t j) noexcept {
        const index_t row = args.rows ? (*args.rows)[static_cast<std::size_t>(j)] : j;
        return {
            .input = args.input.slice(0, row, 1), .output = args.output.slice(0, j, 1), .rows = {}};
    }

    E executor_;
};

}  // namespace deltanet
