// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plan of the convolution. One task is a block of channels of a block of the batch's rows, blocks
/// of channels going first: neighbouring tasks read neighbouring memory.
#pragma once

#include <deltanet/cpu/kernels/conv1d.hpp>
#include <deltanet/cpu/plan.hpp>
#include <deltanet/ops/conv1d.hpp>

#include <algorithm>

namespace deltanet::cpu {

/// All groups side by side: one large one.
template <class T>
[[nodiscard]] DELTANET_FORCE_INLINE bool one_group(const Conv1dArgs<T>& args) noexcept {
    return args.input.size(1) == 1 || args.input.stride(1) == args.input.size(2);
}

/// A head wider than a block, or in two groups, or without an activation before it, is not: it is
/// normed afterwards, by itself.
template <class T>
[[nodiscard]] DELTANET_FORCE_INLINE bool norm_is_fused(const Conv1dArgs<T>& args) noexcept {
    return args.norm && args.silu && args.norm->d <= tuning::conv_channels &&
           (one_group(args) || args.input.size(2) % args.norm->d == 0);
}

template <class Arch, class T>
class Plan<Arch, Conv1dArgs<T>> {
  public:
    Plan(const Conv1dArgs<T>& args, index_t /*workers*/) noexcept
        : args_(args),
          group_size_(one_group(args) ? args.output.size(1) : args.input.size(2)),
          norm_(norm_is_fused(args)) {
        block_ =
            norm_ ? tuning::conv_channels / args.norm->d * args.norm->d : tuning::conv_channels;
        blocks_per_group_ = (group_size_ + block_ - 1) / block_;
        blocks_ = group_size_ == 0 ? 0 : args.output.size(1) / group_size_ * blocks_per_group_;
        const index_t rows = args.input.size(0);
        row_blocks_ = std::max<index_t>(1, (rows + tuning::conv_rows - 1) / tuning::conv_rows);
    }

    [[nodiscard]] index_t n_tasks() const noexcept {
        return args_.sequences.empty() ? 0 : row_blocks_ * blocks_;
    }

    [[nodiscard]] index_t scratch_bytes() const noexcept { return 0; }

    void run(index_t task, T* /*scratch*/) const noexcept {
        const auto widths = std::integer_sequence<int, 2, 3, 4, 8>{};  // 5 to 7 as 8, with zeros
        args_.silu ? any_width<true>(task, widths) : any_width<false>(task, widths);
    }

  private:
    template <bool Silu, int... W>
    void any_width(index_t task, std::integer_sequence<int, W...>) const noexcept {
        (void)((args_.weight.size(1) <= W && (any_norm<W, Silu>(task), true)) || ...);
    }
    template <int W, bool Silu>
    void any_norm(index_t task) const noexcept {
        if constexpr (Silu) {
            if (norm_) return run_block<W, true, true>(task);
        }
        run_block<W, Silu, false>(task);
    }

    template <int W, bool Silu, bool Normed>
    void run_block(index_t task) const noexcept {
        const index_t block = task % blocks_;
        const index_t group = block / blocks_per_group_;
        const index_t offset = block % blocks_per_group_ * block_;
        const index_t channel = group * group_size_ + offset;
        const index_t n_channels = std::min(block_, group_size_ - offset);
        const index_t first_row = task / blocks_ * tuning::conv_rows;
        kernels::Conv1dWeights<T> weights;
        bool packed = false;
        for (const SequenceSpan& sequence : args_.sequences) {
            if (is_padding(sequence)) {
                clear_rows(sequence, first_row, channel, n_channels);
                continue;
            }
            const bool opens = opened_by(sequence) == task / blocks_;
            // The tokens that read the old state are all the opening block's: any of a tree's may.
            const index_t taps = args_.weight.size(1) - 1;
            const index_t reading =
                sequence.parents.empty() ? std::min(sequence.n_tokens, taps) : sequence.n_tokens;
            const index_t row = first_row - sequence.first_token;
            const index_t first = opens ? 0 : std::max(reading, row);
            const index_t last =
                std::max(opens ? reading : 0, std::min(sequence.n_tokens, row + tuning::conv_rows));
            if (first >= last && !opens) continue;
            if (!packed) {
                packed = true;
                kernels::conv1d_pack<Arch>(
                    args_.weight.ptr(channel), args_.weight.stride(0), args_.weight.stride(1),
                    args_.weight.size(1), W,
                    args_.bias.data() == nullptr ? nullptr : args_.bias.ptr(channel),
                    args_.bias.stride(0), n_channels, weights);
            }
            const kernels::Conv1dBlock<T> arguments{
                .input = args_.input.ptr(sequence.first_token, group) + offset,
                .input_stride = args_.input.stride(0),
                .state = args_.state.ptr(sequence.slot, index_t{0}, channel),
                .state_stride = args_.state.stride(1),
                .output = args_.output.ptr(sequence.first_token, channel),
                .output_stride = args_.output.stride(0),
                .n_tokens = sequence.n_tokens,
                .first = first,
                .last = last,
                .n_taps = args_.weight.size(1),
                .n_channels = n_channels,
                .fresh = sequence.start == Start::fresh,
                .step = pending_step(sequence, args_.rollback),
                .parents = sequence.parents.empty() ? nullptr : sequence.parents.data(),
                .head = norm_ ? args_.norm->d : n_channels,
                .eps = norm_ ? static_cast<T>(args_.norm->eps) : T(0),
                .max_form = norm_ && args_.norm->form == L2Form::max};
            kernels::conv1d<Arch, T, W, Silu, Normed>(weights, arguments);
            if (opens) kernels::conv1d_update_state<Arch>(arguments, taps);
        }
    }

    /// The outputs of padding.
    void clear_rows(const SequenceSpan& padding, index_t first_row, index_t channel,
                    index_t n_channels) const noexcept {
        const index_t first = std::max(first_row, padding.first_token);
        const index_t last =
            std::min(first_row + tuning::conv_rows, padding.first_token + padding.n_tokens);
        for (index_t row = first; row < last; ++row)
            fill_zero<Arch>(args_.output.ptr(row, channel), n_channels);
    }

    /// The row block that holds a sequence's first token also writes its new state: it alone reads
    /// the old one, even where the block ends among the first W - 1 tokens, and the inputs that
    /// become the new one are there for all to read.
    [[nodiscard]] index_t opened_by(const SequenceSpan& sequence) const noexcept {
        return std::min(sequence.first_token / tuning::conv_rows, row_blocks_ - 1);
    }

    const Conv1dArgs<T>& args_;
    index_t group_size_;
    bool norm_;
    index_t block_ = 0;             ///< channels, whole heads
    index_t blocks_per_group_ = 0;  ///< blocks do not cross input groups
    index_t blocks_ = 0;
    index_t row_blocks_ = 0;
};

}  // namespace deltanet::cpu
