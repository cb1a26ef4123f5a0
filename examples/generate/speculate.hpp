// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Speculative decoding: what followed the same few bytes earlier in the text is the draft, the
/// model reads all of it in one step, and what it would not have said itself is rolled back. The
/// text is that of greedy decoding, in fewer steps.
#pragma once

#include "language_model.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace generate {

/// Index of the likeliest byte in row `row` of logits [n, vocabulary].
inline int likeliest(const std::vector<float>& logits, index_t vocabulary, index_t row) {
    const auto first = logits.begin() + row * vocabulary;
    return static_cast<int>(std::max_element(first, first + vocabulary) - first);
}

/// Up to `n` bytes that followed the last bytes of the text where they stood before; the `skip`-th
/// such place from the end, of the longest context of up to 6 bytes that has one.
inline std::vector<int> guess(const std::vector<int>& text, index_t n, index_t skip) {
    const auto size = static_cast<index_t>(text.size());
    for (index_t context = std::min<index_t>(6, size - 1); context > 0; --context) {
        index_t found = 0;
        for (index_t end = size - 1; end >= context; --end) {
            if (!std::equal(text.end() - context, text.end(), text.begin() + end - context))
                continue;
            if (found++ < skip) continue;
            const index_t last = std::min(size, end + n);
            return {text.begin() + end, text.begin() + last};
        }
    }
    return {};
}

/// A step: the last byte, which the model has not read yet, and drafts behind it.
struct Draft {
    std::vector<int> bytes;
    std::vector<index_t> parents;  ///< empty: each byte follows the one before it
};

inline Draft chain(const std::vector<int>& text, index_t n) {
    Draft draft{{text.back()}, {}};
    const std::vector<int> more = guess(text, n - 1, 0);
    draft.bytes.insert(draft.bytes.end(), more.begin(), more.end());
    return draft;
}

/// Two guesses as branches behind the last byte; bytes that they share are one node.
inline Draft tree(const std::vector<int>& text, index_t n) {
    Draft draft{{text.back()}, {-1}};
    const std::vector<int> first = guess(text, (n + 1) / 2, 0);
    for (const int byte : first) {
        draft.parents.push_back(static_cast<index_t>(draft.bytes.size()) - 1);
        draft.bytes.push_back(byte);
    }
    index_t node = 0;
    std::size_t same = 0;
    for (const int byte : guess(text, n, 1)) {
        if (same < first.size() && byte == first[same] && node == static_cast<index_t>(same)) {
            ++same;
            ++node;
            continue;
        }
        if (static_cast<index_t>(draft.bytes.size()) == n) break;
        draft.parents.push_back(node);
        node = static_cast<index_t>(draft.bytes.size());
        draft.bytes.push_back(byte);
    }
    return draft;
}

struct Speculation {
    std::vector<int> text;  ///< what was decoded
    index_t steps = 0;
    index_t drafted = 0, accepted = 0;
    double seconds = 0.0;
};

/// Decodes n bytes behind the prompt, `width` tokens a step; 1: one at a time.
inline Speculation decode(LanguageModel& model, const std::vector<int>& prompt, std::size_t n,
                          index_t width, bool as_tree) {
    using Clock = std::chrono::steady_clock;
    const index_t vocabulary = model.vocabulary();
    const auto after_prompt = static_cast<index_t>(prompt.size()) - 1;
    std::vector<int> text = prompt;
    text.push_back(likeliest(model.feed(prompt, deltanet::Start::fresh), vocabulary, after_prompt));
    Speculation result;
    const auto start = Clock::now();
    while (text.size() < prompt.size() + n) {
        const Draft draft = as_tree ? tree(text, width) : chain(text, width);
        const auto tokens = static_cast<index_t>(draft.bytes.size());
        const std::vector<float>& logits =
            model.feed(draft.bytes, deltanet::Start::resume, draft.parents);
        std::vector<index_t> path{0};
        for (;;) {  // along what the model itself says
            text.push_back(likeliest(logits, vocabulary, path.back()));
            index_t next = path.back() + 1;
            const auto follows = [&](index_t node) {
                const index_t parent = draft.parents.empty()
                                           ? node - 1
                                           : draft.parents[static_cast<std::size_t>(node)];
                return parent == path.back() &&
                       draft.bytes[static_cast<std::size_t>(node)] == text.back();
            };
            while (next < tokens && !follows(next)) ++next;
            if (next == tokens) break;
            path.push_back(next);
        }
        const auto kept = static_cast<index_t>(path.size());
        if (!draft.parents.empty()) {
            model.slots().accept(0, path);
        } else if (tokens > kept) {
            model.slots().rollback(0, tokens - kept);
        }
        ++result.steps;
        result.drafted += tokens - 1;
        result.accepted += kept - 1;
    }
    result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    result.text.assign(text.begin() + static_cast<std::ptrdiff_t>(prompt.size()),
                       text.begin() + static_cast<std::ptrdiff_t>(prompt.size() + n));
    return result;
}

/// Prints a table; 0 if every text is the same.
inline int speculate(const std::filesystem::path& directory, const std::vector<int>& prompt,
                     std::size_t n) {
    LanguageModel model(directory, {.rollback = 8});
    struct Way {
        const char* name;
        index_t width;
        bool as_tree;
    };
    std::printf("%zu bytes behind a prompt of %zu, greedy, drafts from the text itself\n\n", n,
                prompt.size());
    std::printf("%-22s %6s %10s %10s  %s\n", "", "steps", "accepted", "tokens/s", "text");
    std::vector<int> plain;
    int status = 0;
    for (const Way& way : {Way{"one at a time", 1, false}, Way{"verify 4", 4, false},
                           Way{"verify 8", 8, false}, Way{"tree of 8", 8, true}}) {
        const Speculation s = decode(model, prompt, n, way.width, way.as_tree);
        if (plain.empty()) plain = s.text;
        const bool same = s.text == plain;
        if (!same) status = 1;
        std::printf("%-22s %6td %4td of %3td %10.0f  %s\n", way.name, s.steps, s.accepted,
                    s.drafted, static_cast<double>(n) / s.seconds,
                    same ? "identical" : "DIFFERENT");
    }
    return status;
}

}  // namespace generate
