// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Activations in the order in which products with rows of weights take them: the memory that one
/// step of a product writes and the other reads.
#pragma once

#include <deltanet/config.hpp>
#include <deltanet/linear/weight_format.hpp>
#include <deltanet/linear/weight_matrix.hpp>
#include <deltanet/views.hpp>

namespace deltanet {

/// Tokens in parts of some elements, one token's part behind the other's: what is multiplied by the
/// same weights lies together.
class PackedTokens {
  public:
    PackedTokens() = default;
    /// In memory for `elements(n_tokens, in)` floats. `part` is a multiple of 64.
    DELTANET_FORCE_INLINE PackedTokens(float* data, index_t n_tokens, index_t in,
                                       index_t part) noexcept
        : data_(data), n_tokens_(n_tokens), padded_(padded(in)), part_(part) {}

    [[nodiscard]] DELTANET_FORCE_INLINE static constexpr index_t elements(index_t n_tokens,
                                                                          index_t in) noexcept {
        return n_tokens * padded(in);
    }
    [[nodiscard]] DELTANET_FORCE_INLINE index_t part() const noexcept { return part_; }
    /// Element `i` of a token, with those behind it up to the end of its part.
    [[nodiscard]] DELTANET_FORCE_INLINE float* at(index_t token, index_t i) const noexcept {
        const index_t first = i / part_ * part_;
        return data_ + first * n_tokens_ + token * stride(i) + (i - first);
    }
    /// From one token to the next in the part of element `i`.
    [[nodiscard]] DELTANET_FORCE_INLINE index_t stride(index_t i) const noexcept {
        const index_t left = padded_ - i / part_ * part_;
        return left < part_ ? left : part_;
    }

  private:
    /// Whole steps of any arch, and whole cache lines.
    [[nodiscard]] DELTANET_FORCE_INLINE static constexpr index_t padded(index_t in) noexcept {
        return (in + 31) / 32 * 32;
    }

    float* data_ = nullptr;
    index_t n_tokens_ = 0;
    index_t padded_ = 0;
    index_t part_ = 64;
};

/// x [n_tokens, in] -> packed, for weights of a format.
template <class T>
struct PackTokensArgs {
    View<const T, 2> x;
    PackedTokens packed;
    WeightFormat format;
};

/// y [n_tokens, out] = W [out, in] x, over tokens that were packed for W's format.
template <class T>
struct RowProductArgs {
    WeightMatrix weights;
    PackedTokens packed;
    View<T, 2> y;
};

}  // namespace deltanet
