// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The Gated DeltaNet layer (arXiv 2412.06464, figure 1): input projections, causal convolution, L2
/// norm, gates, gated delta rule, gated RMSNorm, output projection, for a batch of any mix of
/// sequences:
///   x [n_tokens, hidden]  ->  y [n_outputs, hidden]
/// This file is glue in mathematical order; the arithmetic is in ops/ and the backend behind them.
#pragma once

#include <deltanet/batch.hpp>
#include <deltanet/concepts.hpp>
#include <deltanet/detail/host_row.hpp>
#include <deltanet/detail/host_tensor.hpp>
#include <deltanet/detail/layer_buffers.hpp>
#include <deltanet/detail/step_rounds.hpp>
#include <deltanet/observer.hpp>
#include <deltanet/state_slots.hpp>
#include <deltanet/weights.hpp>
#include <deltanet/workspace.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace deltanet {

class EigenLinear;

namespace detail {
struct LayerAccess;
}

struct ForwardOptions {
    index_t layer = 0;               ///< which layer of the state slots
    Workspace* workspace = nullptr;  ///< scratch to share between layers; left out: the layer's own
};

/// One layer of one model. Cheap to move; owns no weights. A layer may be used by one thread at a
/// time.
template <Backend B, LinearOperator L = EigenLinear>
class DeltaNetLayer {
  public:
    /// Throws `Error` when the configuration or a weight's shape is wrong.
    DeltaNetLayer(const LayerConfig& config, LayerWeights<L> weights, B backend = {})
        : config_(config),
          weights_(std::move(weights)),
          backend_(std::move(backend)),
          own_workspace_(backend_.memory()) {
        config_.validate();
        weights_.validate(config_);
    }

    [[nodiscard]] const LayerConfig& config() const noexcept { return config_; }
    [[nodiscard]] B& backend() noexcept { return backend_; }
    /// The space that x, y, weights, slots and workspace are in.
    [[nodiscard]] MemorySpace& memory() const noexcept { return own_workspace_.space(); }
    /// What the chunked delta rule computes in: `config().scan_compute`, or f32 where the backend
    /// cannot do that.
    [[nodiscard]] ScanCompute scan_compute() const {
        return backend_.scan_compute(config_.scan_compute);
    }

    /// Bytes of workspace that any forward of up to `max_tokens` tokens and as many sequences
    /// needs.
    [[nodiscard]] index_t workspace_bytes(index_t max_tokens) {
        detail::check_at_least("DeltaNetLayer::workspace_bytes", "max_tokens", max_tokens, 0);
        detail::Carver counter, list_counter;
        static_cast<void>(
            carve(counter, lists_of(counter, list_counter), max_tokens, max_tokens, max_tokens));
        return counter.used_bytes();
    }

    /// Advances every sequence of the batch by its tokens.
    ///   x [n_tokens, hidden]   y [n_outputs, hidden]   both with innermost stride 1, not
    ///   overlapping
    /// x and y are in the backend's memory. Row j of y belongs to row j of x, or to the j-th
    /// selected row. States advance over all tokens. Linear in tokens. Allocates nothing once the
    /// workspace has grown to the batch's size. `observer` sees the intermediates (observer.hpp).
    /// Throws `Error` naming the argument; then nothing was written.
    template <Observer O = NullObserver>
    void forward(const Batch& batch, View<const float, 2> x, View<float, 2> y, StateSlots& slots,
                 const ForwardOptions& options = {}, O&& observer = {}) {
        check_forward(batch, x, y, slots, options);
        const Buffers buffers = buffers_for(batch, options);
        const detail::StepRounds rounds(batch, slots, options.layer, config_.deterministic);

        project(normed_input(batch, x, buffers), buffers);
        observe_projections(observer, buffers);
        // One pass, or two for an observer who wants to see what lies between.
        const bool apart = detail::wants(observer, Stage::conv_output_silu);
        for (index_t round = 0; round < rounds.n_rounds(); ++round) {
            convolve(slots.conv(options.layer), rounds.pieces(round, buffers.sequences), buffers,
                     !apart);
            rounds.copy_conv(round);
        }
        observe(observer, Stage::conv_output_silu, buffers.conv);
        if (apart) normalise(buffers);
        observe(observer, Stage::q_conv_normed, query(buffers));
        observe(observer, Stage::k_conv_normed, key(buffers));
        observe(observer, Stage::beta, buffers.beta);
        observe(observer, Stage::gate, buffers.decay_log);
        observe_states(observer, Stage::state_predelta, batch, slots, options.layer);
        for (index_t round = 0; round < rounds.n_rounds(); ++round) {
            scan(slots.recurrent_state(options.layer), slots.pending_updates(options.layer),
                 rounds.pieces(round, buffers.sequences), buffers);
            rounds.copy_state(round);
        }
        rounds.advance();
        observe(observer, Stage::attn_output, buffers.attention);
        observe_states(observer, Stage::new_state, batch, slots, options.layer);
        finish(batch, x, y, buffers, observer);
    }

    /// Throws what a forward with these arguments would throw about them, and does nothing else.
    void check_forward(const Batch& batch, View<const float, 2> x, View<float, 2> y,
                       const StateSlots& slots, const ForwardOptions& options = {}) const {
        const char* const where = "DeltaNetLayer::forward";
        detail::check_tensor(where, "x", x, {batch.n_tokens(), config_.hidden});
        detail::check_tensor(where, "y", y, {batch.n_outputs(), config_.hidden});
        detail::check_disjoint(where, "y", y, "x", x);
        slots.check_matches(where, config_);
        slots.check_layer(where, options.layer);
        check_memory(where, "slots", slots.memory());
        if (options.workspace != nullptr)
            check_memory(where, "options.workspace", options.workspace->space());
        detail::check_sequences(where, batch.sequences(), batch.n_tokens(), slots.n_slots());
        detail::check_snapshots(where, batch, slots);
        detail::check_trees(where, batch, slots, options.layer);
    }

  private:
    friend struct detail::LayerAccess;
    using Buffers = detail::LayerBuffers;

    void check_memory(const char* where, const char* argument, const MemorySpace& found) const {
        if (found.name() == memory().name()) return;
        detail::fail(where, argument,
                     detail::concat("memory of the layer's backend, ", memory().name()),
                     found.name());
    }

    /// Memory for a call.
    Buffers buffers_for(const Batch& batch, const ForwardOptions& options) {
        Workspace& workspace = options.workspace != nullptr ? *options.workspace : own_workspace_;
        const index_t n = batch.n_tokens(), n_outputs = batch.n_outputs();
        const index_t n_sequences = batch.n_sequences();
        detail::Carver counter, list_counter;
        static_cast<void>(
            carve(counter, lists_of(counter, list_counter), n, n_outputs, n_sequences));
        detail::Carver carver(workspace.acquire(counter.used_bytes()));
        detail::Carver list_carver(own_lists_.acquire(list_counter.used_bytes()));
        return carve(carver, lists_of(carver, list_carver), n, n_outputs, n_sequences);
    }

    /// Where lists stand: in the workspace too, if that is host memory.
    static detail::Carver& lists_of(detail::Carver& workspace, detail::Carver& lists) noexcept {
        return HostBackend<B> ? workspace : lists;
    }

    /// The one place that says what a call needs.
    Buffers carve(detail::Carver& carver, detail::Carver& lists, index_t n_tokens,
                  index_t n_outputs, index_t n_sequences) {
        const LayerConfig& c = config_;
        const index_t concurrency = backend_.executor().concurrency();
        const index_t least = c.deterministic ? 2 : 0;  // see apply
        index_t scratch =
            backend_.template delta_rule_scratch_bytes<float>(c.d_k, c.d_v, c.heads_per_group());
        for (const L& w : weights_.in_proj)
            scratch =
                std::max(scratch, index_t{w.scratch_bytes(std::max(n_tokens, least), concurrency)});
        scratch = std::max(scratch, index_t{weights_.out_proj.scratch_bytes(
                                        std::max(n_outputs, least), concurrency)});
        return Buffers(c, weights_.layout.width, n_tokens, n_outputs, n_sequences, scratch, carver,
                       lists);
    }

    /// x in token order, normed if the layer does that; x itself when there is nothing to do.
    View<const float, 2> normed_input(const Batch& batch, View<const float, 2> x,
                                      const Buffers& buffers) {
        View<const float, 2> input = x;
        if (!batch.token_rows().empty()) {
            gather_rows(backend_, RowsArgs<float>{x, buffers.input, batch.token_rows()});
            input = buffers.input;
        }
        if (config_.pre_norm == PreNorm::none) return input;
        rmsnorm(backend_, RmsNormArgs<float>{
                              .input = input,
                              .weight = weights_.pre_norm,
                              .output = buffers.input,
                              .eps = config_.pre_norm_eps,
                              .weight_offset = config_.pre_norm == PreNorm::one_plus ? 1.0 : 0.0});
        return buffers.input;
    }

    void project(View<const float, 2> input, const Buffers& buffers) {
        index_t column = 0;
        for (const L& w : weights_.in_proj) {
            apply(w, input, buffers.projected.slice(1, column, w.out_features()), buffers);
            column += w.out_features();
        }
    }

    /// One row alone is a matrix-vector product, which sums in another order than a matrix product:
    /// a deterministic layer makes it two.
    void apply(const L& w, View<const float, 2> x, View<float, 2> y, const Buffers& buffers) {
        if (y.empty()) return;
        if (!config_.deterministic || x.size(0) > 1)
            return w(x, y, buffers.scratch, backend_.executor());
        const View<float, 2> two_x = buffers.two_inputs.slice(1, 0, x.size(1));
        const View<float, 2> two_y = buffers.two_outputs.slice(1, 0, y.size(1));
        static constexpr index_t twice[] = {0, 0};
        gather_rows(backend_, RowsArgs<float>{x, two_x, twice});
        w(two_x, two_y, buffers.scratch, backend_.executor());
        gather_rows(backend_, RowsArgs<float>{two_y.slice(0, 0, 1), y});
    }

    void convolve(View<float, 3> state, std::span<const SequenceSpan> sequences,
                  const Buffers& buffers, bool with_norm) {
        const LayerConfig& c = config_;
        const ProjectionLayout& layout = weights_.layout;
        const index_t r = c.heads_per_group();
        ConvGatesArgs<float> args{.q = segment(buffers, layout.q, c.d_k),
                                  .k = segment(buffers, layout.k, c.d_k),
                                  .v = segment(buffers, layout.v, r * c.d_v),
                                  .weight = weights_.conv,
                                  .bias = weights_.conv_bias,
                                  .state = state,
                                  .output = buffers.conv,
                                  .sequences = sequences,
                                  .gates = {.a = segment(buffers, layout.a, r),
                                            .b = segment(buffers, layout.b, r),
                                            .A_log = weights_.A_log,
                                            .dt_bias = weights_.dt_bias,
                                            .decay_log = buffers.decay_log,
                                            .beta = buffers.beta,
                                            .beta_doubled = c.beta_doubled},
                                  .rollback = state.size(1) - c.conv_taps()};
        if (with_norm) args.norm = HeadNorm{c.d_k, c.l2_form, c.l2_eps};
        conv_gates(backend_, args);
    }

    void normalise(const Buffers& buffers) {
        for (const View<float, 3> heads : {query(buffers), key(buffers)}) {
            l2norm(backend_, L2NormArgs<float>{heads, heads, config_.l2_form, config_.l2_eps});
        }
    }

    void scan(const StateView<float>& state, const PendingUpdates<float>& pending,
              std::span<const SequenceSpan> sequences, const Buffers& buffers) {
        delta_rule(backend_, rule(state, pending, sequences, buffers), buffers.scratch);
    }

    DeltaRuleArgs<float> rule(const StateView<float>& state, const PendingUpdates<float>& pending,
                              std::span<const SequenceSpan> sequences,
                              const Buffers& buffers) const {
        return DeltaRuleArgs<float>{
            .q = query(buffers),
            .k = key(buffers),
            .v = detail::heads(buffers.conv, 2 * config_.key_dim(), config_.n_heads_v, config_.d_v),
            .decay_log = buffers.decay_log,
            .beta = buffers.beta,
            .state = state,
            .output = buffers.attention,
            .sequences = sequences,
            .head_map = config_.head_map,
            .scale = config_.query_scale(),
            .mode = config_.scan,
            .compute = config_.scan_compute,
            .pending = pending};
    }

    /// From the output of the delta rule to y.
    template <class O>
    void finish(const Batch& batch, View<const float, 2> x, View<float, 2> y,
                const Buffers& buffers, O& observer) {
        norm_output(batch, buffers);
        observe(observer, Stage::attn_out_norm, buffers.normed);
        apply(weights_.out_proj, flat(buffers.normed), y, buffers);
        observe(observer, Stage::linear_attn_out, y);
        if (config_.residual) add_rows(backend_, RowsArgs<float>{x, y, batch.output_rows()});
        detail::clear_padding(backend_, batch, y);
    }

    void norm_output(const Batch& batch, const Buffers& buffers) {
        deltanet::gated_rmsnorm(backend_, GatedRmsNormArgs<float>{.input = buffers.attention,
                                                                  .z = gate_heads(buffers),
                                                                  .weight = weights_.norm,
                                                                  .output = buffers.normed,
                                                                  .rows = batch.output_tokens(),
                                                                  .gate = config_.gate,
                                                                  .eps = config_.norm_eps});
    }

    // ---- views into the buffers

    /// [n_tokens, H_k, per_group] of the projections.
    View<float, 3> segment(const Buffers& buffers, const ProjectionSegment& s,
                           index_t per_group) const {
        const View<float, 2> p = buffers.projected;
        return {p.data() + s.offset,
                {p.size(0), config_.n_heads_k, per_group},
                {p.stride(0), s.group_stride, 1}};
    }

    /// z as [n_tokens, H_k, r, d_v] of the projections; empty without a gate.
    View<float, 4> gate_heads(const Buffers& buffers) const {
        if (!config_.has_gate()) return {};
        const View<float, 2> p = buffers.projected;
        const ProjectionSegment& s = weights_.layout.z;
        return {p.data() + s.offset,
                {p.size(0), config_.n_heads_k, config_.heads_per_group(), config_.d_v},
                {p.stride(0), s.group_stride, config_.d_v, 1}};
    }

    View<float, 3> query(const Buffers& b) const {
        return detail::heads(b.conv, 0, config_.n_heads_k, config_.d_k);
    }
    View<float, 3> key(const Buffers& b) const {
        return detail::heads(b.conv, config_.key_dim(), config_.n_heads_k, config_.d_k);
    }
    View<const float, 2> flat(View<float, 3> rows) const {
        return {rows.data(), {rows.size(0), config_.value_dim()}};
    }

    // ---- observation; nothing of it is compiled in with the null observer

    template <class O>
    static constexpr bool kObserved = !std::is_same_v<std::remove_cvref_t<O>, NullObserver>;

    template <class O, class T, int Rank>
    void observe(O& observer, Stage stage, View<T, Rank> tensor, std::string_view part = {}) const {
        if (!detail::wants(observer, stage)) return;
        if constexpr (kObserved<O> && HostBackend<B>) {
            observer(Observation{stage, part, -1, detail::as_rank4(tensor)});
        } else if constexpr (kObserved<O>) {
            const detail::HostTensor copy(memory(), detail::as_rank4(tensor));
            observer(Observation{stage, part, -1, copy.view()});
        }
    }

    template <class O>
    void observe_projections(O& observer, const Buffers& buffers) const {
        if constexpr (kObserved<O>) {
            const ProjectionLayout& layout = weights_.layout;
            observe(observer, Stage::qkv_mixed, segment(buffers, layout.q, config_.d_k), "q");
            observe(observer, Stage::qkv_mixed, segment(buffers, layout.k, config_.d_k), "k");
            observe(observer, Stage::qkv_mixed,
                    segment(buffers, layout.v, config_.heads_per_group() * config_.d_v), "v");
            if (config_.has_gate()) observe(observer, Stage::z, gate_heads(buffers));
        }
    }

    /// Shows float copies of the states, whatever they are stored as and whatever is pending.
    template <class O>
    void observe_states(O& observer, Stage stage, const Batch& batch, const StateSlots& slots,
                        index_t layer) const {
        if (!detail::wants(observer, stage)) return;
        if constexpr (kObserved<O>) {
            const Shape<3> shape{slots.n_heads_v(), slots.d_k(), slots.d_v()};
            std::vector<float> copy(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]));
            const View<float, 3> state(copy.data(), shape);
            for (const SequenceSpan& sequence : batch.sequences()) {
                if (is_padding(sequence)) continue;
                const bool zero = stage == Stage::state_predelta && sequence.start == Start::fresh;
                const index_t pending = zero ? 0 : slots.progress(sequence.slot, layer).pending;
                const auto row = detail::HostRow::of(slots, layer, sequence.slot);
                detail::for_each_logical_element(
                    row.rows().recurrent(), row.rows().pending(), config_.head_map, 0, pending,
                    [&](index_t h, index_t i, index_t j, double s) {
                        state(h, i, j) = zero ? 0.0F : static_cast<float>(s);
                    });
                observer(Observation{
                    stage, {}, sequence.slot, detail::as_rank4(View<const float, 3>(state))});
            }
        }
    }

    LayerConfig config_;
    LayerWeights<L> weights_;
    B backend_;
    Workspace own_workspace_;
    Workspace own_lists_;  ///< in host memory; empty where the backend is in that itself
};

}  // namespace deltanet
