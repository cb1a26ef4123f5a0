// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plan of the gates: a task is a range of tokens with all heads.
#pragma once

#include <deltanet/cpu/kernels/gates.hpp>
#include <deltanet/cpu/plan.hpp>
#include <deltanet/ops/gates.hpp>

namespace deltanet::cpu {

template <class Arch, class T>
class Plan<Arch, GatesArgs<T>> : public RowPlan<GatesArgs<T>> {
    using Base = RowPlan<GatesArgs<T>>;

  public:
    Plan(const GatesArgs<T>& args, index_t /*workers*/) noexcept
        : Base(args, args.beta.size(0), args.beta.size(1)) {}

    void run(index_t task, T* /*scratch*/) const noexcept {
        const index_t heads = args_.beta.size(1);
        for (index_t h = 0; h < heads; h += tuning::gate_heads) {
            kernels::gates<Arch, T>(
                input(args_.a), input(args_.b), args_.A_log.data(), args_.A_log.stride(0),
                args_.dt_bias.data(), args_.dt_bias.stride(0), args_.beta_doubled ? T(2) : T(1),
                args_.decay_log.data(), args_.decay_log.stride(0), args_.beta.data(),
                args_.beta.stride(0), rows_.first(task), rows_.last(task), h,
                heads - h < tuning::gate_heads ? heads - h : tuning::gate_heads);
        }
    }

  private:
    using Base::args_, Base::rows_;

    [[nodiscard]] static kernels::GateInput<T> input(const View<const T, 3>& view) noexcept {
        return {.data = view.data(),
                .token_stride = view.stride(0),
                .group_stride = view.stride(1),
                .head_stride = view.stride(2),
                .per_group = view.size(2)};
    }
};

}  // namespace deltanet::cpu
