// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plans of a product with quantised weights: the activations are quantised, a task a few tokens;
/// then a task takes some rows of the weights, unpacks a panel at a time and multiplies all tokens
/// by it.
#pragma once

#include <deltanet/cpu/kernels/block_product.hpp>
#include <deltanet/cpu/kernels/block_rows.hpp>
#include <deltanet/cpu/kernels/quantize_row.hpp>
#include <deltanet/cpu/plan.hpp>
#include <deltanet/linear/quantized_rows.hpp>

namespace deltanet::cpu {

/// Scratch of one worker, on any arch.
inline constexpr index_t block_scratch_bytes = 336 * 1024;

namespace detail {

template <WeightFormat F>
struct FormatTag {
    static constexpr WeightFormat format = F;
};

/// f(tag) for a quantised format.
template <class Arch, class F>
DELTANET_FORCE_INLINE void with_format(WeightFormat format, const F& f) noexcept {
    switch (format) {
        case WeightFormat::q8_0:
            return f(FormatTag<WeightFormat::q8_0>{});
        case WeightFormat::q4_0:
            return f(FormatTag<WeightFormat::q4_0>{});
        case WeightFormat::q4_k:
            return f(FormatTag<WeightFormat::q4_k>{});
        case WeightFormat::q6_k:
            return f(FormatTag<WeightFormat::q6_k>{});
        case WeightFormat::f32:
        case WeightFormat::bf16:
        case WeightFormat::f16:
            return;
    }
}

}  // namespace detail

template <class Arch>
class Plan<Arch, QuantizeRowsArgs<float>> : public RowPlan<QuantizeRowsArgs<float>> {
    using Base = RowPlan<QuantizeRowsArgs<float>>;

  public:
    Plan(const QuantizeRowsArgs<float>& args, index_t /*workers*/) noexcept
        : Base(args, args.x.size(0), args.x.size(1)) {}

    void run(index_t task, float* /*scratch*/) const noexcept {
        detail::with_format<Arch>(args_.format, [&]<WeightFormat F>(detail::FormatTag<F>) {
            using Number = typename IntegerProducts<Arch, F>::number;
            const QuantizedRows& rows = args_.rows;
            for (index_t t = rows_.first(task); t < rows_.last(task); ++t) {
                kernels::quantize_row<Arch, F>(args_.x.ptr(t), args_.x.size(1),
                                               rows.numbers<Number>(t), rows.scales(t),
                                               rows.sums(t), rows.corrections(t));
            }
        });
    }

  private:
    using Base::args_, Base::rows_;
};

template <class Arch>
class Plan<Arch, BlockProductArgs<float>> {
  public:
    Plan(const BlockProductArgs<float>& args, index_t /*workers*/) noexcept : args_(args) {}

    [[nodiscard]] index_t n_tasks() const noexcept {
        return (args_.weights.rows() + tuning::block_task_rows - 1) / tuning::block_task_rows;
    }
    [[nodiscard]] index_t scratch_bytes() const noexcept { return block_scratch_bytes; }

    void run(index_t task, float* scratch) const noexcept {
        const index_t first = task * tuning::block_task_rows;
        const index_t last = smaller(first + tuning::block_task_rows, args_.weights.rows());
        detail::with_format<Arch>(
            args_.weights.format(), [&]<WeightFormat F>(detail::FormatTag<F>) {
                args_.y.size(0) <= tuning::block_row_tokens ? few_tokens<F>(first, last, scratch)
                                                            : many_tokens<F>(first, last, scratch);
            });
    }

  private:
    template <WeightFormat F>
    void few_tokens(index_t first, index_t last, float* scratch) const noexcept {
        using Rows = kernels::BlockRows<Arch, F>;
        static_assert(sizeof(Rows) <= block_scratch_bytes);
        Rows& rows = *reinterpret_cast<Rows*>(scratch);
        for_each_part<F, Rows::rows, Rows::most_groups>(first, last, [&](const Part& part) {
            const auto multiply = [&]<index_t Tokens>(Count<Tokens>) noexcept {
                rows.template multiply<Tokens>(part.blocks, args_.weights.row_bytes(), part.n_rows,
                                               part.n_groups, args_.rows, part.first_group,
                                               args_.y.ptr(0, part.row), args_.y.stride(0),
                                               part.first_group == 0);
            };
            static_assert(tuning::block_row_tokens == 4);
            switch (args_.y.size(0)) {
                case 1:
                    return multiply(Count<1>{});
                case 2:
                    return multiply(Count<2>{});
                case 3:
                    return multiply(Count<3>{});
                default:
                    return multiply(Count<4>{});
            }
        });
    }

    template <WeightFormat F>
    void many_tokens(index_t first, index_t last, float* scratch) const noexcept {
        using Panel = kernels::BlockPanel<Arch, F>;
        using Traits = kernels::BlockTraits<F>;
        constexpr index_t spans = tuning::block_panel_spans;
        static_assert(spans * sizeof(Panel) <= block_scratch_bytes);
        Panel* const panels = reinterpret_cast<Panel*>(scratch);
        for_each_part<F, Panel::rows, spans * Traits::groups>(first, last, [&](const Part& part) {
            for (index_t g = 0; g < part.n_groups; g += Traits::groups) {
                panels[g / Traits::groups].pack(part.blocks + Traits::bytes_before(g),
                                                args_.weights.row_bytes(), part.n_rows,
                                                smaller(Traits::groups, part.n_groups - g));
            }
            for_each_tile([&]<index_t Tokens>(Count<Tokens>, index_t token) noexcept {
                for (index_t g = 0; g < part.n_groups; g += Traits::groups) {
                    const index_t group = part.first_group + g;
                    kernels::block_product<Arch, F, Tokens>(
                        panels[g / Traits::groups], smaller(Traits::groups, part.n_groups - g),
                        args_.rows, token, group, args_.y.ptr(token, part.row), args_.y.stride(0),
                        part.n_rows, group == 0);
                }
            });
        });
    }

    template <index_t N>
    using Count = std::integral_constant<index_t, N>;

    /// A piece of the weights.
    struct Part {
        const std::byte* blocks;
        index_t row, n_rows, first_group, n_groups;
    };

    /// f(part) for the rows in [first, last), `Rows` and `Groups` at a time.
    template <WeightFormat F, index_t Rows, index_t Groups, class Function>
    void for_each_part(index_t first, index_t last, const Function& f) const noexcept {
        using Traits = kernels::BlockTraits<F>;
        const index_t n_groups = args_.weights.cols() / Traits::group;
        for (index_t row = first; row < last; row += Rows) {
            for (index_t group = 0; group < n_groups; group += Groups) {
                f(Part{args_.weights.row(row) + Traits::bytes_before(group), row,
                       smaller(Rows, last - row), group, smaller(Groups, n_groups - group)});
            }
        }
    }

    /// f(count, token) for as many tokens at a time as the registers hold, then for the rest.
    template <class Function>
    void for_each_tile(const Function& f) const noexcept {
        constexpr index_t most = tuning::block_tokens<Arch>;
        const index_t n = args_.y.size(0);
        index_t t = 0;
        for (; t + most <= n; t += most) f(Count<most>{}, t);
        if constexpr (most > 4) {
            if (t + 4 <= n) f(Count<4>{}, t), t += 4;
        }
        if (t + 2 <= n) f(Count<2>{}, t), t += 2;
        if (t < n) f(Count<1>{}, t);
    }

    [[nodiscard]] DELTANET_FORCE_INLINE static constexpr index_t smaller(index_t a,
                                                                         index_t b) noexcept {
        return a < b ? a : b;
    }

    const BlockProductArgs<float>& args_;
};

}  // namespace deltanet::cpu
