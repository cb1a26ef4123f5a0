// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Sequence parallelism: one long prompt, of which every rank reads a contiguous piece. Projections
/// and norms know nothing of each other's tokens; the convolution needs the last W - 1 inputs of
/// the piece before; and the delta rule is affine in its state, so a piece maps the state before it
/// to S' = M S + L, and query q_t, scaled, reads from it o_t + S^T m_t, with
///   L, o    of a scan from zeros,
///   M, m    of a scan with v = 0 from the identity (its outputs are m).
/// The ranks exchange (M, L), each works out its incoming S, and adds S^T m_t to its outputs.
///
/// Cost per token and value head, in flops: 6 d_k d_v for the one scan, 6 d_k^2 for the other, and
/// 2 d_k d_v for the reads; a second scan from the true state would be 6 d_k d_v for the reads. The
/// first piece knows its state and has one scan only. So with d_k = d_v the delta rule does 14 / 6
/// of its work, while the projections, most of a prefill, are shared out evenly. Where a head's
/// decay in the piece falls below e^-60, the state before counts as gone: the second scan ends when
/// all heads are there, and reads end with each.
#pragma once

#include <deltanet/detail/layer_access.hpp>
#include <deltanet/detail/rank_step.hpp>
#include <deltanet/detail/sequence_carry.hpp>
#include <deltanet/state_exchange.hpp>

#include <algorithm>
#include <optional>
#include <span>

namespace deltanet {

/// Some of a sequence's tokens.
struct SequencePiece {
    index_t first_token, n_tokens;
};

/// The piece of rank `rank` of `world`: in the order of the ranks, as even as multiples of 64
/// tokens go. Pieces of any other sizes work too, also of no tokens at all.
[[nodiscard]] inline SequencePiece sequence_piece(index_t n_tokens, index_t rank, index_t world) {
    detail::check_at_least("sequence_piece", "n_tokens", n_tokens, 0);
    detail::check_at_least("sequence_piece", "world", world, 1);
    detail::check_range("sequence_piece", "rank", rank, world);
    const index_t grid = (n_tokens + kGridTokens - 1) / kGridTokens;
    const auto begin = [&](index_t r) {
        return std::min(n_tokens, grid * r / world * kGridTokens);
    };
    return {begin(rank), begin(rank + 1) - begin(rank)};
}

struct SequenceParallelOptions {
    /// The ranks are threads that hand in one and the same `StateSlots`: the first one alone writes
    /// the slot.
    bool shared_slots = false;
};

/// Holds references to the layer, which has all heads, and to the communicator. Also for threads of
/// one process (local_ranks.hpp), each with a layer of its own over the same weights.
template <Backend B, LinearOperator L, Communicator C>
class SequenceParallel {
    static_assert(HostBackend<B>, "ranks exchange what is in host memory");

  public:
    SequenceParallel(DeltaNetLayer<B, L>& layer, C& communicator,
                     const SequenceParallelOptions& options = {})
        : layer_(&layer),
          communicator_(&communicator),
          options_(options),
          step_(communicator, kName) {}

    /// `DeltaNetLayer::forward` for one sequence, of which the batch and x of each rank are its own
    /// piece, the ranks' pieces one after another; a piece may be empty. y is this piece's. The
    /// state before is that of rank 0's slot. Afterwards the slot of every rank is behind the whole
    /// sequence, with nothing pending, and any of them can go on alone. Outputs and states are
    /// those of one forward up to rounding.
    ///
    /// Memory: n_tokens H_v d_k floats, and those of world + 1 recurrent and M matrices. Exchanged
    /// are (W - 1) conv_dim and H_v d_k (d_k + d_v) floats a rank. Allocates nothing once it has
    /// seen the longest piece.
    ///
    /// Throws on every rank if one of them is called with a wrong argument, if they disagree about
    /// the layer, or if a rank fails on its way; then no slot was written.
    void forward(const Batch& batch, View<const float, 2> x, View<float, 2> y, StateSlots& slots,
                 const ForwardOptions& options = {}) {
        const index_t n = batch.n_tokens();
        const SequenceSpan piece{0, n, 0, Start::resume};
        detail::Carver carver;
        step_.begin();
        step_.attempt([&] {
            check(batch, x, y, slots, options);
            report(batch, slots, options);
            static_cast<void>(carve(carver, n));
            carver = detail::Carver(workspace_.acquire(carver.used_bytes()));
        });
        step_.settle();
        const detail::SequenceBuffers b = carve(carver, n);
        std::optional<detail::LayerBuffers> buffers;

        step_.attempt([&] {
            buffers = detail::LayerAccess::project(*layer_, batch, x, options);
            last_inputs(batch, slots, options, *buffers, b);
        });
        gather(b.tail, b.tails);
        step_.attempt([&] {
            inputs_before_rank(communicator_->rank(), b, b.conv[0]);
            if (n > 0) detail::LayerAccess::convolve(*layer_, b.conv, piece, *buffers);
            scan(batch, slots, options, *buffers, b);
        });
        gather(b.record, b.records);
        step_.attempt([&] {
            auto& executor = layer_->backend().executor();
            index_t passed = 0;
            for (; passed < communicator_->rank(); ++passed)
                detail::pass_piece(passed, b, executor);
            if (passed > 0) detail::add_reads(b, buffers->attention, executor);
            detail::LayerAccess::finish(*layer_, batch, x, y, *buffers);
            if (!writes_slot()) return;
            for (; passed < communicator_->world(); ++passed)
                detail::pass_piece(passed, b, executor);
            inputs_before_rank(communicator_->world(), b, b.conv[0]);
        });
        step_.settle();
        if (writes_slot()) write(batch, slots, options, b);
        if (options_.shared_slots) step_.settle();  // nobody returns before it is written
    }

  private:
    static constexpr const char* kName = "SequenceParallel::forward";

    [[nodiscard]] bool is_first() const { return communicator_->rank() == 0; }
    [[nodiscard]] bool writes_slot() const { return !options_.shared_slots || is_first(); }

    [[nodiscard]] detail::SequenceBuffers carve(detail::Carver& carver, index_t n_tokens) {
        const LayerConfig& c = layer_->config();
        B& backend = layer_->backend();
        return {c,
                n_tokens,
                communicator_->world(),
                backend.executor().concurrency(),
                backend.template delta_rule_scratch_bytes<float>(c.d_k, c.d_k, c.heads_per_group()),
                carver};
    }

    void check(const Batch& batch, View<const float, 2> x, View<float, 2> y,
               const StateSlots& slots, const ForwardOptions& options) const {
        layer_->check_forward(batch, x, y, slots, options);
        if (batch.n_sequences() != 1) {
            detail::fail(kName, "batch", "one sequence",
                         detail::concat(batch.n_sequences(), " sequences"));
        }
        const SequenceSpan& s = batch.sequences()[0];
        if (is_padding(s) || !s.parents.empty() || !batch.snapshots(0).empty()) {
            detail::fail(kName, "batch", "a sequence without tree and snapshots, and no padding",
                         is_padding(s)        ? "padding"
                         : !s.parents.empty() ? "a tree"
                                              : "snapshots");
        }
        if (layer_->config().deterministic) {
            detail::fail(kName, "layer", "one without LayerConfig::deterministic",
                         "a deterministic one: where the pieces are cut changes bits");
        }
    }

    void report(const Batch& batch, const StateSlots& slots, const ForwardOptions& options) {
        const LayerConfig& c = layer_->config();
        const SequenceSpan& s = batch.sequences()[0];
        detail::compare_config(step_, c);
        step_.same("n_heads_k", c.n_heads_k);
        step_.same("residual", c.residual ? 1 : 0);
        step_.same("layer", options.layer);
        step_.same("start", static_cast<std::int64_t>(s.start));
        step_.same("shared_slots", options_.shared_slots ? 1 : 0);
        step_.own(0, batch.n_tokens());
        step_.own(1, s.start == Start::fresh ? 0 : slots.progress(s.slot, options.layer).position);
    }

    /// Before it, whether all ranks got here.
    template <int Rank>
    void gather(View<float, Rank> mine, View<float, Rank + 1> all) {
        step_.settle();
        const auto n = static_cast<std::size_t>(mine.count());
        communicator_->all_gather(std::as_bytes(std::span<const float>(mine.data(), n)),
                                  std::as_writable_bytes(std::span<float>(
                                      all.data(), static_cast<std::size_t>(all.count()))));
    }

    /// The tail of this piece: what it leaves as the state of a convolution, that of its last
    /// tokens alone.
    void last_inputs(const Batch& batch, const StateSlots& slots, const ForwardOptions& options,
                     const detail::LayerBuffers& buffers, const detail::SequenceBuffers& b) {
        const SequenceSpan& s = batch.sequences()[0];
        std::fill_n(b.conv.data(), b.conv.count(), 0.0F);
        if (is_first() && s.start == Start::resume)
            export_conv(slots, s.slot, options.layer, by_channel(b.conv[0]));
        std::copy_n(b.conv.data(), b.conv.count(), b.tail.data());
        const index_t last = std::min(batch.n_tokens(), b.conv.size(1));
        const View<float, 3> state(b.tail.data(), b.conv.shape());
        if (last > 0) {
            detail::LayerAccess::convolve(
                *layer_, state, {batch.n_tokens() - last, last, 0, Start::resume}, buffers);
        }
    }

    void inputs_before_rank(index_t rank, const detail::SequenceBuffers& b, View<float, 2> out) {
        detail::inputs_before(
            rank, b.tails, [this](index_t r) { return step_.own_of(r, 0); }, out);
    }

    /// Outputs and the record (M, L) of this piece; the first piece begins with the true state and
    /// needs no M.
    void scan(const Batch& batch, const StateSlots& slots, const ForwardOptions& options,
              const detail::LayerBuffers& buffers, const detail::SequenceBuffers& b) {
        const SequenceSpan& s = batch.sequences()[0];
        SequenceSpan piece{0, batch.n_tokens(), 0, Start::resume};
        std::fill_n(b.state.data(), b.state.count(), 0.0F);
        std::fill_n(b.record.data(), b.record.count(), 0.0F);
        if (is_first() && s.start == Start::resume)
            export_recurrent(slots, s.slot, options.layer, b.state[0], StateOrder::k_first);
        DeltaRuleArgs<float> rule = detail::LayerAccess::rule(*layer_, b.state, piece, buffers);
        if (batch.n_tokens() > 0) delta_rule(layer_->backend(), rule, buffers.scratch);
        const View<float, 3> local = b.local(b.record);
        for (index_t h = 0; h < local.size(0); ++h) {
            for (index_t j = 0; j < local.size(1); ++j) {
                for (index_t i = 0; i < local.size(2); ++i) local(h, j, i) = b.state(0, h, i, j);
            }
        }
        if (is_first()) return;
        const View<float, 4> M = b.transition();
        for (index_t h = 0; h < M.size(1); ++h) {
            for (index_t i = 0; i < M.size(2); ++i) M(0, h, i, i) = 1.0F;
        }
        std::fill_n(b.zeros.data(), b.zeros.count(), 0.0F);
        piece.n_tokens = detail::find_reach(b, buffers.decay_log);
        rule.v = {b.zeros.data(), b.reads.shape(), {0, 0, 1}};
        rule.decay_log = b.decay_log;
        rule.state = M;
        rule.output = b.reads;
        if (piece.n_tokens > 0) delta_rule(layer_->backend(), rule, b.rule);
    }

    /// The state behind the whole sequence.
    void write(const Batch& batch, StateSlots& slots, const ForwardOptions& options,
               const detail::SequenceBuffers& b) {
        const index_t slot = batch.sequences()[0].slot;
        index_t position = step_.own_of(0, 1);
        for (index_t r = 0; r < communicator_->world(); ++r) position += step_.own_of(r, 0);
        detail::SlotAccess::progress(slots).set_layer(options.layer, slot, {position, 0, 0});
        import_conv(slots, slot, options.layer, by_channel(b.conv[0]));
        import_recurrent(slots, slot, options.layer, b.incoming, StateOrder::v_first);
    }

    /// Rows of inputs as state_exchange.hpp takes them.
    [[nodiscard]] static View<float, 2> by_channel(View<float, 2> rows) noexcept {
        return {rows.data(), {rows.size(1), rows.size(0)}, {1, rows.stride(0)}};
    }

    DeltaNetLayer<B, L>* layer_;
    C* communicator_;
    SequenceParallelOptions options_;
    detail::RankStep<C> step_;
    Workspace workspace_;
};

}  // namespace deltanet
