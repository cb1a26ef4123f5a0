// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The items that a scan of the delta rule is cut into: parts of the state columns of all value
/// heads of one key head of one sequence. Key heads because their value heads share the products of
/// keys and queries, parts so that few heads still feed many workers. Columns never mix.
#pragma once

#include <deltanet/cpu/delta_call.hpp>
#include <deltanet/cpu/state_panel.hpp>

namespace deltanet::cpu {

template <class Arch, class T>
class DeltaItems : public DeltaCall<Arch, T> {
    using Call = DeltaCall<Arch, T>;

  public:
    using Call::unit_cols, Call::panel_cols;

  protected:
    using Call::args_, Call::gate_, Call::n_heads_k_, Call::d_k_, Call::d_v_;
    using Call::heads_per_group_, Call::units_per_head_, Call::scale_, Call::takes_chunks;

    DeltaItems(const DeltaScanArgs<T>& args, index_t workers) noexcept
        : Call(args.rule), window_(args.window), n_parts_(Call::choose_parts(workers)) {}

    /// Columns [first, first + width) of value head h, the head-th of its key head.
    struct Columns {
        index_t h;
        index_t head;
        index_t first;
        index_t width;
    };

    /// An item is one part of the columns of one key head of one sequence.
    [[nodiscard]] index_t n_items() const noexcept {
        const index_t units = heads_per_group_ * units_per_head_;
        return units == 0 ? 0
                          : static_cast<index_t>(args_.sequences.size()) * n_heads_k_ * n_parts_;
    }
    struct Item {
        const SequenceSpan& sequence;
        index_t ordinal;  ///< of the sequence among those in chunks
        index_t key_head;
        index_t first;  ///< units
        index_t last;
    };
    [[nodiscard]] Item item_at(index_t item) const noexcept {
        const index_t part = item % n_parts_;
        const index_t units = heads_per_group_ * units_per_head_;
        const auto index = static_cast<std::size_t>(item / n_parts_ / n_heads_k_);
        index_t ordinal = 0;
        if (window_.records != nullptr) {
            for (std::size_t i = 0; i < index; ++i) ordinal += takes_chunks(args_.sequences[i]);
        }
        return {args_.sequences[index], ordinal, item / n_parts_ % n_heads_k_,
                part * units / n_parts_, (part + 1) * units / n_parts_};
    }

    template <class S>
    [[nodiscard]] static StateColumns<S> state_columns(const View<S, 4>& state,
                                                       const SequenceSpan& sequence,
                                                       const Columns& c) noexcept {
        return columns_of(state, sequence.slot, c.h).from(c.first);
    }
    template <class S>
    [[nodiscard]] static S* state_of(const View<S, 4>& state, const SequenceSpan& sequence,
                                     const Columns& c) noexcept {
        return state.ptr(sequence.slot, c.h, 0, c.first);
    }

    [[nodiscard]] Columns columns(index_t key_head, index_t unit) const noexcept {
        const index_t head = unit / units_per_head_;
        const index_t first = unit % units_per_head_ * unit_cols;
        return {Call::value_head(key_head, head), head, first, std::min(unit_cols, d_v_ - first)};
    }

    template <class S>
    void clear(const View<S, 4>& state, const SequenceSpan& sequence,
               const Columns& c) const noexcept {
        clear_state(state_columns(state, sequence, c), c.width, d_k_);
    }

    /// Of padding.
    void clear_outputs(const Item& item) const noexcept {
        for (index_t unit = item.first; unit < item.last; ++unit) {
            const Columns c = columns(item.key_head, unit);
            for (index_t t = 0; t < item.sequence.n_tokens; ++t) {
                fill_zero<Arch>(args_.output.ptr(item.sequence.first_token + t, c.h, c.first),
                                c.width);
            }
        }
    }

    /// The state of the value head behind that of `unit`.
    template <class S>
    [[nodiscard]] const S* next_head(const View<S, 4>& state, const SequenceSpan& sequence,
                                     index_t key_head, index_t unit, index_t last_unit,
                                     const S* after) const noexcept {
        const index_t next = (unit / units_per_head_ + 1) * units_per_head_;
        return next < last_unit ? state_of(state, sequence, columns(key_head, next)) : after;
    }

    DeltaWindow<T> window_;
    index_t n_parts_;
};

}  // namespace deltanet::cpu
