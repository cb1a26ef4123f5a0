// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Products with float32, bfloat16 or float16 weights where they lie, in float32, by the CPU's
/// vector instructions: for the few tokens of decoding, whose cost is the bytes of the weights, at
/// the speed of memory, and for many at that of multiply-adds, which on CPUs without matrix units
/// is above that of their bfloat16 products. An output is one sum over inputs in an order that
/// depends on nothing but their number, the weights' type and the instruction set: bits do not
/// depend on the number of tokens, on the threads, or on the row's place in W, so a token gets the
/// same numbers in a prompt, in a batch and alone.
#pragma once

#include <deltanet/cpu/row_product_plan.hpp>
#include <deltanet/linear_operator.hpp>

#include <algorithm>
#include <concepts>

namespace deltanet {

/// Models SliceableOperator. Does not own the weights, which must outlive it.
template <class Arch = cpu::default_arch>
class DenseLinear {
  public:
    DenseLinear() = default;
    /// From what a `WeightMatrix` can be made of, of plain numbers. Implicit: a matrix is an
    /// operator.
    template <class Matrix>
    requires std::constructible_from<WeightMatrix, Matrix> DenseLinear(const Matrix& weight)
        : weight_(weight) {  // NOLINT
        if (block_weights(weight_.format()) > 1) {
            detail::fail("DenseLinear", "weight", "float32, bfloat16 or float16",
                         name_of(weight_.format()));
        }
    }

    [[nodiscard]] const WeightMatrix& weight() const noexcept { return weight_; }

    /// Only these outputs, or the share of these inputs, of the same weights.
    [[nodiscard]] DenseLinear outputs(index_t first, index_t n) const {
        return weight_.outputs(first, n);
    }
    [[nodiscard]] DenseLinear inputs(index_t first, index_t n) const {
        return weight_.inputs(first, n);
    }
    [[nodiscard]] index_t input_block() const noexcept { return 1; }

    [[nodiscard]] index_t in_features() const noexcept { return weight_.cols(); }
    [[nodiscard]] index_t out_features() const noexcept { return weight_.rows(); }
    [[nodiscard]] index_t scratch_bytes(index_t n_tokens, index_t concurrency) const noexcept {
        const index_t n = std::min(n_tokens, token_block());
        return packed_bytes(n) + concurrency * cpu::row_scratch_bytes(n);
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        for (index_t first = 0; first < x.size(0); first += token_block()) {
            const index_t n = std::min(token_block(), x.size(0) - first);
            std::byte* const workers = scratch.data() + packed_bytes(n);
            const PackedTokens packed(reinterpret_cast<float*>(scratch.data()), n, in_features(),
                                      cpu::row_part_of(n, in_features()));
            cpu::run_plan<Arch>(
                PackTokensArgs<float>{x.slice(0, first, n), packed, weight_.format()}, workers,
                executor);
            cpu::run_plan<Arch>(RowProductArgs<float>{weight_, packed, y.slice(0, first, n)},
                                workers, executor);
        }
    }

  private:
    [[nodiscard]] index_t packed_bytes(index_t n_tokens) const noexcept {
        return PackedTokens::elements(n_tokens, in_features()) * index_t{sizeof(float)};
    }
    /// Tokens that stay in the caches while all rows go by.
    [[nodiscard]] index_t token_block() const noexcept {
        const index_t most = cpu::tuning::row_token_bytes / packed_bytes(16) * 16;
        return std::clamp(most, index_t{16}, cpu::tuning::row_tokens);
    }

    WeightMatrix weight_;
};

static_assert(LinearOperator<DenseLinear<>>);

}  // namespace deltanet
