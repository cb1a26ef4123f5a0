// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Which sequences a forward call advances, and which rows of x belong to them. Two ways to say it:
/// sequence by sequence, whose tokens then stand one after another in x (`add`), or token by token,
/// in any order (`assign_tokens`). Optionally also which rows of y are wanted.
#pragma once

#include <deltanet/sequence.hpp>

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace deltanet {

class StateSlots;

/// A copy of a sequence's state on its way: behind `n_tokens` of the step's tokens, in `slot` of
/// the arena that the step runs on or of another one of the same layers, storage type and rollback,
/// say of a single slot over a buffer of yours.
struct Snapshot {
    index_t n_tokens;
    index_t slot;
    StateSlots* arena = nullptr;  ///< null: the one that the step runs on
};

/// One sequence of a batch: `n_tokens` more tokens for the state in `slot`. A negative slot is
/// padding: no state is read or written, and its rows of y are 0, whatever its rows of x hold.
struct BatchSequence {
    index_t slot = 0;
    index_t n_tokens = 1;
    Start start = Start::resume;
    /// For a tree of drafts: of each token the one that it follows, an earlier one of these, or -1
    /// for what the slot has read. Not copied: it must live until the forward calls are done.
    /// `StateSlots::accept` keeps one branch.
    std::span<const index_t> parents{};
    /// In ascending order of tokens; not copied either. They cost a copy each, and at tokens that
    /// are no multiple of 64 behind the step's first some speed. Each destination then is as if it
    /// alone had read the tokens up to there.
    std::span<const Snapshot> snapshots{};
};

/// Inside, tokens are numbered sequence by sequence ("token"), while x and y have rows; the two
/// differ only when sequences interleave. A cleared batch keeps its memory.
class Batch {
  public:
    void clear() noexcept {
        spans_.clear();
        snapshots_.clear();
        rows_.clear();
        output_tokens_.clear();
        output_rows_.clear();
        n_tokens_ = 0;
        closed_ = false;
        select_ = false;
    }

    /// Appends a sequence whose tokens are the next rows of x. Throws `Error` for a slot that is
    /// negative or already in the batch, for a negative token count, and after `assign_tokens` or
    /// `select_outputs`.
    Batch& add(const BatchSequence& sequence) {
        const char* const where = "Batch::add";
        if (closed_) {
            detail::fail(where, "batch", "a batch built by add alone, outputs selected last",
                         "one built from tokens or with selected outputs");
        }
        detail::check_at_least(where, "n_tokens", sequence.n_tokens, 0);
        const SequenceSpan* const other = sequence.slot < 0 ? nullptr : find(sequence.slot);
        if (other != nullptr) {
            detail::fail(where, "slot", "a slot used once in a batch",
                         detail::concat("slot ", sequence.slot,
                                        ", already there with n_tokens = ", other->n_tokens));
        }
        const SequenceSpan span{n_tokens_, sequence.n_tokens, sequence.slot, sequence.start,
                                0,         sequence.parents};
        detail::check_tree(where, spans_.size(), span);
        check_snapshots(where, sequence);
        spans_.push_back(span);
        snapshots_.push_back(sequence.snapshots);
        n_tokens_ += sequence.n_tokens;
        return *this;
    }

    /// Row i of x is a token of sequence `sequence_ids[i]`, whose state is in the slot of that
    /// number; negative ids are padding. Tokens of a sequence are taken in row order; those of
    /// different sequences may interleave in any way. A sequence starts fresh if the position of
    /// its first row is 0; without positions every sequence resumes. Positions of a sequence may
    /// repeat or jump (multimodal ones do) but not fall. Replaces what the batch held; on `Error`
    /// the batch is as it was.
    ///
    /// Ids and positions are vectors, arrays or spans of any integer types.
    template <class Ids, class Positions>
    void assign_tokens(const Ids& ids, const Positions& positions_of_rows) {
        const std::span sequence_ids(ids);
        const std::span positions(positions_of_rows);
        const char* const where = "Batch::assign_tokens";
        if (!positions.empty() && positions.size() != sequence_ids.size()) {
            detail::fail(where, "positions",
                         detail::concat(sequence_ids.size(), " entries, one per token"),
                         detail::concat(positions.size()));
        }
        const auto id = [&](index_t row) { return static_cast<index_t>(sequence_ids[at(row)]); };
        std::vector<index_t> order =
            rows_by_sequence(static_cast<index_t>(sequence_ids.size()), id);

        std::vector<SequenceSpan> spans;
        for (index_t token = 0; token < static_cast<index_t>(order.size()); ++token) {
            const index_t row = order[at(token)];
            if (spans.empty() || spans.back().slot != id(row)) {
                const bool fresh = !positions.empty() && positions[at(row)] == 0;
                spans.push_back({token, 1, id(row), fresh ? Start::fresh : Start::resume});
                continue;
            }
            ++spans.back().n_tokens;
            const index_t before = order[at(token - 1)];
            if (id(row) >= 0 && !positions.empty() && positions[at(row)] < positions[at(before)]) {
                detail::fail(where, detail::concat("positions[", row, "]"),
                             detail::concat("at least ", positions[at(before)],
                                            ", the position before it in sequence ", id(row)),
                             detail::concat(positions[at(row)]));
            }
        }
        clear();
        closed_ = true;
        spans_ = std::move(spans);
        snapshots_.resize(spans_.size());
        n_tokens_ = static_cast<index_t>(order.size());
        if (!std::is_sorted(order.begin(), order.end())) {
            rows_ = std::move(order);
            output_tokens_ = token_of_row();
        }
    }

    template <class Ids>
    void assign_tokens(const Ids& ids) {
        assign_tokens(ids, std::span<const index_t>());
    }

    /// A new batch by `assign_tokens`.
    template <class Ids, class Positions>
    [[nodiscard]] static Batch from_tokens(const Ids& ids, const Positions& positions) {
        Batch batch;
        batch.assign_tokens(ids, positions);
        return batch;
    }
    template <class Ids>
    [[nodiscard]] static Batch from_tokens(const Ids& ids) {
        return from_tokens(ids, std::span<const index_t>());
    }

    /// Only these rows of the batch are wanted: row j of y belongs to row rows[j] of x. Any order,
    /// also none at all. States advance over every token all the same. Call it when all sequences
    /// are in.
    void select_outputs(std::span<const index_t> rows) {
        for (std::size_t j = 0; j < rows.size(); ++j) {
            if (rows[j] < 0 || rows[j] >= n_tokens_) {
                detail::check_range("Batch::select_outputs", detail::concat("rows[", j, "]"),
                                    rows[j], n_tokens_);
            }
        }
        std::vector<index_t> tokens(rows.begin(), rows.end());
        if (!rows_.empty()) {
            const std::vector<index_t> token = token_of_row();
            for (index_t& entry : tokens) entry = token[at(entry)];
        }
        output_tokens_ = std::move(tokens);
        output_rows_.assign(rows.begin(), rows.end());
        closed_ = true;
        select_ = true;
    }

    [[nodiscard]] index_t n_tokens() const noexcept { return n_tokens_; }
    [[nodiscard]] index_t n_sequences() const noexcept {
        return static_cast<index_t>(spans_.size());
    }
    /// Rows of y.
    [[nodiscard]] index_t n_outputs() const noexcept {
        return select_ ? static_cast<index_t>(output_rows_.size()) : n_tokens_;
    }
    /// The sequences, with their tokens numbered sequence by sequence.
    [[nodiscard]] std::span<const SequenceSpan> sequences() const noexcept { return spans_; }
    /// What the i-th sequence leaves on its way.
    [[nodiscard]] std::span<const Snapshot> snapshots(index_t i) const noexcept {
        return snapshots_[at(i)];
    }
    /// Row of x of each token; empty when it is the token's own number.
    [[nodiscard]] std::span<const index_t> token_rows() const noexcept { return rows_; }
    /// Token of each row of y; nothing when y has every token in order.
    [[nodiscard]] std::optional<std::span<const index_t>> output_tokens() const noexcept {
        if (!select_ && rows_.empty()) return std::nullopt;
        return std::span<const index_t>(output_tokens_);
    }
    /// Row of x of each row of y; nothing when they are the same.
    [[nodiscard]] std::optional<std::span<const index_t>> output_rows() const noexcept {
        if (!select_) return std::nullopt;
        return std::span<const index_t>(output_rows_);
    }

  private:
    static std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }

    static void check_snapshots(const char* where, const BatchSequence& sequence) {
        index_t before = 0;
        for (std::size_t i = 0; i < sequence.snapshots.size(); ++i) {
            const Snapshot& s = sequence.snapshots[i];
            if (s.n_tokens < std::max<index_t>(1, before) || s.n_tokens > sequence.n_tokens) {
                detail::fail(where, detail::concat("snapshots[", i, "].n_tokens"),
                             detail::concat(std::max<index_t>(1, before), " to ", sequence.n_tokens,
                                            ", ascending"),
                             detail::concat(s.n_tokens));
            }
            before = s.n_tokens;
        }
        if (!sequence.snapshots.empty() && (!sequence.parents.empty() || sequence.slot < 0)) {
            detail::fail(where, "snapshots", "a sequence that is a chain and no padding",
                         sequence.slot < 0 ? "padding" : "a tree");
        }
    }

    [[nodiscard]] const SequenceSpan* find(index_t slot) const noexcept {
        const auto found =
            std::find_if(spans_.begin(), spans_.end(),
                         [slot](const SequenceSpan& span) { return span.slot == slot; });
        return found == spans_.end() ? nullptr : &*found;
    }

    /// Rows grouped by sequence, sequences by their first row, so that contiguous input stays as it
    /// is.
    template <class IdOf>
    static std::vector<index_t> rows_by_sequence(index_t n, const IdOf& id) {
        std::vector<index_t> order(at(n));
        std::iota(order.begin(), order.end(), index_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](index_t a, index_t b) { return id(a) < id(b); });
        std::vector<index_t> first_row(at(n));
        for (index_t i = 0; i < n; ++i) {
            const bool begins = i == 0 || id(order[at(i)]) != id(order[at(i - 1)]);
            first_row[at(order[at(i)])] = begins ? order[at(i)] : first_row[at(order[at(i - 1)])];
        }
        std::stable_sort(order.begin(), order.end(),
                         [&](index_t a, index_t b) { return first_row[at(a)] < first_row[at(b)]; });
        return order;
    }

    [[nodiscard]] std::vector<index_t> token_of_row() const {
        std::vector<index_t> token(rows_.size());
        for (std::size_t t = 0; t < rows_.size(); ++t)
            token[at(rows_[t])] = static_cast<index_t>(t);
        return token;
    }

    std::vector<SequenceSpan> spans_;
    std::vector<std::span<const Snapshot>> snapshots_;  ///< of each sequence
    std::vector<index_t> rows_;           ///< row of x of each token; empty: the identity
    std::vector<index_t> output_tokens_;  ///< token of each row of y
    std::vector<index_t> output_rows_;    ///< row of x of each row of y
    index_t n_tokens_ = 0;
    bool closed_ = false;  ///< built from tokens or with outputs selected: nothing can be added
    bool select_ = false;
};

}  // namespace deltanet
