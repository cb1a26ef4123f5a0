// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The CPU backend: every op as vectorised kernels over tasks that an executor runs. The arguments
/// were checked at the op's edge (ops/); here they are cut into tasks, and each task calls kernels.
/// Nothing allocates. Results depend neither on the executor nor on the number of its threads.
#pragma once

#include <deltanet/cpu/delta_plan.hpp>
#include <deltanet/cpu/kernels/conv1d.hpp>
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
        const auto widths = std::integer_sequence<int, 2, 3, 4, 5, 6, 7, 8>{};
        args.silu ? conv1d_any_width<true>(args, widths) : conv1d_any_width<false>(args, widths);
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

    template <bool Silu, class T, int... W>
    void conv1d_any_width(const Conv1dArgs<T>& args, std::integer_sequence<int, W...>) {
        (void)((args.weight.size(1) == W && (conv1d_tasks<W, Silu>(args), true)) || ...);
    }

    /// Tasks are channel blocks, each with all sequences, so that a block's weights are gathered
    /// once; with fewer blocks than workers also ranges of sequences. Blocks do not cross input
    /// groups.
    template <int W, bool Silu, class T>
    void conv1d_tasks(const Conv1dArgs<T>& args) {
        const bool one_group =
            args.input.size(1) == 1 || args.input.stride(1) == args.input.size(2);
        const index_t groups = one_group ? 1 : args.input.size(1);
        const index_t group_size = one_group ? args.output.size(1) : args.input.size(2);
        const auto n_sequences = static_cast<index_t>(args.sequences.size());
        const index_t blocks_per_group = n_task(group_size, cpu::tuning::conv_channels);
        const index_t blocks = groups * blocks_per_group;
        if (blocks == 0 || n_sequences == 0) return;
        const index_t wanted = workers() > 1 ? workers() * cpu::tuning::tasks_per_worker : 1;
        const index_t parts = std::clamp<index_t>(n_task(wanted, blocks), 1, n_sequences);
        executor_.parallel_for(blocks * parts, [&](index_t task, index_t) {
            const index_t block = task / parts;
            const index_t group = block / blocks_per_group;
            const index_t offset = block % blocks_per_group * cpu::tuning::conv_channels;
            const index_t part = task % parts;
            conv1d_block<W, Silu>(
                args, group, offset, group * group_size + offset,
                std::min(cpu::tuning::conv_channels, group_size - offset),
                args.sequences.subspan(static_cast<std::size_t>(part * n_sequences / parts),
                                       static_cast<std::size_t>((part + 1) * n_sequences / parts -
                                                                part * n_sequences / parts)));
        });
    }

    /// Channels [channel, channel + n_channels), which lie at `offset` in `group` of the input.
    template <int W, bool Silu, class T>
    static void conv1d_block(const Conv1dArgs<T>& args, index_t group, index_t offset,
                             index_t channel, index_t n_channels,
                             std::span<const SequenceSpan> sequences) {
        cpu::kernels::Conv1dWeights<T> weights;
        const T* const bias = args.bias.data() == nullptr ? nullptr : args.bias.ptr(channel);
        cpu::kernels::conv1d_pack<Arch>(args.weight.ptr(channel), args.weight.stride(0),
                                        args.weight.stride(1), W, bias, args.bias.stride(0),
                                        n_channels, weights);
        for (const SequenceSpan& sequence : sequences) {
            cpu::kernels::conv1d<Arch, T, W, Silu>(
                weights, {.input = args.input.ptr(sequence.first_token, group) + offset,
                          .input_stride = args.input.stride(0),
                          .state = args.state.ptr(sequence.slot, index_t{0}, channel),
                          .state_stride = args.state.stride(1),
                          .output = args.output.ptr(sequence.first_token, channel),
                          .output_stride = args.output.stride(0),
                          .n_tokens = sequence.n_tokens,
                          .n_channels = n_channels,
                          .fresh = sequence.start == Start::fresh});
        }
    }

    E executor_;
};

}  // namespace deltanet
