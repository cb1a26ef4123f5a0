// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Products with the quantised weights of GGUF files where they lie, by integer arithmetic: the
/// activations are quantised too, to int8 with a scale for every 32 of a token, and the integers
/// multiplied by the CPU's dot-product instructions. Against the product with the weights as floats
/// an output is off by what the rounding of activations does, half a step at most:
///   |y_o - sum_i W_oi x_i| <= sum_g (max_{i in g} |x_i| / 254) sum_{i in g} |W_oi|
/// over groups g of 32 inputs; everything after it is exact but for the float32 sum over groups.
/// What it comes to is in docs/numerics.md. Bits do not depend on the number of tokens, on the
/// threads, or on the instruction set (SSE2 apart, which has no fused multiply-add).
#pragma once

#include <deltanet/cpu/block_product_plan.hpp>
#include <deltanet/detail/token_blocks.hpp>
#include <deltanet/linear/dense.hpp>

#include <algorithm>
#include <concepts>

namespace deltanet {

/// Models SliceableOperator. Weights that are plain numbers go through DenseLinear, so that one
/// type serves every matrix of a file. Does not own the weights, which must outlive it. Activations
/// that are not finite make all outputs of their token NaN.
template <class Arch = cpu::default_arch>
class QuantizedLinear {
  public:
    QuantizedLinear() = default;
    /// From what a `WeightMatrix` can be made of. Implicit: a matrix is an operator.
    template <class Matrix>
    requires std::constructible_from<WeightMatrix, Matrix> QuantizedLinear(const Matrix& weight)
        : weight_(weight) {}  // NOLINT

    /// Only these outputs, or the share of these inputs, of the same weights.
    [[nodiscard]] QuantizedLinear outputs(index_t first, index_t n) const {
        return weight_.outputs(first, n);
    }
    [[nodiscard]] QuantizedLinear inputs(index_t first, index_t n) const {
        return weight_.inputs(first, n);
    }
    [[nodiscard]] index_t input_block() const noexcept { return block_weights(weight_.format()); }

    [[nodiscard]] index_t in_features() const noexcept { return weight_.cols(); }
    [[nodiscard]] index_t out_features() const noexcept { return weight_.rows(); }
    [[nodiscard]] index_t scratch_bytes(index_t n_tokens, index_t concurrency) const noexcept {
        if (!is_quantized()) return DenseLinear<Arch>(weight_).scratch_bytes(n_tokens, concurrency);
        return rows_bytes(n_tokens) + concurrency * cpu::block_scratch_bytes;
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        if (!is_quantized()) return DenseLinear<Arch>(weight_)(x, y, scratch, executor);
        const QuantizedRows rows(scratch.data(), weight_.cols());
        std::byte* const workers = scratch.data() + rows_bytes(x.size(0));
        detail::for_each_token_block(x.size(0), kTokenBlock, [&](index_t first, index_t n) {
            const QuantizeRowsArgs<float> quantize{x.slice(0, first, n), rows, weight_.format()};
            cpu::run_plan<Arch>(quantize, workers, executor);
            const BlockProductArgs<float> product{weight_, rows, y.slice(0, first, n)};
            cpu::run_plan<Arch>(product, workers, executor);
        });
    }

  private:
    /// Panels are unpacked again for as many tokens: so many that it costs little, and so few that
    /// their outputs of a panel's rows, in lines far apart, stay in the second-level cache.
    static constexpr index_t kTokenBlock = 128;

    [[nodiscard]] bool is_quantized() const noexcept { return input_block() > 1; }
    [[nodiscard]] index_t rows_bytes(index_t n_tokens) const noexcept {
        return std::min(n_tokens, kTokenBlock) * QuantizedRows::bytes_of_row(weight_.cols());
    }

    WeightMatrix weight_;
};

static_assert(LinearOperator<QuantizedLinear<>>);

}  // namespace deltanet
