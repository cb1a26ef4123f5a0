// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plans of the three norms: rows are tokens, a task takes several.
#pragma once

#include <deltanet/cpu/kernels/gated_rmsnorm.hpp>
#include <deltanet/cpu/kernels/l2norm.hpp>
#include <deltanet/cpu/kernels/rmsnorm.hpp>
#include <deltanet/cpu/plan.hpp>
#include <deltanet/ops/gated_rmsnorm.hpp>
#include <deltanet/ops/l2norm.hpp>
#include <deltanet/ops/rmsnorm.hpp>

namespace deltanet::cpu {

template <class Arch, class T>
class Plan<Arch, L2NormArgs<T>> : public RowPlan<L2NormArgs<T>> {
    using Base = RowPlan<L2NormArgs<T>>;

  public:
    Plan(const L2NormArgs<T>& args, index_t /*workers*/) noexcept
        : Base(args, args.input.size(0), args.input.size(1) * args.input.size(2)) {}

    void run(index_t task, T* /*scratch*/) const noexcept {
        const auto kernel = args_.form == L2Form::max ? &kernels::l2norm<Arch, T, true>
                                                      : &kernels::l2norm<Arch, T, false>;
        for (index_t t = rows_.first(task); t < rows_.last(task); ++t) {
            kernel(args_.input.ptr(t), args_.input.stride(1), args_.output.ptr(t),
                   args_.output.stride(1), args_.input.size(1), args_.input.size(2),
                   static_cast<T>(args_.eps));
        }
    }

  private:
    using Base::args_, Base::rows_;
};

template <class Arch, class T>
class Plan<Arch, RmsNormArgs<T>> : public RowPlan<RmsNormArgs<T>> {
    using Base = RowPlan<RmsNormArgs<T>>;

  public:
    Plan(const RmsNormArgs<T>& args, index_t /*workers*/) noexcept
        : Base(args, args.input.size(0), args.input.size(1)) {}

    void run(index_t task, T* /*scratch*/) const noexcept {
        const index_t first = rows_.first(task);
        kernels::rmsnorm<Arch, T>(
            args_.input.ptr(first), args_.input.stride(0), args_.weight.data(),
            static_cast<T>(args_.weight_offset), args_.output.ptr(first), args_.output.stride(0),
            rows_.last(task) - first, args_.input.size(1), static_cast<T>(args_.eps));
    }

  private:
    using Base::args_, Base::rows_;
};

template <class Arch, class T>
class Plan<Arch, GatedRmsNormArgs<T>> : public RowPlan<GatedRmsNormArgs<T>> {
    using Base = RowPlan<GatedRmsNormArgs<T>>;

  public:
    Plan(const GatedRmsNormArgs<T>& args, index_t /*workers*/) noexcept
        : Base(args, args.output.size(0), args.input.size(1) * args.input.size(2)),
          groups_(args.gate == OutputGate::none ? 1 : args.z.size(1)) {}

    void run(index_t task, T* /*scratch*/) const noexcept {
        for (index_t j = rows_.first(task); j < rows_.last(task); ++j) {
            const index_t t = args_.rows ? args_.rows->data()[j] : j;
            args_.gate == OutputGate::none ? ungated(t, j) : gated(t, j);
        }
    }

  private:
    using Base::args_, Base::rows_;

    /// Token t into output row j.
    void ungated(index_t t, index_t j) const noexcept {
        kernels::rmsnorm<Arch, T>(args_.input.ptr(t), args_.input.stride(1), args_.weight.data(),
                                  T(0), args_.output.ptr(j), args_.output.stride(1),
                                  args_.input.size(1), args_.input.size(2),
                                  static_cast<T>(args_.eps));
    }
    void gated(index_t t, index_t j) const noexcept {
        const auto kernel = args_.gate == OutputGate::silu
                                ? &kernels::gated_rmsnorm<Arch, T, kernels::SiluGate>
                                : &kernels::gated_rmsnorm<Arch, T, kernels::SigmoidGate>;
        const index_t per_group = args_.input.size(1) / groups_;
        for (index_t g = 0; g < groups_; ++g) {
            kernel(args_.input.ptr(t, g * per_group), args_.input.stride(1), args_.z.ptr(t, g),
                   args_.z.stride(2), args_.weight.data(), args_.output.ptr(j, g * per_group),
                   args_.output.stride(1), per_group, args_.input.size(2),
                   static_cast<T>(args_.eps));
        }
    }

    index_t groups_;
};

}  // namespace deltanet::cpu
