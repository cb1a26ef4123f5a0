// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The oracle among the linear operators: one dot product per output, summed in double.
#pragma once

#include <deltanet/linear/weight_matrix.hpp>
#include <deltanet/linear_operator.hpp>

#include <concepts>

namespace deltanet {

/// Slow and right; models LinearOperator. Does not own the weights.
class ReferenceLinear {
  public:
    ReferenceLinear() = default;
    /// From a `WeightMatrix` or a view [out, in] of float, bf16 or f16. Implicit: a matrix is an
    /// operator.
    template <class Matrix>
    requires std::constructible_from<WeightMatrix, Matrix> ReferenceLinear(const Matrix& weight)
        : weight_(weight) {}  // NOLINT

    [[nodiscard]] const WeightMatrix& weight() const noexcept { return weight_; }

    /// Only these outputs, or the share of these inputs, of the same weights.
    [[nodiscard]] ReferenceLinear outputs(index_t first, index_t n) const {
        return weight_.outputs(first, n);
    }
    [[nodiscard]] ReferenceLinear inputs(index_t first, index_t n) const {
        return weight_.inputs(first, n);
    }
    [[nodiscard]] index_t input_block() const noexcept { return block_weights(weight_.format()); }

    [[nodiscard]] index_t in_features() const noexcept { return weight_.cols(); }
    [[nodiscard]] index_t out_features() const noexcept { return weight_.rows(); }
    [[nodiscard]] index_t scratch_bytes(index_t /*n_tokens*/,
                                        index_t /*concurrency*/) const noexcept {
        return in_features() * static_cast<index_t>(sizeof(float));
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E&) const {
        float* const row = reinterpret_cast<float*>(scratch.data());
        for (index_t o = 0; o < out_features(); ++o) {
            weight_.load(o, 0, in_features(), row);
            for (index_t t = 0; t < x.size(0); ++t) {
                double sum = 0.0;
                for (index_t i = 0; i < in_features(); ++i) {
                    sum += static_cast<double>(row[i]) * static_cast<double>(x(t, i));
                }
                y(t, o) = static_cast<float>(sum);
            }
        }
    }

  private:
    WeightMatrix weight_;
};

static_assert(LinearOperator<ReferenceLinear>);

}  // namespace deltanet
