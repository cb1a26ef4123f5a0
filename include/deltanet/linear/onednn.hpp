// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Projections by oneDNN (github.com/uxlfoundation/oneDNN): float32, bfloat16 and int8, weights
/// reordered once, when the operator is made. Needs the target deltanet::onednn.
///   f32   y = W x in float32.
///   bf16  y = W round(x): each x to the nearest bfloat16 (ties to even), sums in float32. Against
///         the product with the same weights in float32 an output is off by sum_i w_i x_i e_i,
///         |e_i|
///         <= 2^-9. On a CPU for which oneDNN has no such product the weights are held as float32,
///         in twice the memory, and x is not rounded; `format()` tells.
///   int8  y_o = s_o t sum_i c_oi q_i over integers: s_o = max_i |W_oi| / 127 and c_oi the nearest
///         integer of W_oi / s_o; of a token t = max_i |x_i| / 127 and q_i the nearest integer of
///         x_i / t; ties to even. The sum is exact. On a CPU without AVX512-VNNI weights have 63
///         for 127, as sums would overflow there. A token with an x that is not finite gets NaN for
///         all outputs, an output with such a weight for all tokens.
/// The panels of output rows are the tasks of the executor; oneDNN starts no threads. Bits do not
/// depend on the executor, and y[t, :] depends on x[t, :] alone. Whether its bits depend on the
/// number of tokens is oneDNN's: with int8 they do not; with f32 and bf16 they did not on CPUs with
/// AVX-512 and its bf16 instructions, and did elsewhere.
#pragma once

#include <deltanet/cpu/convert.hpp>
#include <deltanet/detail/token_blocks.hpp>
#include <deltanet/linear/onednn/packed_matrix.hpp>
#include <deltanet/linear/sharded.hpp>
#include <deltanet/workspace.hpp>

#include <concepts>
#include <cstring>
#include <memory>

namespace deltanet {

/// Models SliceableOperator. Owns the reordered weights; copies share them. The matrix that it was
/// made from is needed again only by `outputs` and `inputs`, which reorder their part anew.
/// Thread-safe: several calls at a time. A call allocates nothing of its own once as many calls ran
/// at a time before; oneDNN allocates a few small blocks for each panel (docs/performance.md).
template <OneDnnFormat Format = OneDnnFormat::as_stored>
class BasicOneDnnLinear {
  public:
    BasicOneDnnLinear() = default;
    /// From what a `WeightMatrix` can be made of. Implicit: a matrix is an operator. Throws `Error`
    /// for quantised blocks as stored, and for int8 of more inputs than 32 bits can sum.
    template <class Matrix>
    requires std::constructible_from<WeightMatrix, Matrix> BasicOneDnnLinear(const Matrix& weight)
        : weight_(weight),  // NOLINT
          packed_(std::make_shared<const Packed>(weight_, Format)) {}

    /// Only these outputs, or the share of these inputs, of the same weights.
    [[nodiscard]] BasicOneDnnLinear outputs(index_t first, index_t n) const {
        return weight_.outputs(first, n);
    }
    [[nodiscard]] BasicOneDnnLinear inputs(index_t first, index_t n) const {
        return weight_.inputs(first, n);
    }
    [[nodiscard]] index_t input_block() const noexcept { return block_weights(weight_.format()); }

    [[nodiscard]] index_t in_features() const noexcept { return weight_.cols(); }
    [[nodiscard]] index_t out_features() const noexcept { return weight_.rows(); }
    /// f32, bf16 or int8: what the weights are held as.
    [[nodiscard]] OneDnnFormat format() const noexcept {
        return packed_ == nullptr ? Format : packed_->format();
    }
    /// Memory of the reordered weights, which copies share.
    [[nodiscard]] index_t weight_bytes() const noexcept {
        return packed_ == nullptr ? 0 : packed_->weight_bytes();
    }
    [[nodiscard]] index_t scratch_bytes(index_t n_tokens, index_t concurrency) const noexcept {
        if (packed_ == nullptr) return 0;
        const index_t n = std::min(n_tokens, kTokenBlock);
        return rows_bytes(n) + scales_bytes(n) + concurrency * worker_bytes(n);
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        detail::for_each_token_block(x.size(0), kTokenBlock, [&](index_t first, index_t n) {
            block_of_tokens(x.slice(0, first, n), y.slice(0, first, n), scratch.data(), executor);
        });
    }

  private:
    using Packed = detail::onednn::PackedMatrix;
    using Arch = cpu::default_arch;
    /// The weights are read again for as many tokens.
    static constexpr index_t kTokenBlock = 512;
    /// Tokens whose activations are converted by one task.
    static constexpr index_t kTokensOfTask = 16;

    [[nodiscard]] static index_t rounded(index_t bytes) noexcept {
        return (bytes + Workspace::kAlignment - 1) / Workspace::kAlignment * Workspace::kAlignment;
    }
    [[nodiscard]] index_t row_bytes() const noexcept {
        return in_features() * (format() == OneDnnFormat::int8   ? 1
                                : format() == OneDnnFormat::bf16 ? 2
                                                                 : 4);
    }
    [[nodiscard]] index_t rows_bytes(index_t n) const noexcept { return rounded(n * row_bytes()); }
    [[nodiscard]] index_t scales_bytes(index_t n) const noexcept {
        return format() == OneDnnFormat::int8 ? rounded(n * index_t{sizeof(float)}) : 0;
    }
    [[nodiscard]] index_t tile_bytes(index_t n) const noexcept {
        return rounded(std::min(n, detail::onednn::kMostTokens) * packed_->panel_rows() *
                       index_t{sizeof(float)});
    }
    [[nodiscard]] index_t worker_bytes(index_t n) const noexcept {
        return tile_bytes(n) + rounded(packed_->scratchpad_bytes());
    }

    template <Executor E>
    void block_of_tokens(View<const float, 2> x, View<float, 2> y, std::byte* scratch,
                         E& executor) const {
        const index_t n_tokens = x.size(0);
        const bool as_it_lies =
            format() == OneDnnFormat::f32 && (n_tokens == 1 || x.stride(0) == in_features());
        const std::byte* rows = reinterpret_cast<const std::byte*>(x.data());
        auto* const scales = reinterpret_cast<float*>(scratch + rows_bytes(n_tokens));
        if (!as_it_lies) {
            rows = scratch;
            executor.parallel_for(
                (n_tokens + kTokensOfTask - 1) / kTokensOfTask, [&](index_t task, index_t) {
                    const index_t first = task * kTokensOfTask;
                    const index_t last = std::min(n_tokens, first + kTokensOfTask);
                    for (index_t t = first; t < last; ++t)
                        convert(x.ptr(t), scratch + t * row_bytes(), scales + t);
                });
        }

        // Panel by panel, each with all blocks of tokens one after the other.
        struct Block {
            index_t first;
            std::size_t count;
        } blocks[16];
        index_t n_blocks = 0;
        for (index_t t = 0; t < n_tokens; ++n_blocks) {
            const std::size_t count = detail::onednn::next_token_count(n_tokens - t);
            blocks[n_blocks] = {t, count};
            t += detail::onednn::kTokenCounts[count];
        }
        std::byte* const workers = scratch + rows_bytes(n_tokens) + scales_bytes(n_tokens);
        executor.parallel_for(packed_->panels() * n_blocks, [&](index_t task, index_t worker) {
            const index_t panel = task / n_blocks;
            const Block block = blocks[task % n_blocks];
            const index_t n = detail::onednn::kTokenCounts[block.count];
            const View<float, 2> out =
                y.slice(0, block.first, n)
                    .slice(1, panel * packed_->panel_rows(), packed_->rows_of(panel));
            std::byte* const tile = workers + worker * worker_bytes(n_tokens);
            const bool in_place = n == 1 && format() != OneDnnFormat::int8;
            detail::onednn::on_one_thread([&] {
                packed_->run(block.count, panel, rows + block.first * row_bytes(),
                             in_place ? static_cast<void*>(out.data()) : tile,
                             tile + tile_bytes(n_tokens));
            });
            if (!in_place) store(tile, scales + block.first, panel, out);
        });
    }

    /// A token's activations in the type that oneDNN multiplies.
    void convert(const float* x, std::byte* row, float* scale) const noexcept {
        const index_t n = in_features();
        if (format() == OneDnnFormat::int8) {
            *scale = cpu::kernels::quantize_token<Arch>(x, n, 127, Packed::kOffset,
                                                        reinterpret_cast<std::uint8_t*>(row));
        } else if (format() == OneDnnFormat::bf16) {
            constexpr index_t size = cpu::lanes<Arch, float>;
            for (index_t i = 0; i < n; i += size) {
                const index_t count = std::min(size, n - i);
                cpu::store<Arch>(reinterpret_cast<bf16*>(row) + i, cpu::load<Arch>(x + i, count),
                                 count);
            }
        } else {
            std::memcpy(row, x, static_cast<std::size_t>(row_bytes()));
        }
    }

    /// What oneDNN made of a panel, to where it belongs.
    void store(const std::byte* tile, const float* scales, index_t panel,
               View<float, 2> y) const noexcept {
        const index_t width = y.size(1), first = panel * packed_->panel_rows();
        for (index_t t = 0; t < y.size(0); ++t) {
            const std::byte* const from = tile + t * width * index_t{sizeof(float)};
            float* const to = y.ptr(t);
            if (format() != OneDnnFormat::int8) {
                std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(float));
                continue;
            }
            for (index_t o = 0; o < width; ++o) {
                std::int32_t sum;
                std::memcpy(&sum, from + o * index_t{sizeof(sum)}, sizeof(sum));
                const std::int32_t exact = sum - packed_->offset_sum(first + o);
                to[o] = static_cast<float>(exact) * (packed_->scale(first + o) * scales[t]);
            }
        }
    }

    WeightMatrix weight_;
    std::shared_ptr<const Packed> packed_;
};

/// Weights as they are stored: bfloat16 as bfloat16, float32 and float16 as float32.
using OneDnnLinear = BasicOneDnnLinear<>;
/// Weights of any format rounded to bfloat16.
using OneDnnBf16Linear = BasicOneDnnLinear<OneDnnFormat::bf16>;
/// Weights of any format in int8, with a scale for each output.
using OneDnnInt8Linear = BasicOneDnnLinear<OneDnnFormat::int8>;

static_assert(SliceableOperator<OneDnnLinear> && SliceableOperator<OneDnnInt8Linear>);

}  // namespace deltanet
