// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Items of sequences with pending updates (ops/pending_updates.hpp): short ones whose tokens
/// become pending, and the folding in front of those that write the state.
#pragma once

#include <deltanet/cpu/delta_items.hpp>
#include <deltanet/cpu/kernels/delta_pending.hpp>

namespace deltanet::cpu {

template <class Arch, class T>
class DeltaPendingItems : public DeltaItems<Arch, T> {
    using Items = DeltaItems<Arch, T>;

  protected:
    using Items::Items, Items::args_, Items::d_k_, Items::scale_;
    using typename Items::Columns, typename Items::Item;
    using Scratch = kernels::PendingScratch<Arch, T>;

    [[nodiscard]] PendingStep step_of(const SequenceSpan& sequence) const noexcept {
        return pending_step(sequence, args_.pending.capacity());
    }

    /// Runs the tokens if they become pending; else only folds what is. `after`: the first state of
    /// the task's next item, null for none.
    template <class S>
    void run_pending(const View<S, 4>& state, const Item& item, const S* after,
                     T* memory) const noexcept {
        const SequenceSpan& sequence = item.sequence;
        const PendingStep step = step_of(sequence);
        Scratch scratch{};
        scratch.carve(memory, d_k_);
        scratch.n_before = step.before;
        scratch.n_folded = step.folded;
        scratch.n_tokens = step.appends ? sequence.n_tokens : 0;
        pack(item, scratch);
        const index_t* const parents = sequence.parents.empty() ? nullptr : sequence.parents.data();
        index_t head = -1;
        for (index_t unit = item.first; unit < item.last; ++unit) {
            const Columns c = Items::columns(item.key_head, unit);
            if (c.h != head) gates(sequence, c.h, parents, scratch);
            head = c.h;
            auto tile = tile_of(state, item, c);
            tile.next = Items::next_head(state, sequence, item.key_head, unit, item.last, after);
            if (tile.next != nullptr) tile.next += c.first * d_k_;
            kernels::delta_pending(tile, scratch);
        }
    }

  private:
    void pack(const Item& item, const Scratch& scratch) const noexcept {
        const SequenceSpan& sequence = item.sequence;
        const View<T, 4>& k = args_.pending.k;
        kernels::pending_pack<Arch>(
            args_.k.ptr(sequence.first_token, item.key_head), args_.k.stride(0),
            args_.q.ptr(sequence.first_token, item.key_head), args_.q.stride(0),
            k.ptr(sequence.slot, 0, item.key_head), k.stride(1), d_k_, scratch);
    }

    void gates(const SequenceSpan& sequence, index_t h, const index_t* parents,
               const Scratch& scratch) const noexcept {
        const View<T, 3>& pending = args_.pending.decay_log;
        const View<const T, 2> decay_log = args_.decay_log.heads();
        kernels::pending_gates<Arch>(pending.ptr(sequence.slot, 0, h), pending.stride(1),
                                     decay_log.ptr(sequence.first_token, h), decay_log.stride(0),
                                     parents, scratch);
    }

    template <class S>
    [[nodiscard]] kernels::PendingTile<T, S> tile_of(const View<S, 4>& state, const Item& item,
                                                     const Columns& c) const noexcept {
        const SequenceSpan& sequence = item.sequence;
        const index_t t = sequence.first_token;
        const PendingUpdates<T>& pending = args_.pending;
        return {.v = args_.v.ptr(t, c.h, c.first),
                .v_stride = args_.v.stride(0),
                .beta = args_.beta.ptr(t, c.h),
                .beta_stride = args_.beta.stride(0),
                .state = Items::state_columns(state, sequence, c),
                .u = pending.u.ptr(sequence.slot, 0, c.h, c.first),
                .u_stride = pending.u.stride(1),
                .folded_k = pending.k.ptr(sequence.slot, 0, item.key_head),
                .folded_k_stride = pending.k.stride(1),
                .output = args_.output.ptr(t, c.h, c.first),
                .output_stride = args_.output.stride(0),
                .next = nullptr,
                .width = c.width,
                .d_k = d_k_,
                .scale = scale_};
    }
};

}  // namespace deltanet::cpu
