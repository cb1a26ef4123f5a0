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
        const index_t first = task * items_per_task_;
        const index_t last = std::min(n_items(), first + items_per_task_);
        args_.state.visit([&](const auto& state) noexcept {
            if (takes_chunks(item_at(first).sequence))
                return run_chunked(state, first, last - first, scratch);
            for (index_t item = first; item < last; ++item)
                run_item(state, item, item + 1 < last, scratch);
        });
    }

  private:
    using Call::args_, Call::gate_, Call::d_k_, Call::d_v_, Call::heads_per_group_, Call::scale_;
    using Call::panel_cols, Call::takes_chunks, Call::choose_products;
    using Items::columns, Items::state_of, Items::next_head;
    using Items::n_parts_, Call::n_heads_k_;
    using Items::unit_cols, Items::window_, Items::units_per_head_, Items::n_items, Items::item_at;
    using typename Items::Columns, typename Items::Item;

    /// Items [first, first + n), neighbouring key heads of a sequence that takes chunks.
    template <class S>
    void run_chunked(const View<S, 4>& state, index_t first, index_t n, T* memory) const noexcept {
        const PendingStep step = Items::step_of(item_at(first).sequence);
        for (index_t i = first; i < first + n && step.folded > 0 && window_.first == 0; ++i)
            Items::template run_pending<S>(state, item_at(i), nullptr, memory);
        choose_products([&]<class ChunkScratch>(ChunkScratch scratch) noexcept {
            scratch.carve(memory, gate_, d_k_,
                          n * Call::panels_of_key_head(d_v_, heads_per_group_));
            run_chunks(state, item_at(first), n, scratch);
        });
    }

    /// `more`: the next item belongs to the same task.
    template <class S>
    void run_item(const View<S, 4>& state, index_t index, bool more, T* scratch) const noexcept {
        const Item item = item_at(index);
        const SequenceSpan& sequence = item.sequence;
        if (is_padding(sequence)) {
            if (window_.first == 0) Items::clear_outputs(item);
            return;
        }
        if (window_.first > 0) return;  // done with the first window
        const PendingStep step = Items::step_of(sequence);
        if (step.folded > 0 && !step.appends)
            Items::template run_pending<S>(state, item, nullptr, scratch);
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

    /// Neighbouring key heads of a sequence in chunks, as far as there are enough tasks and none
    /// gets items of two sequences. Short sequences, which are bound by memory, go many to a task,
    /// so that the state of one is fetched while the one before is computed.
    [[nodiscard]] index_t choose_items(index_t workers) const noexcept {
        for (const SequenceSpan& sequence : args_.sequences) {
            if (!takes_chunks(sequence)) continue;
            if (n_parts_ > 1) return 1;
            index_t together = Call::key_heads_together(d_k_, d_v_, heads_per_group_);
            if (workers > 1)
                together = std::min(together, n_items() / (workers * tuning::tasks_per_worker));
            together = std::clamp<index_t>(together, 1, n_heads_k_);
            while (n_heads_k_ % together != 0) --together;
            return together;
        }
        if (workers == 1) return std::max<index_t>(1, n_items());  // a task begins with a wait
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

    /// The states of all columns of n key heads stay in scratch memory, panel by panel, until the
    /// last chunk of the window is done.
    template <class S, class ChunkScratch>
    void run_chunks(const View<S, 4>& state, const Item& item, index_t n,
                    ChunkScratch& scratch) const noexcept {
        constexpr index_t chunk = ChunkScratch::chunk;
        const SequenceSpan& sequence = item.sequence;
        const index_t end = std::min(sequence.n_tokens, window_.first + window_.n_tokens);
        if (window_.first >= end) return;
        const bool fresh = window_.first == 0 && sequence.start == Start::fresh;
        const auto for_each = [&](auto&& f) {
            index_t panels = 0;
            for (index_t key_head = item.key_head; key_head < item.key_head + n; ++key_head) {
                panels += for_each_head(
                    key_head, item.first, item.last, [&](const Columns& c, index_t panel) {
                        f(c, scratch.state + (panels + panel) * d_k_ * panel_cols);
                    });
            }
        };
        for_each([&](const Columns& c, T* panels) {
            kernels::chunk_load_state<Arch>(Items::state_columns(state, sequence, c), fresh,
                                            c.width, d_k_, panels);
        });
        for (index_t done = window_.first; done < end; done += chunk) {
            ChunkTokens tokens{sequence.first_token + done, std::min(chunk, end - done), 0};
            tokens.n_next = std::min(chunk, end - done - tokens.n);
            index_t panels = 0;
            for (index_t key_head = item.key_head; key_head < item.key_head + n; ++key_head) {
                panels += run_chunk(tokens, item, key_head, (done - window_.first) / chunk,
                                    scratch.state + panels * d_k_ * panel_cols, scratch);
            }
        }
        for_each([&](const Columns& c, const T* panels) {
            kernels::chunk_store_state<Arch>(panels, Items::state_columns(state, sequence, c),
                                             c.width, d_k_);
        });
    }

    /// A chunk's tokens [first, first + n), and as many behind them as the next one has.
    struct ChunkTokens {
        index_t first;
        index_t n;
        index_t n_next;
    };

    /// One chunk of a key head's columns; returns the number of their panels.
    template <class ChunkScratch>
    index_t run_chunk(const ChunkTokens& tokens, const Item& item, index_t key_head, index_t chunk,
                      T* panels, ChunkScratch& scratch) const noexcept {
        const bool is_prepared = window_.records != nullptr;
        const auto record =
            this->template record<ChunkScratch>(window_, item.ordinal, chunk, key_head);
        if (is_prepared) {
            scratch.use(record.keys(0));
        } else {
            Call::prepare_keys(tokens.first, tokens.n, key_head, scratch);
        }
        const index_t n_panels =
            for_each_head(key_head, item.first, item.last, [](const Columns&, index_t) {});
        return for_each_head(
            key_head, item.first, item.last, [&](const Columns& c, index_t first_panel) {
                if (is_prepared) {
                    if (gate_ == kernels::GateKind::per_channel) scratch.use(record.keys(c.head));
                    scratch.use(record.gates(c.head));
                } else {
                    Call::prepare_gates(tokens.first, tokens.n, key_head, c.h, scratch);
                }
                run_panels(tokens, key_head, c, panels, first_panel, n_panels, scratch);
            });
    }

    /// The panels of one value head's columns, behind `first_panel` of the key head's `n_panels`.
    template <class ChunkScratch>
    void run_panels(const ChunkTokens& tokens, index_t key_head, const Columns& c, T* panels,
                    index_t first_panel, index_t n_panels,
                    const ChunkScratch& scratch) const noexcept {
        const index_t t = tokens.first;
        const index_t parts = (c.width + panel_cols - 1) / panel_cols;
        const index_t tn = tokens.n_next > 0 ? t + tokens.n : t;
        // The keys' and queries' lines are shared by the panels of all value heads.
        constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
        const index_t each = ((d_k_ + line - 1) / line + n_panels - 1) / n_panels * line;
        const auto next_columns = [&](const auto& view, index_t head, index_t first, index_t n,
                                      index_t width, index_t part) {
            return kernels::NextColumns<T>::part(view.ptr(tn, head, first), view.stride(0), n,
                                                 width, part);
        };
        for (index_t part = 0; part < parts; ++part) {
            const index_t col = part * panel_cols;
            const index_t panel = first_panel + part;
            kernels::chunk_panel(
                kernels::ChunkPanel<T>{
                    .state = panels + panel * panel_cols * d_k_,
                    .v = args_.v.ptr(t, c.h, c.first + col),
                    .v_stride = args_.v.stride(0),
                    .output = args_.output.ptr(t, c.h, c.first + col),
                    .output_stride = args_.output.stride(0),
                    .width = std::min(panel_cols, c.width - col),
                    .n_tokens = tokens.n,
                    .d_k = d_k_,
                    .next = {.columns = {next_columns(args_.v, c.h, c.first, c.width, panel_cols,
                                                      part),
                                         next_columns(args_.output, c.h, c.first, c.width,
                                                      panel_cols, part),
                                         {args_.beta.ptr(tn, c.h), args_.beta.stride(0), 0},
                                         next_columns(args_.k, key_head, 0, d_k_, each, panel),
                                         next_columns(args_.q, key_head, 0, d_k_, each, panel),
                                         next_decays(tn, c.h, part)},
                             .n_tokens = std::max<index_t>(tokens.n_next, 1)}},
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

    index_t worker_bytes_;
    index_t items_per_task_;
};

}  // namespace deltanet::cpu
