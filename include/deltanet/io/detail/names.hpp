// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Names out of files in error messages: made safe to print, and the nearest ones to a name that
/// was not found, by edit distance.
// IWYU pragma: private, include <deltanet/io/checkpoint.hpp>
#pragma once

#include <deltanet/error.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deltanet::detail {

/// `text` in printable ASCII, other bytes as \xNN, cut after `limit` bytes: what a hostile file
/// says must not move the cursor of a terminal or fill a log.
[[nodiscard]] inline std::string printable(std::string_view text, std::size_t limit = 160) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string safe;
    for (const char character : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte >= 0x20 && byte < 0x7F) {
            safe += character;
        } else {
            safe += "\\x";
            safe += hex[byte >> 4];
            safe += hex[byte & 15];
        }
    }
    if (text.size() > limit) safe += "...";
    return safe;
}

/// The printable text between quotes.
[[nodiscard]] inline std::string in_quotes(std::string_view text) {
    return concat("\"", printable(text), "\"");
}

/// Insertions, deletions and replacements of bytes from one text to the other, or any number of at
/// least `limit` if there are that many.
[[nodiscard]] inline std::size_t edit_distance(std::string_view from, std::string_view to,
                                               std::size_t limit) {
    const std::size_t gap = std::max(from.size(), to.size()) - std::min(from.size(), to.size());
    if (gap >= limit) return gap;
    std::vector<std::size_t> row(to.size() + 1);  // distances from a prefix of `from`
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 0; i < from.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        std::size_t best = row[0];
        for (std::size_t j = 0; j < to.size(); ++j) {
            const std::size_t replaced = diagonal + (from[i] == to[j] ? 0U : 1U);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
            best = std::min(best, row[j + 1]);
        }
        if (best >= limit) return best;
    }
    return row[to.size()];
}

/// Up to three of `names`, nearest first; none that would have to change by more than half. Names
/// longer than 256 bytes are nobody's typing error and are passed over.
[[nodiscard]] inline std::vector<std::string_view> similar_names(
    std::string_view wanted, const std::vector<std::string_view>& names) {
    constexpr std::size_t longest = 256;
    constexpr std::size_t most = 3;
    std::vector<std::pair<std::size_t, std::string_view>> nearest;
    if (wanted.size() > longest) return {};
    std::size_t limit = wanted.size() / 2 + 2;
    for (const std::string_view name : names) {
        if (name.size() > longest) continue;
        const std::size_t distance = edit_distance(wanted, name, limit);
        if (distance >= limit) continue;
        nearest.emplace_back(distance, name);
        std::sort(nearest.begin(), nearest.end());
        if (nearest.size() > most) nearest.pop_back();
        if (nearest.size() == most) limit = nearest.back().first;
    }
    std::vector<std::string_view> found;
    for (const auto& [distance, name] : nearest) found.push_back(name);
    return found;
}

/// What to say of a tensor that is not there: its name, how many there are, and which are near.
[[nodiscard]] inline std::string missing_name(std::string_view wanted,
                                              const std::vector<std::string_view>& names) {
    std::string text = concat("no ", in_quotes(wanted), " among its ", names.size(), " tensors");
    const char* separator = "; similar names: ";
    for (const std::string_view name : similar_names(wanted, names)) {
        text += separator + in_quotes(name);
        separator = ", ";
    }
    return text;
}

}  // namespace deltanet::detail
