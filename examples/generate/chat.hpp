// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A conversation that grows, and changes: each prompt is all that was said before and something
/// new. What an earlier prompt began with comes from a prefix cache; only the rest is read.
#pragma once

#include "held_out.hpp"
#include "speculate.hpp"
#include <deltanet/prefix_cache.hpp>

#include <algorithm>
#include <cstdio>
#include <span>
#include <utility>
#include <vector>

namespace generate {

/// A model whose prompts go through a prefix cache.
class Chat {
  public:
    explicit Chat(const std::filesystem::path& directory)
        : model_(directory, {.slots = 1 + kSpare}), cache_(index_t{64} << 20) {}

    struct Turn {
        index_t restored = 0;  ///< tokens of the prompt that were not read again
        std::vector<int> reply;
    };

    /// Reads the prompt and decodes `n` bytes.
    Turn answer(const std::vector<int>& prompt, std::size_t n, bool with_cache = true) {
        Turn turn;
        if (with_cache) turn.restored = cache_.restore(prompt, model_.slots(), 0);
        const std::vector<int> rest(prompt.begin() + turn.restored, prompt.end());
        const auto n_rest = static_cast<index_t>(rest.size());
        std::vector<deltanet::Snapshot> snapshots;
        if (with_cache) {
            for (const index_t offset :
                 deltanet::PrefixCache::snapshot_offsets(turn.restored, n_rest)) {
                const auto spare = static_cast<index_t>(snapshots.size()) + 1;
                if (spare <= kSpare) snapshots.push_back({offset, spare});
            }
        }
        const deltanet::Start start =
            turn.restored == 0 ? deltanet::Start::fresh : deltanet::Start::resume;
        int next =
            likeliest(model_.feed(rest, start, {}, snapshots), model_.vocabulary(), n_rest - 1);
        for (const deltanet::Snapshot& s : snapshots)
            keep(prompt, turn.restored + s.n_tokens, s.slot);
        std::vector<int> all = prompt;
        for (std::size_t i = 0; i < n; ++i) {
            turn.reply.push_back(next);
            all.push_back(next);
            if (i + 1 == n) break;  // the last byte is not read
            next = likeliest(model_.feed({next}, deltanet::Start::resume), model_.vocabulary(), 0);
        }
        if (with_cache) keep(all, model_.slots().position(0), 0);
        return turn;
    }
    [[nodiscard]] const deltanet::PrefixCache& cache() const { return cache_; }

  private:
    static constexpr index_t kSpare = 8;

    void keep(const std::vector<int>& tokens, index_t n, index_t slot) {
        cache_.insert(std::span(tokens).first(static_cast<std::size_t>(n)), model_.slots(), slot);
    }

    LanguageModel model_;
    deltanet::PrefixCache cache_;
};

/// Prints a line for each turn; 0 if all replies are those without a cache.
inline int chat(const std::filesystem::path& directory) {
    const std::vector<int> source = held_out_text(directory);
    const auto piece = [&](std::size_t first, std::size_t n) {
        first = std::min(first, source.size());
        n = std::min(n, source.size() - first);
        const auto begin = source.begin() + static_cast<std::ptrdiff_t>(first);
        return std::vector<int>(begin, begin + static_cast<std::ptrdiff_t>(n));
    };
    const auto joined = [](std::vector<int> text, const std::vector<int>& more) {
        text.insert(text.end(), more.begin(), more.end());
        return text;
    };
    Chat cached(directory), plain(directory);
    std::printf("%-40s %7s %11s %6s  %s\n", "", "prompt", "from cache", "read", "reply");
    int status = 0;
    /// Returns what was said behind the turn.
    const auto turn = [&](const char* name, const std::vector<int>& prompt) {
        const Chat::Turn with = cached.answer(prompt, 60);
        const bool same = with.reply == plain.answer(prompt, 60, false).reply;
        if (!same) status = 1;
        const auto size = static_cast<index_t>(prompt.size());
        std::printf("%-40s %7td %11td %6td  %s\n", name, size, with.restored, size - with.restored,
                    same ? "identical" : "DIFFERENT");
        return joined(prompt, with.reply);
    };
    const std::vector<int> first = turn("first turn, 2000 bytes", piece(0, 2000));
    const std::vector<int> second = turn("second turn, 100 more", joined(first, piece(2000, 100)));
    turn("third turn, 100 more", joined(second, piece(2100, 100)));
    turn("another second turn, 150 more", joined(first, piece(2400, 150)));
    std::vector<int> edited = first;
    edited[1600] = 'X';
    turn("byte 1600 of the first turn changed", edited);
    std::printf("\n%td states in the cache, %.1f MiB\n", cached.cache().size(),
                static_cast<double>(cached.cache().bytes()) / (1 << 20));
    return status;
}

}  // namespace generate
