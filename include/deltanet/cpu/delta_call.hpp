// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the plans of one delta-rule call share: its sizes, which sequences take the chunked form
/// and in which products, and how the call is cut.
///
/// A call is one scan over all tokens, or, where a key head's columns are so few for so many
/// workers that several of them share it, windows of two steps: first the chunks of a window are
/// prepared, in parallel over chunks and key heads, then all columns are scanned over it. Without
/// that every worker would prepare for itself.
#pragma once

#include <deltanet/cpu/kernels/chunk_prepare_channels.hpp>
#include <deltanet/cpu/kernels/chunk_scan.hpp>
#include <deltanet/cpu/kernels/delta_recurrent.hpp>
#include <deltanet/cpu/kernels/pending_gates.hpp>
#include <deltanet/cpu/plan.hpp>
#include <deltanet/ops/delta_rule.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace deltanet::cpu {

/// Tokens [first, first + n_tokens) of every chunked sequence.
template <class T>
struct DeltaWindow {
    index_t first = 0;
    index_t n_tokens = std::numeric_limits<index_t>::max() / 2;
    T* records = nullptr;  ///< what is prepared; null: nothing is
};

/// The two steps of a window.
template <class T>
struct DeltaPrepareArgs {
    const DeltaRuleArgs<T>& rule;
    DeltaWindow<T> window;
};
template <class T>
struct DeltaScanArgs {
    const DeltaRuleArgs<T>& rule;
    DeltaWindow<T> window{};
};

/// Memory of a call, and how it is cut.
struct DeltaSizes {
    index_t worker_bytes;       ///< scratch of one worker
    index_t record_bytes;       ///< of all records of a window, per worker
    index_t window_tokens = 0;  ///< 0: one scan without preparation
    index_t longest = 0;        ///< tokens of the longest chunked sequence

    [[nodiscard]] constexpr index_t bytes(index_t workers) const noexcept {
        return workers * (worker_bytes + (window_tokens > 0 ? record_bytes : 0));
    }
};

template <class Arch, class T>
class DeltaCall {
  public:
    /// Columns that are never cut: whole tiles of both forms.
    static constexpr index_t unit_cols = kernels::recurrent_cols<Arch, T>;
    static constexpr index_t panel_cols = tuning::tile_batches<Arch> * lanes<Arch, T>;
    static_assert(unit_cols % panel_cols == 0);

    template <index_t C, class Products>
    using ScratchOf = kernels::ChunkScratch<Arch, T, C, Products>;
    using PlainScratch = ScratchOf<tuning::chunk_tokens<Arch>, PlainProducts>;
    template <class Products>
    using Bf16Scratch = ScratchOf<tuning::bf16_chunk_tokens<Arch>, Products>;
    using GateKind = kernels::GateKind;

    /// What a call that asks for `compute` is done in.
    [[nodiscard]] static constexpr ScanCompute scan_compute(ScanCompute compute) noexcept {
        if (!std::is_same_v<T, float> || compute == ScanCompute::f32) return ScanCompute::f32;
        if (has_bf16_products<Arch>) return ScanCompute::bf16;
        return compute == ScanCompute::bf16_emulated ? compute : ScanCompute::f32;
    }

    [[nodiscard]] static DeltaSizes sizes(const DeltaRuleArgs<T>& args, index_t workers) noexcept {
        const DeltaCall call(args);
        DeltaSizes sizes{
            .worker_bytes = worker_bytes(call.gate_, call.d_k_, call.d_v_, call.heads_per_group_,
                                         args.mode, call.n_heads_k_),
            .record_bytes = record_bytes(call.gate_, call.d_k_, call.heads_per_group_)};
        call.cut_into_windows(workers, sizes);
        return sizes;
    }
    /// Bounds over every batch, mode and type of products of calls with such heads and one decay
    /// per value head.
    [[nodiscard]] static DeltaSizes largest_sizes(index_t d_k, index_t d_v, index_t heads_per_group,
                                                  index_t workers) noexcept {
        constexpr GateKind gate = GateKind::per_head;
        return {.worker_bytes = worker_bytes(gate, d_k, d_v, heads_per_group, ScanMode::automatic,
                                             std::numeric_limits<index_t>::max()),
                .record_bytes = record_bytes(gate, d_k, heads_per_group),
                .window_tokens = workers > 1 ? 1 : 0};
    }

  protected:
    explicit DeltaCall(const DeltaRuleArgs<T>& args) noexcept
        : args_(args),
          gate_(args.decay_log.per_channel() ? GateKind::per_channel : GateKind::per_head),
          n_heads_k_(args.k.size(1)),
          d_k_(args.k.size(2)),
          d_v_(args.v.size(2)),
          heads_per_group_(args.v.size(1) / args.k.size(1)),
          units_per_head_((args.v.size(2) + unit_cols - 1) / unit_cols),
          scale_(static_cast<T>(args.scale != 0.0 ? args.scale
                                                  : 1.0 / std::sqrt(static_cast<double>(d_k_)))) {}

    /// By the sequence's own length only: what else is in the batch must not change its result.
    [[nodiscard]] bool takes_chunks(const SequenceSpan& sequence) const noexcept {
        if (is_padding(sequence)) return false;
        if (pending_step(sequence, args_.pending.capacity()).appends) return false;
        return sequence.n_tokens > 0 && (args_.mode == ScanMode::chunked ||
                                         (args_.mode == ScanMode::automatic &&
                                          sequence.n_tokens >= tuning::chunked_from_tokens));
    }

    /// f(an empty scratch) of the products that the call asks for, or of plain ones.
    template <class F>
    decltype(auto) choose_products(F&& f) const noexcept {
        if constexpr (std::is_same_v<T, float>) {
            const ScanCompute compute = scan_compute(args_.compute);
            if constexpr (has_bf16_products<Arch>) {
                if (compute == ScanCompute::bf16) return f(Bf16Scratch<Bf16Products<Arch>>{});
            } else {
                if (compute == ScanCompute::bf16_emulated)
                    return f(Bf16Scratch<EmulatedBf16Products>{});
            }
        }
        return f(PlainScratch{});
    }

    /// The value head `head` of a key head.
    [[nodiscard]] index_t value_head(index_t key_head, index_t head) const noexcept {
        return args_.head_map == HeadMap::grouped ? key_head * heads_per_group_ + head
                                                  : head * n_heads_k_ + key_head;
    }

    /// Parts of the columns of a key head: enough to keep every worker busy, counting a sequence by
    /// its share of the longest one.
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

    /// What the value heads of a chunk share: the products of its keys and queries.
    template <class ChunkScratch>
    void prepare_keys(index_t t, index_t n_tokens, index_t key_head,
                      const ChunkScratch& scratch) const noexcept {
        if (gate_ == GateKind::per_channel) return;  // nothing
        kernels::chunk_products<Arch>(args_.k.ptr(t, key_head), args_.k.stride(0),
                                      args_.q.ptr(t, key_head), args_.q.stride(0), n_tokens, d_k_,
                                      scratch);
    }
    /// And what the gates of value head h make of them.
    template <class ChunkScratch>
    void prepare_gates(index_t t, index_t n_tokens, index_t key_head, index_t h,
                       const ChunkScratch& scratch) const noexcept {
        if (gate_ == GateKind::per_channel) {
            const View<const T, 3>& decay_log = args_.decay_log.channels();
            return kernels::chunk_channels<Arch>(
                args_.k.ptr(t, key_head), args_.k.stride(0), args_.q.ptr(t, key_head),
                args_.q.stride(0), decay_log.ptr(t, h), decay_log.stride(0), args_.beta.ptr(t, h),
                args_.beta.stride(0), n_tokens, d_k_, scale_, scratch);
        }
        const View<const T, 2> decay_log = args_.decay_log.heads();
        kernels::chunk_gate<Arch>(decay_log.ptr(t, h), decay_log.stride(0), args_.beta.ptr(t, h),
                                  args_.beta.stride(0), n_tokens, d_k_, scale_, scratch);
    }

    /// Chunks of C tokens in a window.
    [[nodiscard]] static index_t window_chunks(const DeltaWindow<T>& window, index_t C) noexcept {
        return window.n_tokens / C;
    }
    /// The record of a chunk of the `ordinal`-th chunked sequence.
    template <class ChunkScratch>
    [[nodiscard]] kernels::ChunkRecord<ChunkScratch, T> record(const DeltaWindow<T>& window,
                                                               index_t ordinal, index_t chunk,
                                                               index_t key_head) const noexcept {
        using Record = kernels::ChunkRecord<ChunkScratch, T>;
        const index_t chunks = window_chunks(window, ChunkScratch::chunk);
        const index_t index = (ordinal * chunks + chunk) * n_heads_k_ + key_head;
        return Record(window.records + index * Record::elements(gate_, d_k_, heads_per_group_),
                      gate_, d_k_, heads_per_group_);
    }

    [[nodiscard]] static constexpr index_t panels_of_key_head(index_t d_v,
                                                              index_t heads_per_group) noexcept {
        return heads_per_group * ((d_v + panel_cols - 1) / panel_cols);
    }
    /// Key heads that a task may take along a sequence, as their states fit in its scratch.
    [[nodiscard]] static constexpr index_t key_heads_together(index_t d_k, index_t d_v,
                                                              index_t heads_per_group) noexcept {
        const index_t bytes = panels_of_key_head(d_v, heads_per_group) * d_k * panel_cols *
                              static_cast<index_t>(sizeof(T));
        return std::max<index_t>(1, tuning::task_state_bytes<Arch> / std::max<index_t>(1, bytes));
    }

    const DeltaRuleArgs<T>& args_;
    GateKind gate_;
    index_t n_heads_k_;
    index_t d_k_;
    index_t d_v_;
    index_t heads_per_group_;
    index_t units_per_head_;
    T scale_;

  private:
    /// For at most `n_heads_k` key heads.
    [[nodiscard]] static constexpr index_t worker_bytes(GateKind gate, index_t d_k, index_t d_v,
                                                        index_t heads_per_group, ScanMode mode,
                                                        index_t n_heads_k) noexcept {
        const index_t recurrent = std::max(kernels::RecurrentScratch<Arch, T>::bytes(gate, d_k),
                                           kernels::PendingScratch<Arch, T>::bytes(d_k));
        const index_t panels = std::min(n_heads_k, key_heads_together(d_k, d_v, heads_per_group)) *
                               panels_of_key_head(d_v, heads_per_group);
        if (mode == ScanMode::recurrent) return recurrent;
        index_t bytes = std::max(recurrent, PlainScratch::bytes(gate, d_k, panels));
        if constexpr (std::is_same_v<T, float>) {
            using Pairs = Bf16Scratch<EmulatedBf16Products>;
            bytes = std::max(bytes, Pairs::bytes(gate, d_k, panels));
        }
        return bytes;
    }

    /// Of the records that a worker adds to a window.
    [[nodiscard]] static constexpr index_t record_bytes(GateKind gate, index_t d_k,
                                                        index_t heads_per_group) noexcept {
        using Plain = kernels::ChunkRecord<PlainScratch, T>;
        index_t elements = Plain::elements(gate, d_k, heads_per_group);
        if constexpr (std::is_same_v<T, float>) {
            using Pairs = kernels::ChunkRecord<Bf16Scratch<EmulatedBf16Products>, T>;
            elements = std::max(elements, Pairs::elements(gate, d_k, heads_per_group));
        }
        return tuning::records_per_worker * elements * static_cast<index_t>(sizeof(T));
    }

    /// Windows pay where several workers share a key head and a window holds a few chunks of each
    /// sequence. A state in 16 bits is rounded when it is stored, so for it there is one window or
    /// none.
    void cut_into_windows(index_t workers, DeltaSizes& sizes) const noexcept {
        index_t n_chunked = 0;
        for (const SequenceSpan& sequence : args_.sequences) {
            if (!takes_chunks(sequence)) continue;
            ++n_chunked;
            sizes.longest = std::max(sizes.longest, sequence.n_tokens);
        }
        if (n_chunked == 0 || choose_parts(workers) < tuning::prepared_from_parts) return;
        const index_t chunks = workers * tuning::records_per_worker / (n_chunked * n_heads_k_);
        if (chunks < tuning::least_window_chunks) return;
        const index_t tokens =
            chunks * choose_products([]<class S>(S) noexcept { return S::chunk; });
        const bool exact = args_.state.visit(
            []<class S>(const View<S, 4>&) noexcept { return std::is_same_v<S, T>; });
        if (exact || tokens >= sizes.longest) sizes.window_tokens = tokens;
    }
};

}  // namespace deltanet::cpu
