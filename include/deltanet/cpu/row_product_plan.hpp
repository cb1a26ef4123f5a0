// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plans of a product with weights that are plain numbers, read where they lie: the tokens are
/// packed, a task a few of them; then a task takes some rows of the weights and multiplies all
/// tokens by a few of them at a time. With several tiles of tokens the first one leaves the weights
/// as floats in the first-level cache for the others.
#pragma once

#include <deltanet/cpu/kernels/row_product.hpp>
#include <deltanet/cpu/plan.hpp>
#include <deltanet/linear/packed_tokens.hpp>

namespace deltanet::cpu {

/// Elements of a part of packed tokens: all of few tokens, which are multiplied at once; of more as
/// many as the first-level cache has room for.
[[nodiscard]] inline index_t row_part_of(index_t n_tokens, index_t in) noexcept {
    const index_t whole = (in + 63) / 64 * 64;
    return n_tokens <= 4 && whole > tuning::row_part ? whole : tuning::row_part;
}

namespace detail {

/// Floats at the beginning of a worker's scratch that are not used. Tokens and rows of weights are
/// powers of two apart more often than not, and a load waits for an earlier store to the same place
/// of another page: without this distance 8 to 32 tokens take a tenth longer (Sapphire Rapids).
inline constexpr index_t row_scratch_apart = 384;

/// Of a worker: these, the floats of a panel, and sums.
[[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t row_scratch_bytes(index_t rows, index_t lanes,
                                                                        index_t n_tokens) noexcept {
    const index_t floats = row_scratch_apart + rows * (tuning::row_part + n_tokens * lanes);
    return floats * static_cast<index_t>(sizeof(float));
}

/// f(null pointer to the type) of weights that are plain numbers.
template <class F>
DELTANET_FORCE_INLINE void with_weight_type(WeightFormat format, const F& f) noexcept {
    if (format == WeightFormat::f32) f(static_cast<const float*>(nullptr));
    if (format == WeightFormat::bf16) f(static_cast<const bf16*>(nullptr));
    if (format == WeightFormat::f16) f(static_cast<const f16*>(nullptr));
}

}  // namespace detail

/// Scratch of one worker for so many tokens, on any arch.
[[nodiscard]] inline constexpr index_t row_scratch_bytes(index_t n_tokens) noexcept {
    return detail::row_scratch_bytes(6, 16, n_tokens);
}

template <class Arch>
class Plan<Arch, PackTokensArgs<float>> : public RowPlan<PackTokensArgs<float>> {
    using Base = RowPlan<PackTokensArgs<float>>;

  public:
    Plan(const PackTokensArgs<float>& args, index_t /*workers*/) noexcept
        : Base(args, args.x.size(0), args.x.size(1)) {}

    void run(index_t task, float* /*scratch*/) const noexcept {
        detail::with_weight_type(args_.format, [&]<class W>(const W*) noexcept {
            for (index_t t = rows_.first(task); t < rows_.last(task); ++t) {
                const index_t in = args_.x.size(1), part = args_.packed.part();
                for (index_t i = 0; i < in; i += part) {
                    kernels::pack_token<Arch, W>(args_.x.ptr(t) + i, least(part, in - i),
                                                 args_.packed.at(t, i));
                }
            }
        });
    }

  private:
    using Base::args_, Base::rows_;
};

template <class Arch>
class Plan<Arch, RowProductArgs<float>> {
  public:
    Plan(const RowProductArgs<float>& args, index_t workers) noexcept : args_(args) {
        const index_t tasks = workers == 1 ? 1 : workers * tuning::tasks_per_worker;
        const index_t panels = (args.weights.rows() + kRows - 1) / kRows;
        task_rows_ = most((panels + tasks - 1) / tasks * kRows, tuning::row_task_rows);
    }

    [[nodiscard]] index_t n_tasks() const noexcept {
        return (args_.weights.rows() + task_rows_ - 1) / task_rows_;
    }
    [[nodiscard]] index_t scratch_bytes() const noexcept {
        static_assert(kRows <= 6 && lanes<Arch, float> <= 16);
        return detail::row_scratch_bytes(kRows, lanes<Arch, float>, args_.y.size(0));
    }

    void run(index_t task, float* scratch) const noexcept {
        const index_t first = task * task_rows_;
        const index_t last = least(first + task_rows_, args_.weights.rows());
        detail::with_weight_type(args_.weights.format(), [&]<class W>(const W*) noexcept {
            for (index_t row = first; row < last; row += kRows)
                multiply<W>(row, least(kRows, last - row), last, scratch);
        });
    }

  private:
    static constexpr int kRows = tuning::row_tile_rows<Arch>;
    static constexpr int kTokens = tuning::row_tile_tokens<Arch>;
    static constexpr index_t kPart = tuning::row_part;
    static constexpr index_t kFloats = kRows * kPart;
    using Source = kernels::RowSource;

    /// Elements [first, first + n) of rows [row, row + n_rows), and of the tokens.
    struct Part {
        index_t row, n_rows, first, n;
        const float* x;
        index_t x_stride;
    };

    /// All tokens times rows [row, row + n_rows), part by part. The weights of a part become floats
    /// while they are multiplied by the first tokens, or before that where the tile is not full.
    template <class W>
    void multiply(index_t row, index_t n_rows, index_t last, float* scratch) const noexcept {
        const index_t n_tokens = args_.y.size(0), inner = args_.weights.cols();
        const index_t whole = inner / kStep * kStep;
        const index_t stride = args_.weights.row_bytes() / static_cast<index_t>(sizeof(W));
        const W* const weights = reinterpret_cast<const W*>(args_.weights.row(row));
        const bool one_tile = n_tokens <= kTokens;
        float* const floats = scratch + detail::row_scratch_apart;
        LineFetcher<> next = rows_behind(row + n_rows, last);

        const index_t most_part = one_tile && n_rows == kRows ? args_.packed.part() : kPart;
        Part part{row, n_rows, 0, 0, nullptr, 0};
        for (; part.first < inner; part.first += part.n) {
            const bool is_rest = part.first == whole;
            part.n = is_rest ? inner - whole : least(most_part, whole - part.first);
            part.x = args_.packed.at(0, part.first);
            part.x_stride = args_.packed.stride(part.first);
            bool as_floats = is_rest || n_rows < kRows;
            const W* const w = weights + part.first;
            if (as_floats)
                kernels::rows_as_floats<Arch, kRows>(w, stride, n_rows, part.n, floats, kPart);
            kernels::for_each_row_tile<kTokens>(
                n_tokens, [&]<int N>(std::integral_constant<int, N>, index_t token) noexcept {
                    if (as_floats) {
                        multiply<N, Source::kept, float>(part, floats, kPart, token, floats, next);
                    } else if (one_tile) {
                        multiply<N, Source::memory>(part, w, stride, token, floats, next);
                    } else {
                        multiply<N, Source::memory_kept>(part, w, stride, token, floats, next);
                        as_floats = true;
                    }
                });
        }
    }

    template <int Tokens, kernels::RowSource From, class W>
    void multiply(const Part& part, const W* w, index_t w_stride, index_t token, float* floats,
                  LineFetcher<>& next) const noexcept {
        const kernels::RowProduct<W> product{
            .w = w,
            .w_stride = w_stride,
            .x = part.x + token * part.x_stride,
            .x_stride = part.x_stride,
            .n = (part.n + kStep - 1) / kStep * kStep,
            .starts = part.first == 0,
            .ends = part.first + part.n == args_.weights.cols(),
            .sums = floats + kFloats + token * kRows * lanes<Arch, float>,
            .floats = floats,
            .y = args_.y.ptr(token, part.row),
            .y_stride = args_.y.stride(0),
            .rows = part.n_rows};
        kernels::row_product<Arch, W, kRows, Tokens, From>(product, next);
    }

    /// What is fetched while a panel is multiplied: the rows behind it.
    [[nodiscard]] LineFetcher<> rows_behind(index_t row, index_t last) const noexcept {
        if (row >= last) return {nullptr, 0};
        LineFetcher<> next(args_.weights.row(row),
                           least(kRows, last - row) * args_.weights.row_bytes());
        const index_t tiles = (args_.y.size(0) + kTokens - 1) / kTokens;
        next.spread_over(tiles * (args_.weights.cols() / kernels::kRowFetch));
        return next;
    }

    static constexpr index_t kStep = kernels::row_step<Arch>;
    static_assert(kPart % kernels::kRowFetch == 0 && kPart % kStep == 0);

    const RowProductArgs<float>& args_;
    index_t task_rows_;
};

}  // namespace deltanet::cpu
