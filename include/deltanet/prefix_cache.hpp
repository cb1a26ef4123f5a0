// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Saved states of prompts' beginnings, by their tokens, under a byte budget: a prompt that begins
/// like an earlier one goes on from there. Optional; built on state_blob.hpp and nothing else.
///
/// A recurrent state cannot be cut back, so only beginnings that were saved can be found. Saving
/// the state of every token would cost a state per token; a state costs as much as some hundred
/// tokens' pending updates, so `snapshot_offsets` places one every few hundred tokens and one near
/// the end.
#pragma once

#include <deltanet/batch.hpp>
#include <deltanet/state_blob.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

namespace deltanet {

/// Tokens are numbers of any meaning. Not synchronised. Entries that were not used for longest go
/// first.
class PrefixCache {
  public:
    using Token = std::int32_t;

    /// Keeps at most `byte_budget` bytes of states and tokens. `tag`: of the model, see
    /// `save_slot`.
    explicit PrefixCache(index_t byte_budget, std::uint64_t tag = 0)
        : budget_(byte_budget), tag_(tag) {
        detail::check_at_least("PrefixCache", "byte_budget", byte_budget, 0);
    }

    /// Keeps the state in `slot`, which has read exactly `tokens`. False if the budget has no room
    /// for it, even alone. Throws `Error` when the slot has read another number of tokens.
    bool insert(std::span<const Token> tokens, const StateSlots& slots, index_t slot) {
        const index_t position = slots.position(slot);
        if (position != static_cast<index_t>(tokens.size())) {
            detail::fail("PrefixCache::insert", "tokens",
                         detail::concat(position, " tokens, as many as slot ", slot, " has read"),
                         detail::concat(tokens.size()));
        }
        const index_t bytes =
            saved_slot_bytes(slots, slot) + static_cast<index_t>(tokens.size() * sizeof(Token));
        if (bytes > budget_) return false;
        const std::uint64_t key = hash_of(tokens);
        if (const auto found = entries_.find(key); found != entries_.end()) drop(found->second);
        while (bytes_ + bytes > budget_) drop(std::prev(uses_.end()));
        uses_.push_front(
            {key, bytes, {tokens.begin(), tokens.end()}, save_slot(slots, slot, tag_)});
        entries_[key] = uses_.begin();
        bytes_ += bytes;
        return true;
    }

    /// Makes `slot` the longest saved beginning of `tokens` that leaves at least one of them to be
    /// read, and returns how many it has read; 0: there is none, and the slot is as it was.
    index_t restore(std::span<const Token> tokens, StateSlots& slots, index_t slot) {
        const Use best = longest(tokens);
        if (best == uses_.end()) return 0;
        load_slot(slots, slot, best->blob, tag_);
        uses_.splice(uses_.begin(), uses_, best);
        return static_cast<index_t>(best->tokens.size());
    }

    /// Offsets behind `position` at which a step of `n_tokens` tokens should leave snapshots: at
    /// the multiples of `spacing` (itself one of 64) among positions, and at the last multiple of
    /// 64 before the step's end.
    [[nodiscard]] static std::vector<index_t> snapshot_offsets(index_t position, index_t n_tokens,
                                                               index_t spacing = 512) {
        const char* const where = "PrefixCache::snapshot_offsets";
        detail::check_at_least(where, "position", position, 0);
        if (spacing < 64 || spacing % 64 != 0)
            detail::fail(where, "spacing", "a multiple of 64", detail::concat(spacing));
        std::vector<index_t> offsets;
        const index_t end = position + n_tokens;
        for (index_t at = (position / spacing + 1) * spacing; at < end; at += spacing)
            offsets.push_back(at - position);
        const index_t last = (end - 1) / 64 * 64 - position;
        if (last > 0 && (offsets.empty() || offsets.back() < last)) offsets.push_back(last);
        return offsets;
    }

    void clear() noexcept {
        entries_.clear();
        uses_.clear();
        bytes_ = 0;
    }
    [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(uses_.size()); }
    [[nodiscard]] index_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] index_t byte_budget() const noexcept { return budget_; }

  private:
    struct Entry {
        std::uint64_t key;
        index_t bytes;
        std::vector<Token> tokens;
        std::vector<std::byte> blob;
    };
    using Use = std::list<Entry>::iterator;  ///< in order of use, the latest first

    /// FNV-1a, a token a step, so that all beginnings' are had in one pass.
    static constexpr std::uint64_t kHashOfNone = 0xCBF29CE484222325;
    [[nodiscard]] static std::uint64_t hash_with(std::uint64_t hash, Token token) noexcept {
        return (hash ^ static_cast<std::uint32_t>(token)) * 0x100000001B3;
    }
    [[nodiscard]] static std::uint64_t hash_of(std::span<const Token> tokens) noexcept {
        std::uint64_t hash = kHashOfNone;
        for (const Token token : tokens) hash = hash_with(hash, token);
        return hash;
    }

    [[nodiscard]] Use longest(std::span<const Token> tokens) {
        Use best = uses_.end();
        std::uint64_t hash = kHashOfNone;
        for (std::size_t n = 0; n + 1 < tokens.size(); ++n) {
            hash = hash_with(hash, tokens[n]);
            const auto found = entries_.find(hash);
            if (found == entries_.end()) continue;
            const std::vector<Token>& own = found->second->tokens;  // hashes may collide
            if (std::equal(own.begin(), own.end(), tokens.begin(),
                           tokens.begin() + static_cast<std::ptrdiff_t>(n) + 1))
                best = found->second;
        }
        return best;
    }

    void drop(Use use) {
        bytes_ -= use->bytes;
        entries_.erase(use->key);
        uses_.erase(use);
    }

    index_t budget_;
    std::uint64_t tag_;
    index_t bytes_ = 0;
    std::list<Entry> uses_;
    std::unordered_map<std::uint64_t, Use> entries_;
};

}  // namespace deltanet
