// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a call does about the pending updates of a sequence (ops/pending_updates.hpp): decided
/// here, for the convolution, the delta rule and the slots alike.
#pragma once

#include <deltanet/sequence.hpp>

namespace deltanet {

/// Most updates that can be pending in a slot.
inline constexpr index_t kMaxPending = 32;

/// What a call does about pending updates for one sequence.
struct PendingStep {
    index_t folded = 0;    ///< updates that are written into the state before the first token
    index_t before = 0;    ///< updates that the first token finds pending
    bool appends = false;  ///< the call's tokens become pending; else the state is written
    index_t after = 0;     ///< updates that are pending behind the call

    /// Updates that the call finds.
    [[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t found() const noexcept {
        return folded + before;  // one of them is 0
    }
};

/// A call of up to R tokens appends them, and folds the updates before it if there is no room for
/// both. A longer one folds them and leaves none. So what one call of up to R tokens appended can
/// always be dropped.
[[nodiscard]] DELTANET_FORCE_INLINE constexpr PendingStep pending_step(const SequenceSpan& sequence,
                                                                       index_t capacity) noexcept {
    if (is_padding(sequence)) return {};
    const index_t pending = sequence.start == Start::fresh ? 0 : sequence.pending;
    const index_t n = sequence.n_tokens;
    if (n == 0) return {0, pending, false, pending};
    if (n > capacity) return {pending, 0, false, 0};
    if (pending + n > capacity) return {pending, 0, true, n};
    return {0, pending, true, pending + n};
}

}  // namespace deltanet
