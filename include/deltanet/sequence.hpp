// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// One sequence's share of a call: which rows of the token dimension are its tokens, in order, and
/// which state slot it reads and writes.
#pragma once

#include <deltanet/detail/check.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace deltanet {

/// The grid of the chunked delta rule: its chunks divide it.
inline constexpr index_t kGridTokens = 64;

/// `resume` goes on from what the slot holds; `fresh` starts from zeros, whatever the slot's memory
/// holds: it is not read, so NaN in it cannot leak.
enum class Start : std::uint8_t { resume, fresh };

/// Tokens [first_token, first_token + n_tokens) of the op's token dimension belong to the sequence
/// whose state lives in `slot`. With n_tokens 0 a fresh start only clears the slot. Tokens of a
/// negative slot are padding: nothing of them is read but their rows of the inputs, no state is
/// touched, and their outputs are 0.
struct SequenceSpan {
    index_t first_token = 0;
    index_t n_tokens = 0;
    index_t slot = 0;  ///< negative: padding
    Start start = Start::resume;
    index_t pending = 0;  ///< updates pending in the slot before the call (ops/pending_updates.hpp)
    /// The tokens are the nodes of a tree: entry i is the token that token i follows, one before
    /// it, or -1 for the last token of the slot. Empty: each follows the one before it.
    std::span<const index_t> parents{};
};

// Force-inlined, as is what else kernels call: an object compiled for one instruction set leaves no
// copy for others.
[[nodiscard]] DELTANET_FORCE_INLINE constexpr bool is_padding(
    const SequenceSpan& sequence) noexcept {
    return sequence.slot < 0;
}

/// The token that token t of a sequence follows; -1: the last one of the slot.
[[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t parent_of(const SequenceSpan& sequence,
                                                                index_t t) noexcept {
    return sequence.parents.empty() ? t - 1 : sequence.parents[static_cast<std::size_t>(t)];
}

namespace detail {

inline void check_tree(std::string_view function, std::size_t sequence, const SequenceSpan& s) {
    if (s.parents.empty()) return;
    if (static_cast<index_t>(s.parents.size()) != s.n_tokens) {
        fail(function, concat("sequences[", sequence, "].parents"),
             concat("nothing or ", s.n_tokens, " entries, one per token"),
             concat(s.parents.size()));
    }
    for (index_t t = 0; t < s.n_tokens; ++t) {
        const index_t parent = s.parents[static_cast<std::size_t>(t)];
        if (parent < -1 || parent >= t) {
            fail(function, concat("sequences[", sequence, "].parents[", t, "]"),
                 concat("-1 to ", t - 1), concat(parent));
        }
    }
}

/// Every span lies inside [0, n_tokens), no two of them share a token or a slot, and every slot
/// lies inside [0, n_slots). Quadratic in the number of sequences, which is a batch's, not a
/// model's, size, and free of allocation.
inline void check_sequences(std::string_view function, std::span<const SequenceSpan> sequences,
                            index_t n_tokens, index_t n_slots) {
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        const SequenceSpan& s = sequences[i];
        if (s.slot >= n_slots) {
            fail(function, concat("sequences[", i, "].slot"), range_text(n_slots), concat(s.slot));
        }
        if (s.first_token < 0 || s.n_tokens < 0 || s.first_token > n_tokens - s.n_tokens) {
            fail(function, concat("sequences[", i, "]"),
                 concat("tokens inside [0, ", n_tokens, ")"),
                 concat(s.n_tokens, " tokens from ", s.first_token, " on"));
        }
        check_tree(function, i, s);
        for (std::size_t j = 0; j < i; ++j) {
            const SequenceSpan& o = sequences[j];
            if (o.slot == s.slot && !is_padding(s)) {
                fail(function, concat("sequences[", i, "].slot"), "a slot used once in a batch",
                     concat("slot ", s.slot, ", also of sequences[", j, "]"));
            }
            const bool apart = s.first_token + s.n_tokens <= o.first_token ||
                               o.first_token + o.n_tokens <= s.first_token || s.n_tokens == 0 ||
                               o.n_tokens == 0;
            if (!apart) {
                fail(function, concat("sequences[", i, "]"), "tokens that no other sequence has",
                     concat("tokens [", s.first_token, ", ", s.first_token + s.n_tokens,
                            "), which overlap those of sequences[", j, "]"));
            }
        }
    }
}

}  // namespace detail
}  // namespace deltanet
