// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plans of a product with quantised weights: the activations are quantised, a task a few tokens;
/// then a task takes some rows of the weights and multiplies all tokens by them, few straight from
/// the blocks, many by a panel that is unpacked at a time.
#pragma once

#include <deltanet/cpu/kernels/block_product.hpp>
#include <deltanet/cpu/kernels/quantize_row.hpp>
#include <deltanet/cpu/plan.hpp>
#include <deltanet/linear/quantized_rows.hpp>

namespace deltanet::cpu {

/// Scratch of one worker, on any arch.
inline constexpr index_t block_scratch_bytes = 21 * 1024;

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
                                               rows.numbers<Number>(t), rows.groups(t));
            }
        });
    }

  private:
    using Base::args_, Base::rows_;
};

template <class Arch>
class Plan<Arch, BlockProductArgs<float>> {
  public:
    Plan(const BlockProductArgs<float>& args, index_t workers) noexcept : args_(args) {
        const index_t rows = args.weights.rows() / (workers * tuning::tasks_per_worker);
        const index_t least = tuning::block_task_rows;
        task_rows_ = workers == 1 ? args.weights.rows() : rows / least * least;
        if (task_rows_ < least) task_rows_ = least;
    }

    [[nodiscard]] index_t n_tasks() const noexcept {
        return (args_.weights.rows() + task_rows_ - 1) / task_rows_;
    }
    [[nodiscard]] index_t scratch_bytes() const noexcept { return block_scratch_bytes; }

    void run(index_t task, float* scratch) const noexcept {
        const index_t first = task * task_rows_;
        const index_t last = smaller(first + task_rows_, args_.weights.rows());
        detail::with_format<Arch>(
            args_.weights.format(),
            [&]<WeightFormat F>(detail::FormatTag<F>) { multiply<F>(first, last, scratch); });
    }

  private:
    template <index_t N>
    using Count = std::integral_constant<index_t, N>;

    template <WeightFormat F>
    void multiply(index_t first, index_t last, float* scratch) const noexcept {
        if constexpr (sizeof(typename kernels::BlockPanel<Arch, F>::Number) == 1) {
            if (args_.y.size(0) <= tuning::block_row_tokens<F>)
                first = multiply_rows<F>(first, last);
        }
        multiply_panels<F>(first, last, scratch);
    }

    /// Straight from the blocks, as many rows at once as a vector has lanes. Returns the first row
    /// that is left.
    template <WeightFormat F>
    [[nodiscard]] index_t multiply_rows(index_t row, index_t last) const noexcept {
        constexpr index_t rows = kernels::BlockWords<Arch, F>::size;
        const index_t n_groups = args_.weights.cols() / kernels::BlockTraits<F>::group;
        for (; row + rows <= last; row += rows) {
            for_each_tile<tuning::block_row_tokens<F>>(
                [&]<index_t Tokens>(Count<Tokens>, index_t token) noexcept {
                    auto next = rows_behind<LineFetcher<>>(row, rows, 0, n_groups, last);
                    next.spread_over(n_groups);
                    kernels::block_row_product<Arch, F, Tokens>(
                        args_.weights.row(row), args_.weights.row_bytes(), n_groups, args_.rows,
                        token, args_.y.ptr(token, row), args_.y.stride(0), next);
                });
        }
        return row;
    }

    /// A span of columns of some rows at a time, which stays in the first-level cache while all
    /// tokens are multiplied by it.
    template <WeightFormat F>
    void multiply_panels(index_t row, index_t last, float* scratch) const noexcept {
        using Panel = kernels::BlockPanel<Arch, F>;
        using Traits = kernels::BlockTraits<F>;
        static_assert(sizeof(Panel) <= block_scratch_bytes);
        Panel& panel = *reinterpret_cast<Panel*>(scratch);
        const index_t n_groups = args_.weights.cols() / Traits::group;
        for (; row < last; row += Panel::rows) {
            const index_t n_rows = smaller(Panel::rows, last - row);
            for (index_t group = 0; group < n_groups; group += Traits::groups) {
                const index_t n = smaller(Traits::groups, n_groups - group);
                auto next = rows_behind<typename Panel::Fetcher>(row, n_rows, group, n, last);
                next.spread_over(n * (Panel::rows / Panel::size + 2 * n_tiles()));
                panel.pack(args_.weights.row(row) + Traits::bytes_before(group),
                           args_.weights.row_bytes(), n_rows, n, next);
                for_each_tile([&]<index_t Tokens>(Count<Tokens>, index_t token) noexcept {
                    kernels::block_product<Arch, F, Tokens>(
                        panel, n, args_.rows, token, group, args_.y.ptr(token, row),
                        args_.y.stride(0), n_rows, group == 0, next);
                });
            }
        }
    }

    /// What is to be fetched while groups [group, group + n) of some rows are multiplied: their
    /// share of as many rows behind them.
    template <class Fetcher>
    [[nodiscard]] Fetcher rows_behind(index_t row, index_t n_rows, index_t group, index_t n,
                                      index_t last) const noexcept {
        row += n_rows;
        if (row >= last) return {nullptr, 0};
        const index_t bytes = smaller(n_rows, last - row) * args_.weights.row_bytes();
        const index_t n_groups = args_.weights.cols() / QuantizedRows::kGroup;
        const index_t begin = bytes * group / n_groups;
        const index_t end = bytes * (group + n) / n_groups;
        return {args_.weights.row(row) + begin, end - begin};
    }

    /// f(count, token) for Most tokens at a time, then for the rest.
    template <index_t Most = tuning::block_tokens<Arch>, class Function>
    void for_each_tile(const Function& f) const noexcept {
        const index_t n = args_.y.size(0);
        index_t t = 0;
        for (; t + Most <= n; t += Most) f(Count<Most>{}, t);
        if constexpr (Most > 4) {
            if (t + 4 <= n) f(Count<4>{}, t), t += 4;
        }
        if (t + 2 <= n) f(Count<2>{}, t), t += 2;
        if (t < n) f(Count<1>{}, t);
    }

    /// Calls of it.
    [[nodiscard]] index_t n_tiles() const noexcept {
        index_t n = 0;
        for_each_tile([&]<index_t Tokens>(Count<Tokens>, index_t) noexcept { ++n; });
        return n;
    }

    [[nodiscard]] DELTANET_FORCE_INLINE static constexpr index_t smaller(index_t a,
                                                                         index_t b) noexcept {
        return a < b ? a : b;
    }

    const BlockProductArgs<float>& args_;
    index_t task_rows_;
};

}  // namespace deltanet::cpu
