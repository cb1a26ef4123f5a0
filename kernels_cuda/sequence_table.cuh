// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Sequences as a kernel argument. They travel by value with the launch: no copy to the device that
/// a forward would have to wait for, or a graph would miss. A batch with more sequences than a
/// table holds takes several launches. With its other arguments a kernel stays below the 4 KB that
/// every architecture and toolkit takes.
#pragma once

#include <deltanet/pending_step.hpp>

#include <cstdint>
#include <span>

namespace deltanet::cuda {

/// One sequence of a call. 20 bytes.
struct SequenceEntry {
    std::int32_t first_token = 0;
    std::int32_t n_tokens = 0;
    std::int32_t slot = 0;        ///< negative: padding
    std::int32_t first_item = 0;  ///< work items of the entries before, see SequenceTable::find
    std::uint8_t folded = 0;      ///< PendingStep::folded
    std::uint8_t before = 0;      ///< PendingStep::before
    bool fresh = false;           ///< the state is zeros, its memory is not read
    bool appends = false;         ///< PendingStep::appends
};

struct SequenceTable {
    static constexpr int kCapacity = 64;

    std::int32_t count = 0;
    std::int32_t n_items = 0;  ///< work items of all entries
    SequenceEntry entries[kCapacity];

    /// The entry that a work item belongs to: the last one that begins at it or before.
    template <class Item>
    [[nodiscard]] constexpr int find(Item item) const noexcept {
        int low = 0, high = count - 1;
        while (low < high) {
            const int middle = (low + high + 1) / 2;
            if (entries[middle].first_item <= static_cast<std::int32_t>(item))
                low = middle;
            else
                high = middle - 1;
        }
        return low;
    }
};

/// Parents of the tokens of every entry, -1 for the slot's last token; a chain where the tokens are
/// no tree.
struct TreeTable {
    std::int8_t parents[SequenceTable::kCapacity][kMaxPending];
};

/// Kernels count tokens, rows and slots in 32 bits.
inline void check_32_bits(index_t count, const char* what) {
    if (count > INT32_MAX) {
        detail::fail("cuda", what, detail::concat("at most ", INT32_MAX), detail::concat(count));
    }
}

/// What kernels know of a sequence. `capacity`: updates that can be pending in a slot.
[[nodiscard]] inline SequenceEntry entry_of(const SequenceSpan& sequence,
                                            index_t capacity) noexcept {
    const PendingStep step = pending_step(sequence, capacity);
    SequenceEntry entry;
    entry.first_token = static_cast<std::int32_t>(sequence.first_token);
    entry.n_tokens = static_cast<std::int32_t>(sequence.n_tokens);
    entry.slot = static_cast<std::int32_t>(sequence.slot);
    entry.folded = static_cast<std::uint8_t>(step.folded);
    entry.before = static_cast<std::uint8_t>(step.before);
    entry.fresh = sequence.start == Start::fresh;
    entry.appends = step.appends;
    return entry;
}

/// Calls f(table, sequences of the table) as often as it takes for all sequences of which
/// `items(sequence)`, the work that they are, is not 0.
template <class Items, class F>
void for_each_table(std::span<const SequenceSpan> sequences, index_t capacity, const Items& items,
                    const F& f) {
    SequenceTable table;
    const SequenceSpan* members[SequenceTable::kCapacity] = {};
    const auto flush = [&] {
        if (table.count > 0)
            f(table,
              std::span<const SequenceSpan* const>(members, static_cast<std::size_t>(table.count)));
        table.count = 0;
        table.n_items = 0;
    };
    for (const SequenceSpan& sequence : sequences) {
        const auto n = static_cast<std::int32_t>(items(sequence));
        if (n == 0) continue;
        check_32_bits(sequence.first_token + sequence.n_tokens, "tokens of a batch");
        check_32_bits(sequence.slot, "slots");
        if (table.count == SequenceTable::kCapacity) flush();
        members[table.count] = &sequence;
        SequenceEntry& entry = table.entries[table.count++];
        entry = entry_of(sequence, capacity);
        entry.first_item = table.n_items;
        table.n_items += n;
    }
    flush();
}

/// The parents of a table's sequences.
[[nodiscard]] inline TreeTable trees_of(std::span<const SequenceSpan* const> sequences) noexcept {
    TreeTable trees{};
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        const SequenceSpan& sequence = *sequences[i];
        for (index_t t = 0; t < sequence.n_tokens && t < kMaxPending; ++t)
            trees.parents[i][t] = static_cast<std::int8_t>(parent_of(sequence, t));
    }
    return trees;
}

}  // namespace deltanet::cuda
