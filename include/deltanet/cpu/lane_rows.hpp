// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Neighbouring rows of a matrix of bytes, one for each lane of a vector, at addresses that loads
/// form from few registers. With a pointer for each of 16 rows g++ keeps most of them in vector
/// registers, and fetching them from there takes the unit that shifts.
#pragma once

#include <deltanet/cpu/xsimd_compat.hpp>

#include <cstddef>

namespace deltanet::cpu {

/// Parts of N rows that are `stride` bytes apart, N a power of two.
template <index_t N, index_t Parts = 1>
class LaneRows {
  public:
    template <class... First>
    DELTANET_FORCE_INLINE explicit LaneRows(index_t stride, const First*... first) noexcept
        : stride_(stride), three_(3 * stride) {
        static_assert(sizeof...(First) == Parts);
        const void* const parts[] = {first...};
        for (index_t p = 0; p < Parts; ++p) {
            for (index_t i = 0; i < kBases; ++i)
                base_[p][i] = static_cast<const std::byte*>(parts[p]) + 4 * i * stride;
        }
    }

    [[nodiscard]] DELTANET_FORCE_INLINE const std::byte* operator()(
        index_t lane, index_t part = 0) const noexcept {
        return base_[part][lane / 4] + (lane % 4 == 3 ? three_ : lane % 4 * stride_);
    }

    /// A part of all rows so many bytes on. The compiler is kept from knowing: it would compute
    /// more addresses ahead than there are registers.
    DELTANET_FORCE_INLINE void move(index_t bytes, index_t part = 0) noexcept {
        for (const std::byte*& base : base_[part]) {
            base += bytes;
            compat::hide(base);
        }
    }

    /// In a loop: keeps it from adding distances to the strides ahead, too.
    DELTANET_FORCE_INLINE void keep_strides() noexcept {
        compat::hide(stride_);
        compat::hide(three_);
    }

  private:
    static constexpr index_t kBases = (N + 3) / 4;

    const std::byte* base_[static_cast<std::size_t>(Parts)][static_cast<std::size_t>(kBases)];
    index_t stride_, three_;
};

}  // namespace deltanet::cpu
