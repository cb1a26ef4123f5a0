// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Fetching a piece of memory while something else is computed: a few lines at a time, evenly, as a
/// core has few fill buffers, and along a few streams side by side, as memory serves that fastest.
#pragma once

#include <deltanet/cpu/tuning.hpp>

namespace deltanet::cpu {

/// Asks for the lines of a piece of memory into the second-level cache, in as many steps as are
/// said. All in one function that is inlined: g++ takes one that only fetches for one without
/// effect.
template <index_t Streams = tuning::fetch_streams>
class LineFetcher {
  public:
    /// `from` null: nothing.
    DELTANET_FORCE_INLINE LineFetcher(const void* from, index_t bytes) noexcept
        : line_(static_cast<const char*>(from)),
          lines_(from == nullptr ? 0 : (bytes + kLine * kStreams - 1) / (kLine * kStreams)),
          left_(lines_) {}

    /// The piece is to be asked for in `n` steps.
    DELTANET_FORCE_INLINE void spread_over(index_t n) noexcept { steps_ = n < 1 ? 1 : n; }

    /// A step's share of the lines.
    DELTANET_FORCE_INLINE void step() noexcept {
        for (due_ += lines_; due_ >= steps_ && left_ > 0; due_ -= steps_, --left_, line_ += kLine) {
            for (index_t s = 0; s < kStreams; ++s)
                __builtin_prefetch(line_ + s * lines_ * kLine, 0, 2);
        }
    }

  private:
    static constexpr index_t kLine = 64;
    static constexpr index_t kStreams = Streams;

    const char* line_;
    index_t lines_;  ///< of one stream
    index_t left_;   ///< of these
    index_t steps_ = 1;
    index_t due_ = 0;  ///< in lines of a stream times steps
};

}  // namespace deltanet::cpu
