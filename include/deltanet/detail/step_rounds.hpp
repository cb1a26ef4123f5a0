// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A step of a layer in rounds: a sequence that leaves snapshots on its way is cut where they are
/// taken, and round r runs the r-th piece of every sequence that has one. Without snapshots there
/// is one round. Tokens that stay pending are never cut: a snapshot among them is a copy that drops
/// the later ones.
#pragma once

#include <deltanet/batch.hpp>
#include <deltanet/detail/slot_access.hpp>

#include <algorithm>
#include <span>

namespace deltanet::detail {

/// Snapshots go to slots that are there, that the batch does not use, and each to its own.
inline void check_snapshots(const char* where, const Batch& batch, const StateSlots& slots) {
    for (index_t i = 0; i < batch.n_sequences(); ++i) {
        for (std::size_t j = 0; j < batch.snapshots(i).size(); ++j) {
            const index_t slot = batch.snapshots(i)[j].slot;
            const auto argument = [&] {  // only when needed: the text costs memory
                return concat("sequences[", i, "].snapshots[", j, "].slot");
            };
            if (slot < 0 || slot >= slots.n_slots()) slots.check_slot(where, argument(), slot);
            index_t uses = 0;
            for (index_t other = 0; other < batch.n_sequences(); ++other) {
                uses += batch.sequences()[static_cast<std::size_t>(other)].slot == slot;
                for (const Snapshot& s : batch.snapshots(other)) uses += s.slot == slot;
            }
            if (uses > 1) {
                fail(where, argument(), "a slot that nothing else in the batch uses",
                     concat("slot ", slot));
            }
        }
    }
}

class StepRounds {
  public:
    StepRounds(const Batch& batch, StateSlots& slots, index_t layer)
        : batch_(batch), slots_(slots), layer_(layer) {
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
    void copy_conv(index_t round) const noexcept {
        for_each_snapshot(round, [this](const SequenceSpan& from, index_t to, index_t pending) {
            SlotAccess::copy_conv(slots_, layer_, from.slot, to, pending);
        });
    }
    /// And of the recurrent state, with how far they are.
    void copy_state(index_t round) const noexcept {
        for_each_snapshot(round, [this](const SequenceSpan& from, index_t to, index_t pending) {
            SlotAccess::copy_state(slots_, layer_, from.slot, to);
            SlotAccess::progress(slots_).set_layer(
                layer_, to, {position_before(from.slot, from.start) + from.n_tokens, pending, 0});
        });
    }

    /// The step is done: all slots of the batch go on.
    void advance() const noexcept {
        for (index_t i = 0; i < batch_.n_sequences(); ++i) {
            const index_t n = n_pieces(i);
            SequenceSpan p = piece(i, 0);
            for (index_t round = 0; round < n; ++round) {
                p = following(i, round, p);
                slots_.advance(layer_, p);
            }
        }
    }

  private:
    [[nodiscard]] const SequenceSpan& sequence(index_t i) const noexcept {
        return batch_.sequences()[static_cast<std::size_t>(i)];
    }
    [[nodiscard]] bool is_cut(index_t i) const noexcept {
        return !batch_.snapshots(i).empty() &&
               !pending_step(sequence(i), slots_.max_rollback()).appends;
    }
    [[nodiscard]] index_t n_pieces(index_t i) const noexcept {
        if (!is_cut(i)) return 1;
        index_t n = 1;
        index_t last = 0;
        for (const Snapshot& s : batch_.snapshots(i)) {
            n += s.n_tokens > last && s.n_tokens < sequence(i).n_tokens;
            last = s.n_tokens;
        }
        return n;
    }
    /// Tokens before piece `round`.
    [[nodiscard]] index_t cut(index_t i, index_t round) const noexcept {
        if (round == 0) return 0;
        if (round >= n_pieces(i)) return sequence(i).n_tokens;
        index_t last = 0;
        for (const Snapshot& s : batch_.snapshots(i)) {
            if (s.n_tokens > last && --round == 0) return s.n_tokens;
            last = s.n_tokens;
        }
        return sequence(i).n_tokens;
    }
    /// Piece `round` behind the piece `before` it; for round 0 that does not matter.
    [[nodiscard]] SequenceSpan following(index_t i, index_t round,
                                         const SequenceSpan& before) const noexcept {
        SequenceSpan p = sequence(i);
        const index_t first = cut(i, round);
        p.first_token += first;
        p.n_tokens = cut(i, round + 1) - first;
        p.pending = is_padding(p) ? 0
                    : round == 0  ? before.pending
                                  : pending_step(before, slots_.max_rollback()).after;
        if (round > 0) p.start = Start::resume;
        return p;
    }
    [[nodiscard]] SequenceSpan piece(index_t i, index_t round) const noexcept {
        SequenceSpan p = following(i, 0, slots_.with_pending(layer_, sequence(i)));
        for (index_t r = 1; r <= round; ++r) p = following(i, r, p);
        return p;
    }
    [[nodiscard]] index_t position_before(index_t slot, Start start) const noexcept {
        return start == Start::fresh ? 0 : SlotAccess::progress(slots_).at(layer_, slot).position;
    }

    /// f(the sequence up to the snapshot, destination, updates pending in it).
    template <class F>
    void for_each_snapshot(index_t round, const F& f) const noexcept {
        for (index_t i = 0; i < batch_.n_sequences(); ++i) {
            if (round >= n_pieces(i)) continue;
            for (const Snapshot& s : batch_.snapshots(i)) {
                if (is_cut(i) ? cut(i, round + 1) != s.n_tokens : round > 0) continue;
                SequenceSpan whole = sequence(i);
                const index_t behind = pending_step(piece(i, round), slots_.max_rollback()).after;
                const index_t dropped = is_cut(i) ? 0 : whole.n_tokens - s.n_tokens;
                whole.n_tokens = s.n_tokens;
                f(whole, s.slot, behind - dropped);
            }
        }
    }

    const Batch& batch_;
    StateSlots& slots_;
    index_t layer_;
    index_t n_rounds_ = 1;
};

}  // namespace deltanet::detail
