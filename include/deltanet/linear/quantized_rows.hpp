// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Activations in int8 with a scale for every 32, beside what products with quantised weights want
/// of them: the memory that one step of a product writes and the other reads.
#pragma once

#include <deltanet/config.hpp>
#include <deltanet/linear/weight_format.hpp>
#include <deltanet/linear/weight_matrix.hpp>
#include <deltanet/views.hpp>

#include <cstddef>
#include <cstdint>

namespace deltanet {

/// What goes with the numbers of 32 activations.
struct QuantizedGroup {
    float scale;  ///< x = scale * number
    float sum;    ///< scale * sum of the numbers
    /// What the offset of unsigned weights adds, negated: of every 16 weights, or in the first of
    /// every 32, as the format has scales.
    std::int32_t corrections[2];
};

/// Rows of `cols` activations, a multiple of 32, in memory aligned to 64 bytes. Per row:
///   numbers  [cols] int8, or int16 where the arch multiplies pairs of 16 bits
///   groups   [cols / 32] QuantizedGroup
class QuantizedRows {
  public:
    static constexpr index_t kGroup = 32;

    QuantizedRows() = default;
    QuantizedRows(std::byte* memory, index_t cols) noexcept
        : memory_(memory), cols_(cols), row_bytes_(bytes_of_row(cols)) {}

    /// For rows of so many activations, whatever the arch; a multiple of 64.
    [[nodiscard]] static constexpr index_t bytes_of_row(index_t cols) noexcept {
        return rounded(2 * cols) + rounded(cols / kGroup * index_t{sizeof(QuantizedGroup)});
    }

    [[nodiscard]] index_t cols() const noexcept { return cols_; }
    template <class Number>
    [[nodiscard]] DELTANET_FORCE_INLINE Number* numbers(index_t row) const noexcept {
        return reinterpret_cast<Number*>(memory_ + row * row_bytes_);
    }
    [[nodiscard]] DELTANET_FORCE_INLINE QuantizedGroup* groups(index_t row) const noexcept {
        return reinterpret_cast<QuantizedGroup*>(memory_ + row * row_bytes_ + rounded(2 * cols_));
    }
    [[nodiscard]] DELTANET_FORCE_INLINE index_t row_bytes() const noexcept { return row_bytes_; }

  private:
    DELTANET_FORCE_INLINE static constexpr index_t rounded(index_t bytes) noexcept {
        return (bytes + 63) / 64 * 64;
    }
    std::byte* memory_ = nullptr;
    index_t cols_ = 0;
    index_t row_bytes_ = 0;
};

/// x [n_tokens, in] -> rows, for weights of a format.
template <class T>
struct QuantizeRowsArgs {
    View<const T, 2> x;
    QuantizedRows rows;
    WeightFormat format;
};

/// y [n_tokens, out] = W [out, in] rows, over rows that were quantised for W's format.
template <class T>
struct BlockProductArgs {
    WeightMatrix weights;
    QuantizedRows rows;
    View<T, 2> y;
};

}  // namespace deltanet
