// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Cuts one block of memory into arrays, each aligned to 64 bytes as the block is. Without a block
/// it only counts, so the size and the layout cannot disagree.
#pragma once

#include <deltanet/config.hpp>

namespace deltanet::cpu {

template <class T>
class ScratchCarver {
  public:
    /// `memory` null: count only, every array is null.
    DELTANET_FORCE_INLINE constexpr explicit ScratchCarver(T* memory) noexcept : memory_(memory) {}

    [[nodiscard]] DELTANET_FORCE_INLINE constexpr T* take(index_t count) noexcept {
        constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
        T* const array = memory_ == nullptr ? nullptr : memory_ + used_;
        used_ += (count + line - 1) / line * line;
        return array;
    }

    [[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t bytes() const noexcept {
        return used_ * static_cast<index_t>(sizeof(T));
    }

  private:
    T* memory_;
    index_t used_ = 0;
};

}  // namespace deltanet::cpu
