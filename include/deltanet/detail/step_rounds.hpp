// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A step of a layer in rounds: a sequence that leaves snapshots on its way is cut where they are
/// taken, a deterministic one where it crosses multiples of 64, and round r runs the r-th piece of
/// every sequence that has one. Otherwise there is one round. A call of tokens that all stay
/// pending is never cut: a snapshot among them is a copy that drops the later ones.
///
/// Deterministic: what is before the first multiple of 64, the whole 64s and the rest are computed
/// as if each were a call of its own, so it does not matter whether it is. A narrow state is
/// rounded by every call, so there each 64 is a piece.
#pragma once

#include <deltanet/batch.hpp>
#include <deltanet/detail/slot_access.hpp>

#include <algorithm>
#include <span>

namespace deltanet::detail {

/// The arena that a snapshot goes to.
template <class Slots>
[[nodiscard]] Slots& arena_of(const Snapshot& snapshot, Slots& slots) noexcept {
    return snapshot.arena == nullptr ? slots : *snapshot.arena;
}

/// Snapshots go to slots that are there, that the batch does not use, and each to its own; in other
/// arenas the rows and the kind of memory are the same.
inline void check_snapshots(const char* where, const Batch& batch, const StateSlots& slots) {
    for (index_t i = 0; i < batch.n_sequences(); ++i) {
        for (std::size_t j = 0; j < batch.snapshots(i).size(); ++j) {
            const Snapshot& snapshot = batch.snapshots(i)[j];
            const StateSlots& arena = arena_of(snapshot, slots);
            const auto argument = [&](const char* field) {  // only when needed: it costs memory
                return concat("sequences[", i, "].snapshots[", j, "].", field);
            };
            if (arena.n_layers() != slots.n_layers() || arena.head_map() != slots.head_map() ||
                SlotAccess::layout(arena) != SlotAccess::layout(slots)) {
                fail(where, argument("arena"),
                     concat("slots like those of the step: ", slots.n_layers(), " layers, ",
                            name_of(slots.state_dtype()), " state, rollback ", slots.max_rollback(),
                            ", the same shapes"),
                     concat(arena.n_layers(), " layers, ", name_of(arena.state_dtype()),
                            " state, rollback ", arena.max_rollback()));
            }
            if (arena.memory().name() != slots.memory().name()) {
                fail(where, argument("arena"),
                     concat("memory of the step's slots, ", slots.memory().name()),
                     arena.memory().name());
            }
            const index_t slot = snapshot.slot;
            if (slot < 0 || slot >= arena.n_slots())
                arena.check_slot(where, argument("slot"), slot);
            index_t uses = 0;
            for (index_t other = 0; other < batch.n_sequences(); ++other) {
                const SequenceSpan& sequence = batch.sequences()[static_cast<std::size_t>(other)];
                uses += &arena == &slots && sequence.slot == slot;
                for (const Snapshot& s : batch.snapshots(other))
                    uses += s.slot == slot && &arena_of(s, slots) == &arena;
            }
            if (uses > 1) {
                fail(where, argument("slot"), "a slot that nothing else in the batch uses",
                     concat("slot ", slot));
            }
        }
    }
}

/// No slot holds a tree that is still to be accepted, and trees have room to stay pending.
inline void check_trees(const char* where, const Batch& batch, const StateSlots& slots,
                        index_t layer) {
    for (const SequenceSpan& sequence : batch.sequences()) {
        if (is_padding(sequence)) continue;
        const index_t nodes = slots.progress(sequence.slot, layer).tree;
        if (nodes > 0 && sequence.start == Start::resume) {
            fail(where, "slots",
                 concat("no tree in slot ", sequence.slot, ", or one of which a path is accepted"),
                 concat("a tree of ", nodes, " nodes"));
        }
        if (!sequence.parents.empty() && sequence.n_tokens > slots.max_rollback()) {
            fail(where, "batch",
                 concat("trees of at most ", slots.max_rollback(),
                        " tokens, the rollback of the slots"),
                 concat("one of ", sequence.n_tokens, " for slot ", sequence.slot));
        }
    }
}

class StepRounds {
  public:
    StepRounds(const Batch& batch, StateSlots& slots, index_t layer, bool deterministic)
        : batch_(batch), slots_(slots), layer_(layer), deterministic_(deterministic) {
        for (index_t i = 0; i < batch.n_sequences(); ++i)
            n_rounds_ = std::max(n_rounds_, n_pieces(i));
    }

    [[nodiscard]] index_t n_rounds() const noexcept { return n_rounds_; }

    /// The pieces of a round, in `memory`, which has room for every sequence.
    [[nodiscard]] std::span<const SequenceSpan> pieces(
        index_t round, std::span<SequenceSpan> memory) const noexcept {
        std::size_t n = 0;
        for (index_t i = 0; i < batch_.n_sequences(); ++i) {
            if (round < n_pieces(i)) memory[n++] = piece(i, round);
        }
        return memory.first(n);
    }

    /// Copies what snapshots behind this round keep of the convolution.
    void copy_conv(index_t round) const {
        for_each_snapshot(round,
                          [this](const SequenceSpan& from, const Snapshot& to, index_t pending) {
                              SlotAccess::copy_conv(slots_, layer_, from.slot, arena_of(to, slots_),
                                                    to.slot, pending);
                          });
    }
    /// And of the recurrent state, with how far they are.
    void copy_state(index_t round) const {
        for_each_snapshot(round, [this](const SequenceSpan& from, const Snapshot& to,
                                        index_t pending) {
            SlotAccess::copy_state(slots_, layer_, from.slot, arena_of(to, slots_), to.slot);
            SlotAccess::progress(arena_of(to, slots_))
                .set_layer(layer_, to.slot, {position_before(from) + from.n_tokens, pending, 0});
        });
    }

    /// The step is done: all slots of the batch go on.
    void advance() const noexcept {
        for (index_t i = 0; i < batch_.n_sequences(); ++i) {
            slots_.advance(layer_, sequence(i), pending_behind(piece(i, n_pieces(i) - 1)));
        }
    }

  private:
    [[nodiscard]] const SequenceSpan& sequence(index_t i) const noexcept {
        return batch_.sequences()[static_cast<std::size_t>(i)];
    }
    [[nodiscard]] bool is_cut(index_t i) const noexcept {
        return (deterministic_ || !batch_.snapshots(i).empty()) && !is_padding(sequence(i)) &&
               !pending_step(sequence(i), slots_.max_rollback()).appends;
    }
    /// Where the piece that begins behind `first` tokens ends.
    [[nodiscard]] index_t end_of_piece(index_t i, index_t first) const noexcept {
        index_t end = sequence(i).n_tokens;
        if (!is_cut(i)) return end;
        for (const Snapshot& s : batch_.snapshots(i)) {
            if (s.n_tokens > first) end = std::min(end, s.n_tokens);
        }
        return deterministic_ ? std::min(end, end_of_grid_piece(i, first)) : end;
    }
    [[nodiscard]] index_t end_of_grid_piece(index_t i, index_t first) const noexcept {
        const index_t off_grid = (position_before(sequence(i)) + first) % kGridTokens;
        if (off_grid != 0) return first + kGridTokens - off_grid;
        const index_t rest = sequence(i).n_tokens - first;
        if (rest < kGridTokens) return first + rest;
        const bool exact = slots_.state_dtype() == DType::f32;
        return first + (exact ? rest / kGridTokens * kGridTokens : kGridTokens);
    }
    [[nodiscard]] index_t n_pieces(index_t i) const noexcept {
        index_t n = 1;
        for (index_t end = end_of_piece(i, 0); end < sequence(i).n_tokens; ++n)
            end = end_of_piece(i, end);
        return n;
    }
    [[nodiscard]] SequenceSpan piece(index_t i, index_t round) const noexcept {
        SequenceSpan p = slots_.with_pending(layer_, sequence(i));
        index_t first = 0;
        index_t end = end_of_piece(i, 0);
        for (; round > 0; --round) {
            p.n_tokens = end - first;
            p.pending = pending_behind(p);
            p.start = Start::resume;
            first = end;
            end = end_of_piece(i, first);
        }
        p.first_token += first;
        p.n_tokens = end - first;
        return p;
    }
    [[nodiscard]] index_t pending_behind(const SequenceSpan& p) const noexcept {
        return pending_step(p, slots_.max_rollback()).after;
    }
    /// Tokens that the slot has read before this step.
    [[nodiscard]] index_t position_before(const SequenceSpan& s) const noexcept {
        return s.start == Start::fresh ? 0
                                       : SlotAccess::progress(slots_).at(layer_, s.slot).position;
    }

    /// f(the sequence up to the snapshot, the snapshot, updates pending in it).
    template <class F>
    void for_each_snapshot(index_t round, const F& f) const {
        for (index_t i = 0; i < batch_.n_sequences(); ++i) {
            if (batch_.snapshots(i).empty() || round >= n_pieces(i)) continue;
            const SequenceSpan at = piece(i, round);
            const index_t behind = pending_behind(at);
            const index_t end = at.first_token + at.n_tokens - sequence(i).first_token;
            for (const Snapshot& s : batch_.snapshots(i)) {
                if (is_cut(i) ? end != s.n_tokens : round > 0) continue;
                SequenceSpan whole = sequence(i);
                const index_t dropped = is_cut(i) ? 0 : whole.n_tokens - s.n_tokens;
                whole.n_tokens = s.n_tokens;
                f(whole, s, behind - dropped);
            }
        }
    }

    const Batch& batch_;
    StateSlots& slots_;
    index_t layer_;
    bool deterministic_;
    index_t n_rounds_ = 1;
};

}  // namespace deltanet::detail
