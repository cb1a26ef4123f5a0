// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plan of the delta rule. Its items are parts of the state columns of all value heads of one key
/// head of one sequence: key heads because their value heads share the products of keys and
/// queries, parts so that few heads still feed many workers. Columns never mix. A task is one item
/// of a long sequence or many of short ones.
#pragma once

#include <deltanet/cpu/kernels/chunk_scan.hpp>
#include <deltanet/cpu/kernels/delta_recurrent.hpp>
#include <deltanet/cpu/plan.hpp>
#include <deltanet/ops/delta_rule.hpp>

#include <algorithm>
#include <cmath>

namespace deltanet::cpu {

template <class Arch, class T>
class Plan<Arch, DeltaRuleArgs<T>> {
  public:
    /// Columns that are never cut: whole tiles of both forms.
    static constexpr index_t unit_cols = kernels::recurrent_cols<Arch, T>;
    static constexpr index_t panel_cols = tuning::tile_batches<Arch> * lanes<Arch, T>;
    static_assert(unit_cols % panel_cols == 0);

    Plan(const DeltaRuleArgs<T>& args, index_t workers) noexcept
        : args_(args),
          n_heads_k_(args.k.size(1)),
          d_k_(args.k.size(2)),
          d_v_(args.v.size(2)),
          heads_per_group_(args.v.size(1) / args.k.size(1)),
          units_per_head_((args.v.size(2) + unit_cols - 1) / unit_cols),
          scale_(static_cast<T>(args.scale != 0.0 ? args.scale
                                                  : 1.0 / std::sqrt(static_cast<double>(d_k_)))) {
        n_parts_ = choose_parts(workers);
        items_per_task_ = choose_items(workers);
    }

    [[nodiscard]] index_t n_tasks() const noexcept {
        return (n_items() + items_per_task_ - 1) / items_per_task_;
    }

    [[nodiscard]] static constexpr index_t scratch_bytes(index_t d_k, index_t d_v,
                                                         index_t heads_per_group,
                                                         ScanMode mode) noexcept {
        const index_t recurrent = kernels::RecurrentScratch<Arch, T>::bytes(d_k);
        const index_t panels = heads_per_group * ((d_v + panel_cols - 1) / panel_cols);
        if (mode == ScanMode::recurrent) return recurrent;
        index_t bytes = std::max(recurrent, PlainScratch::bytes(d_k, panels));
        if constexpr (std::is_same_v<T, float>)
            bytes = std::max(bytes, Bf16Scratch<EmulatedBf16Products>::bytes(d_k, panels));
        return bytes;
    }
    [[nodiscard]] static index_t scratch_bytes(const DeltaRuleArgs<T>& args) noexcept {
        return scratch_bytes(args.k.size(2), args.v.size(2), args.v.size(1) / args.k.size(1),
                             args.mode);
    }

    /// What a call that asks for `compute` is done in.
    [[nodiscard]] static constexpr ScanCompute scan_compute(ScanCompute compute) noexcept {
        if constexpr (!std::is_same_v<T, float>) return ScanCompute::f32;
        const bool available = compute != ScanCompute::bf16 || has_bf16_products<Arch>;
        return available ? compute : ScanCompute::f32;
    }

    void run(index_t task, T* scratch) const noexcept {
        const index_t last = std::min(n_items(), (task + 1) * items_per_task_);
        args_.state.visit([&](const auto& state) noexcept {
            for (index_t item = task * items_per_task_; item < last; ++item)
                run_item(state, item, item + 1 < last, scratch);
        });
    }

  private:
    template <index_t C, class Products>
    using ScratchOf = kernels::ChunkScratch<Arch, T, C, Products>;
    using PlainScratch = ScratchOf<tuning::chunk_tokens<Arch>, PlainProducts>;
    template <class Products>
    using Bf16Scratch = ScratchOf<tuning::bf16_chunk_tokens<Arch>, Products>;

    /// Columns [first, first + width) of value head h.
    struct Columns {
        index_t h;
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
        index_t key_head;
        index_t first;  ///< units
        index_t last;
    };
    [[nodiscard]] Item item_at(index_t item) const noexcept {
        const index_t part = item % n_parts_;
        const index_t units = heads_per_group_ * units_per_head_;
        return {args_.sequences[static_cast<std::size_t>(item / n_parts_ / n_heads_k_)],
                item / n_parts_ % n_heads_k_, part * units / n_parts_,
                (part + 1) * units / n_parts_};
    }

    /// `more`: the next item belongs to the same task.
    template <class S>
    void run_item(const View<S, 4>& state, index_t index, bool more, T* scratch) const noexcept {
        const Item item = item_at(index);
        const SequenceSpan& sequence = item.sequence;
        if (sequence.n_tokens > 0 && takes_chunks(sequence)) {
            choose_products([&]<class ChunkScratch>(ChunkScratch chunk_scratch) noexcept {
                chunk_scratch.carve(scratch, d_k_, heads_per_group_ * panels_per_head());
                run_chunked(state, sequence, item.key_head, item.first, item.last, chunk_scratch);
            });
            return;
        }
        if (sequence.start == Start::fresh) {
            for (index_t unit = item.first; unit < item.last; ++unit)
                clear(state, sequence, columns(item.key_head, unit));
        }
        if (sequence.n_tokens == 0) return;
        const S* after = nullptr;
        if (more) {
            const Item next = item_at(index + 1);
            after = state_of(state, next.sequence, columns(next.key_head, next.first));
        }
        run_recurrent(state, sequence, item.key_head, item.first, item.last, after, scratch);
    }

    template <class S>
    [[nodiscard]] static S* state_of(const View<S, 4>& state, const SequenceSpan& sequence,
                                     const Columns& c) noexcept {
        return state.ptr(sequence.slot, c.h, 0, c.first);
    }

    [[nodiscard]] Columns columns(index_t key_head, index_t unit) const noexcept {
        const index_t j = unit / units_per_head_;  // which of the value heads of the key head
        const index_t first = unit % units_per_head_ * unit_cols;
        return {args_.head_map == HeadMap::grouped ? key_head * heads_per_group_ + j
                                                   : j * n_heads_k_ + key_head,
                first, std::min(unit_cols, d_v_ - first)};
    }

    /// By the sequence's own length only: what else is in the batch must not change its result.
    [[nodiscard]] bool takes_chunks(const SequenceSpan& sequence) const noexcept {
        return args_.mode == ScanMode::chunked ||
               (args_.mode == ScanMode::automatic &&
                sequence.n_tokens >= tuning::chunked_from_tokens);
    }

    /// Enough parts to keep every worker busy, counting a sequence by its share of the longest one.
    [[nodiscard]] index_t choose_parts(index_t workers) const noexcept {
        index_t total = 0;
        index_t longest = 1;
        for (const SequenceSpan& sequence : args_.sequences) {
            total += sequence.n_tokens;
            longest = std::max(longest, sequence.n_tokens);
        }
        const index_t tasks = std::max<index_t>(1, (total + longest - 1) / longest) * n_heads_k_;
        const index_t wanted = workers > 1 ? workers * tuning::tasks_per_worker : 1;
        return std::clamp<index_t>((wanted + tasks - 1) / tasks, 1,
                                   std::max<index_t>(1, heads_per_group_ * units_per_head_));
    }

    /// Short sequences, which are bound by memory, go many to a task, so that the state of one is
    /// fetched while the one before is computed.
    [[nodiscard]] index_t choose_items(index_t workers) const noexcept {
        for (const SequenceSpan& sequence : args_.sequences) {
            if (takes_chunks(sequence)) return 1;
        }
        return std::max<index_t>(1, n_items() / (workers * tuning::tasks_per_worker));
    }

    template <class S>
    void clear(const View<S, 4>& state, const SequenceSpan& sequence,
               const Columns& c) const noexcept {
        for (index_t i = 0; i < d_k_; ++i) {
            S* const row = state.ptr(sequence.slot, c.h, i, c.first);
            for (index_t j = 0; j < c.width; ++j) row[j] = S{};
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

    /// `after`: the first state of the task's next item, null for none.
    template <class S>
    void run_recurrent(const View<S, 4>& state, const SequenceSpan& sequence, index_t key_head,
                       index_t first_unit, index_t last_unit, const S* after,
                       T* memory) const noexcept {
        kernels::RecurrentScratch<Arch, T> scratch{};
        scratch.carve(memory, d_k_);
        const auto pack = [&](index_t t, index_t n_tokens) noexcept {
            kernels::recurrent_pack<Arch>(args_.k.ptr(t, key_head), args_.k.stride(0),
                                          args_.q.ptr(t, key_head), args_.q.stride(0), n_tokens,
                                          d_k_, scratch);
        };
        constexpr index_t stretch = tuning::recurrent_tokens;
        const bool packed_once = sequence.n_tokens <= stretch;
        if (packed_once) pack(sequence.first_token, sequence.n_tokens);
        for (index_t unit = first_unit; unit < last_unit; ++unit) {
            const Columns c = columns(key_head, unit);
            const S* const next = next_head(state, sequence, key_head, unit, last_unit, after);
            for (index_t done = 0; done < sequence.n_tokens; done += stretch) {
                const index_t t = sequence.first_token + done;
                const index_t n_tokens = std::min(stretch, sequence.n_tokens - done);
                if (!packed_once) pack(t, n_tokens);
                kernels::delta_recurrent<Arch, T, S>(
                    {.v = args_.v.ptr(t, c.h, c.first),
                     .v_stride = args_.v.stride(0),
                     .decay_log = args_.decay_log.ptr(t, c.h),
                     .decay_stride = args_.decay_log.stride(0),
                     .beta = args_.beta.ptr(t, c.h),
                     .beta_stride = args_.beta.stride(0),
                     .state = state_of(state, sequence, c),
                     .state_stride = state.stride(2),
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

    /// f(columns, panels) for each value head's share of units [first, last): the units of one head
    /// stand side by side, and go together. `panels` counts those before it.
    template <class F>
    void for_each_head(index_t key_head, index_t first_unit, index_t last_unit, F&& f) const {
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
    }

    /// f(an empty scratch) of the products that the call asks for, or of plain ones.
    template <class F>
    void choose_products(F&& f) const noexcept {
        if constexpr (std::is_same_v<T, float>) {
            const ScanCompute compute = scan_compute(args_.compute);
            if constexpr (has_bf16_products<Arch>) {
                if (compute == ScanCompute::bf16) return f(Bf16Scratch<Bf16Products<Arch>>{});
            }
            if (compute == ScanCompute::bf16_emulated)
                return f(Bf16Scratch<EmulatedBf16Products>{});
        }
        f(PlainScratch{});
    }

    /// The state of all columns stays in scratch memory, panel by panel, until the last chunk is
    /// done.
    template <class S, class ChunkScratch>
    void run_chunked(const View<S, 4>& state, const SequenceSpan& sequence, index_t key_head,
                     index_t first_unit, index_t last_unit,
                     const ChunkScratch& scratch) const noexcept {
        constexpr index_t chunk = ChunkScratch::chunk;
        const auto panels_at = [&](index_t panel) {
            return scratch.state + panel * d_k_ * panel_cols;
        };
        for_each_head(key_head, first_unit, last_unit, [&](const Columns& c, index_t panel) {
            kernels::chunk_load_state<Arch, T>(state_of(state, sequence, c), state.stride(2),
                                               sequence.start == Start::fresh, c.width, d_k_,
                                               panels_at(panel));
        });
        for (index_t done = 0; done < sequence.n_tokens; done += chunk) {
            const index_t n_tokens = std::min(chunk, sequence.n_tokens - done);
            const index_t t = sequence.first_token + done;
            kernels::chunk_products<Arch>(args_.k.ptr(t, key_head), args_.k.stride(0),
                                          args_.q.ptr(t, key_head), args_.q.stride(0), n_tokens,
                                          d_k_, scratch);
            const index_t n_next = std::min(chunk, sequence.n_tokens - done - n_tokens);
            for_each_head(key_head, first_unit, last_unit, [&](const Columns& c, index_t panel) {
                chunk_head(t, n_tokens, n_next, key_head, c, panels_at(panel), scratch);
            });
        }
        for_each_head(key_head, first_unit, last_unit, [&](const Columns& c, index_t panel) {
            kernels::chunk_store_state<Arch, T>(panels_at(panel), state_of(state, sequence, c),
                                                state.stride(2), c.width, d_k_);
        });
    }

    template <class ChunkScratch>
    void chunk_head(index_t t, index_t n_tokens, index_t n_next, index_t key_head, const Columns& c,
                    T* panels, const ChunkScratch& scratch) const noexcept {
        const index_t parts = (c.width + panel_cols - 1) / panel_cols;
        const index_t tn = n_next > 0 ? t + n_tokens : t;
        const kernels::NextRows<T> next[4] = {
            {args_.v.ptr(tn, c.h, c.first), args_.v.stride(0), n_next, c.width},
            {args_.output.ptr(tn, c.h, c.first), args_.output.stride(0), n_next, c.width},
            {args_.k.ptr(tn, key_head), args_.k.stride(0), n_next, d_k_},
            {args_.q.ptr(tn, key_head), args_.q.stride(0), n_next, d_k_}};
        const T total_decay = kernels::chunk_gate<Arch>(
            args_.decay_log.ptr(t, c.h), args_.decay_log.stride(0), args_.beta.ptr(t, c.h),
            args_.beta.stride(0), n_tokens, scale_, scratch);
        for (index_t part = 0; part < parts; ++part) {
            const index_t col = part * panel_cols;
            kernels::chunk_panel(
                kernels::ChunkPanel<T>{
                    .state = panels + d_k_ * col,
                    .v = args_.v.ptr(t, c.h, c.first + col),
                    .v_stride = args_.v.stride(0),
                    .output = args_.output.ptr(t, c.h, c.first + col),
                    .output_stride = args_.output.stride(0),
                    .width = std::min(panel_cols, c.width - col),
                    .n_tokens = n_tokens,
                    .d_k = d_k_,
                    .total_decay = total_decay,
                    .next = {next[0].share(part, parts), next[1].share(part, parts),
                             next[2].share(part, parts), next[3].share(part, parts)}},
                scratch);
        }
    }

    [[nodiscard]] index_t panels_per_head() const noexcept {
        return (d_v_ + panel_cols - 1) / panel_cols;
    }

    const DeltaRuleArgs<T>& args_;
    index_t n_heads_k_;
    index_t d_k_;
    index_t d_v_;
    index_t heads_per_group_;
    index_t units_per_head_;
    index_t n_parts_ = 1;
    index_t items_per_task_ = 1;
    T scale_;
};

}  // namespace deltanet::cpu
