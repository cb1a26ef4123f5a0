// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plan of a scan of the delta rule over a window (delta_call.hpp). A task is one item of a long
/// sequence or many of short ones.
#pragma once

#include <deltanet/cpu/delta_pending_items.hpp>

namespace deltanet::cpu {

template <class Arch, class T>
class Plan<Arch, DeltaScanArgs<T>> : public DeltaPendingItems<Arch, T> {
    using Call = DeltaCall<Arch, T>;
    using Items = DeltaPendingItems<Arch, T>;

  public:
    Plan(const DeltaScanArgs<T>& args, index_t workers) noexcept
        : Items(args, workers),
          worker_bytes_(Call::sizes(args.rule, workers).worker_bytes),
          items_per_task_(choose_items(workers)) {}

    [[nodiscard]] index_t n_tasks() const noexcept {
        return (n_items() + items_per_task_ - 1) / items_per_task_;
    }
    [[nodiscard]] index_t scratch_bytes() const noexcept { return worker_bytes_; }

    void run(index_t task, T* scratch) const noexcept {
        const index_t last = std::min(n_items(), (task + 1) * items_per_task_);
        args_.state.visit([&](const auto& state) noexcept {
            for (index_t item = task * items_per_task_; item < last; ++item)
                run_item(state, item, item + 1 < last, scratch);
        });
    }

  private:
    using Call::args_, Call::gate_, Call::d_k_, Call::d_v_, Call::heads_per_group_, Call::scale_;
    using Call::panel_cols, Call::takes_chunks, Call::choose_products;
    using Items::columns, Items::state_of, Items::next_head;
    using Items::unit_cols, Items::window_, Items::units_per_head_, Items::n_items, Items::item_at;
    using typename Items::Columns, typename Items::Item;

    /// `more`: the next item belongs to the same task.
    template <class S>
    void run_item(const View<S, 4>& state, index_t index, bool more, T* scratch) const noexcept {
        const Item item = item_at(index);
        const SequenceSpan& sequence = item.sequence;
        if (is_padding(sequence)) {
            if (window_.first == 0) Items::clear_outputs(item);
            return;
        }
        const PendingStep step = Items::step_of(sequence);
        if (step.folded > 0 && !step.appends && window_.first == 0)
            Items::template run_pending<S>(state, item, nullptr, scratch);
        if (takes_chunks(sequence)) {
            choose_products([&]<class ChunkScratch>(ChunkScratch chunk_scratch) noexcept {
                chunk_scratch.carve(scratch, gate_, d_k_, heads_per_group_ * panels_per_head());
                run_chunked(state, item, chunk_scratch);
            });
            return;
        }
        if (window_.first > 0) return;  // done with the first window
        if (sequence.start == Start::fresh) {
            for (index_t unit = item.first; unit < item.last; ++unit)
                Items::clear(state, sequence, columns(item.key_head, unit));
        }
        if (sequence.n_tokens == 0) return;
        const S* after = nullptr;
        if (more && !is_padding(item_at(index + 1).sequence)) {
            const Item next = item_at(index + 1);
            after = state_of(state, next.sequence, columns(next.key_head, next.first));
        }
        if (step.appends) return Items::run_pending(state, item, after, scratch);
        run_recurrent(state, sequence, item.key_head, item.first, item.last, after, scratch);
    }

    /// Short sequences, which are bound by memory, go many to a task, so that the state of one is
    /// fetched while the one before is computed.
    [[nodiscard]] index_t choose_items(index_t workers) const noexcept {
        for (const SequenceSpan& sequence : args_.sequences) {
            if (takes_chunks(sequence)) return 1;
        }
        return std::max<index_t>(1, n_items() / (workers * tuning::tasks_per_worker));
    }

    /// `after`: the first state of the task's next item, null for none.
    template <class S>
    void run_recurrent(const View<S, 4>& state, const SequenceSpan& sequence, index_t key_head,
                       index_t first_unit, index_t last_unit, const S* after,
                       T* memory) const noexcept {
        using kernels::GateKind;
        gate_ == GateKind::per_channel
            ? run_recurrent<GateKind::per_channel>(state, sequence, key_head, first_unit, last_unit,
                                                   after, memory)
            : run_recurrent<GateKind::per_head>(state, sequence, key_head, first_unit, last_unit,
                                                after, memory);
    }

    template <kernels::GateKind Gate, class S>
    void run_recurrent(const View<S, 4>& state, const SequenceSpan& sequence, index_t key_head,
                       index_t first_unit, index_t last_unit, const S* after,
                       T* memory) const noexcept {
        kernels::RecurrentScratch<Arch, T> scratch{};
        scratch.carve(memory, Gate, d_k_);
        constexpr index_t stretch = tuning::recurrent_tokens;
        const bool pack_once = sequence.n_tokens <= stretch;
        index_t packed_head = -1;  // per key head, or with decays per channel per value head
        for (index_t unit = first_unit; unit < last_unit; ++unit) {
            const Columns c = columns(key_head, unit);
            const S* const next = next_head(state, sequence, key_head, unit, last_unit, after);
            const index_t head = Gate == kernels::GateKind::per_channel ? c.h : key_head;
            for (index_t done = 0; done < sequence.n_tokens; done += stretch) {
                const index_t t = sequence.first_token + done;
                const index_t n_tokens = std::min(stretch, sequence.n_tokens - done);
                if (!pack_once || packed_head != head) {
                    pack<Gate>(t, n_tokens, key_head, c.h, scratch);
                    packed_head = head;
                }
                const View<const T, 2> decay_log = args_.decay_log.heads();
                kernels::delta_recurrent<Arch, T, S, Gate>(
                    {.v = args_.v.ptr(t, c.h, c.first),
                     .v_stride = args_.v.stride(0),
                     .decay_log = decay_log.ptr(t, c.h),
                     .decay_stride = decay_log.stride(0),
                     .beta = args_.beta.ptr(t, c.h),
                     .beta_stride = args_.beta.stride(0),
                     .state = Items::state_columns(state, sequence, c),
                     .output = args_.output.ptr(t, c.h, c.first),
                     .output_stride = args_.output.stride(0),
                     .next = next == nullptr || done > 0 ? nullptr : next + c.first * d_k_,
                     .width = c.width,
                     .n_tokens = n_tokens,
                     .d_k = d_k_,
                     .scale = scale_,
                     .is_first = done == 0,
                     .is_last = done + n_tokens == sequence.n_tokens},
                    scratch);
            }
        }
    }

    template <kernels::GateKind Gate>
    void pack(index_t t, index_t n_tokens, index_t key_head, index_t h,
              const kernels::RecurrentScratch<Arch, T>& scratch) const noexcept {
        kernels::recurrent_pack<Arch>(args_.k.ptr(t, key_head), args_.k.stride(0),
                                      args_.q.ptr(t, key_head), args_.q.stride(0), n_tokens, d_k_,
                                      scratch);
        if constexpr (Gate == kernels::GateKind::per_channel) {
            const View<const T, 3>& decay_log = args_.decay_log.channels();
            kernels::recurrent_pack_channels<Arch>(decay_log.ptr(t, h), decay_log.stride(0),
                                                   n_tokens, d_k_, scratch);
        }
    }

    /// f(columns, panels) for each value head's share of units [first, last): the units of one head
    /// stand side by side, and go together. `panels` counts those before it. Returns all of them.
    template <class F>
    index_t for_each_head(index_t key_head, index_t first_unit, index_t last_unit, F&& f) const {
        index_t panels = 0;
        for (index_t unit = first_unit; unit < last_unit;) {
            Columns c = columns(key_head, unit);
            const index_t units =
                std::min(last_unit - unit, units_per_head_ - unit % units_per_head_);
            c.width = std::min(units * unit_cols, d_v_ - c.first);
            f(c, panels);
            panels += (c.width + panel_cols - 1) / panel_cols;
            unit += units;
        }
        return panels;
    }

    /// The state of all columns stays in scratch memory, panel by panel, until the last chunk of
    /// the window is done.
    template <class S, class ChunkScratch>
    void run_chunked(const View<S, 4>& state, const Item& item,
                     ChunkScratch& scratch) const noexcept {
        constexpr index_t chunk = ChunkScratch::chunk;
        const SequenceSpan& sequence = item.sequence;
        const index_t key_head = item.key_head;
        const index_t end = std::min(sequence.n_tokens, window_.first + window_.n_tokens);
        if (window_.first >= end) return;
        const bool fresh = window_.first == 0 && sequence.start == Start::fresh;
        const auto panels_at = [&](index_t panel) {
            return scratch.state + panel * d_k_ * panel_cols;
        };
        const auto for_each = [&](auto&& f) {
            return for_each_head(key_head, item.first, item.last, f);
        };
        const index_t n_panels = for_each([&](const Columns& c, index_t panel) {
            kernels::chunk_load_state<Arch>(Items::state_columns(state, sequence, c), fresh,
                                            c.width, d_k_, panels_at(panel));
        });
        for (index_t done = window_.first; done < end; done += chunk) {
            const index_t n_tokens = std::min(chunk, end - done);
            const index_t t = sequence.first_token + done;
            const auto record = this->template record<ChunkScratch>(
                window_, item.ordinal, (done - window_.first) / chunk, key_head);
            if (window_.records != nullptr) {
                scratch.use(record.keys(0));
            } else {
                Call::prepare_keys(t, n_tokens, key_head, scratch);
            }
            const NextTokens next{t + n_tokens, std::min(chunk, end - done - n_tokens)};
            for_each([&](const Columns& c, index_t panel) {
                if (window_.records != nullptr) {
                    if (gate_ == kernels::GateKind::per_channel) scratch.use(record.keys(c.head));
                    scratch.use(record.gates(c.head));
                } else {
                    Call::prepare_gates(t, n_tokens, key_head, c.h, scratch);
                }
                chunk_head(t, n_tokens, next, key_head, c, panel, n_panels, scratch);
            });
        }
        for_each([&](const Columns& c, index_t panel) {
            kernels::chunk_store_state<Arch>(
                panels_at(panel), Items::state_columns(state, sequence, c), c.width, d_k_);
        });
    }

    /// Tokens [first, first + n), whose inputs are fetched meanwhile.
    struct NextTokens {
        index_t first;
        index_t n;
    };

    /// The panels of one value head's columns, behind `first_panel` of the item's `n_panels`.
    template <class ChunkScratch>
    void chunk_head(index_t t, index_t n_tokens, const NextTokens& next, index_t key_head,
                    const Columns& c, index_t first_panel, index_t n_panels,
                    const ChunkScratch& scratch) const noexcept {
        const index_t parts = (c.width + panel_cols - 1) / panel_cols;
        const index_t tn = next.n > 0 ? next.first : t;
        // The keys' and queries' lines are shared by the panels of all value heads.
        constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
        const index_t each = ((d_k_ + line - 1) / line + n_panels - 1) / n_panels * line;
        const auto columns = [&](const auto& view, index_t head, index_t first, index_t n,
                                 index_t width, index_t part) {
            return kernels::NextColumns<T>::part(view.ptr(tn, head, first), view.stride(0), n,
                                                 width, part);
        };
        for (index_t part = 0; part < parts; ++part) {
            const index_t col = part * panel_cols;
            const index_t panel = first_panel + part;
            kernels::chunk_panel(
                kernels::ChunkPanel<T>{
                    .state = scratch.state + (first_panel * panel_cols + col) * d_k_,
                    .v = args_.v.ptr(t, c.h, c.first + col),
                    .v_stride = args_.v.stride(0),
                    .output = args_.output.ptr(t, c.h, c.first + col),
                    .output_stride = args_.output.stride(0),
                    .width = std::min(panel_cols, c.width - col),
                    .n_tokens = n_tokens,
                    .d_k = d_k_,
                    .next = {.columns = {columns(args_.v, c.h, c.first, c.width, panel_cols, part),
                                         columns(args_.output, c.h, c.first, c.width, panel_cols,
                                                 part),
                                         {args_.beta.ptr(tn, c.h), args_.beta.stride(0), 0},
                                         columns(args_.k, key_head, 0, d_k_, each, panel),
                                         columns(args_.q, key_head, 0, d_k_, each, panel),
                                         next_decays(tn, c.h, part)},
                             .n_tokens = std::max<index_t>(next.n, 1)}},
                scratch);
        }
    }

    [[nodiscard]] kernels::NextColumns<T> next_decays(index_t t, index_t h,
                                                      index_t part) const noexcept {
        if (gate_ == kernels::GateKind::per_channel) {
            const View<const T, 3>& decay_log = args_.decay_log.channels();
            return kernels::NextColumns<T>::part(decay_log.ptr(t, h), decay_log.stride(0), d_k_,
                                                 panel_cols, part);
        }
        const View<const T, 2> decay_log = args_.decay_log.heads();
        return {decay_log.ptr(t, h), decay_log.stride(0), 0};
    }

    [[nodiscard]] index_t panels_per_head() const noexcept {
        return (d_v_ + panel_cols - 1) / panel_cols;
    }

    index_t worker_bytes_;
    index_t items_per_task_;
};

}  // namespace deltanet::cpu
