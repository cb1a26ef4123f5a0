// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tensor parallelism: every rank runs its share of a layer's heads (shard.hpp) over the same
/// tokens, and the outputs are added over the ranks:
///   y = sum over ranks of forward_rank(x)
/// Called like the layer itself.
#pragma once

#include <deltanet/detail/layer_access.hpp>
#include <deltanet/detail/rank_step.hpp>
#include <deltanet/detail/rows.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

namespace deltanet {

struct TensorParallelOptions {
    /// Outputs of more rows than this are added in bfloat16: half the bytes on the wire, and 2^-9
    /// of the size of a partial output as error (the residual stays out of it). ik_llama.cpp takes
    /// 32. Left out: always float32. The communicator must be a `Bf16Communicator`.
    std::optional<index_t> bf16_above_rows{};
};

/// Holds references to the layer of this rank's share and to the communicator.
template <Backend B, LinearOperator L, Communicator C>
class TensorParallel {
    static_assert(HostBackend<B>, "ranks exchange what is in host memory");

  public:
    TensorParallel(DeltaNetLayer<B, L>& layer, C& communicator,
                   const TensorParallelOptions& options = {})
        : layer_(&layer),
          communicator_(&communicator),
          options_(options),
          step_(communicator, kName) {
        if (!options.bf16_above_rows) return;
        detail::check_at_least("TensorParallel", "bf16_above_rows", *options.bf16_above_rows, 0);
        if constexpr (!Bf16Communicator<C>) {
            detail::fail("TensorParallel", "bf16_above_rows", "a communicator that adds bfloat16",
                         "one that does not");
        }
    }

    /// `DeltaNetLayer::forward` of all ranks at the same time, each with its own layer and slots of
    /// its own heads, and the same batch and x; y is the same on every rank, with the residual if
    /// one rank's layer has it. One all_gather of some hundred bytes and one all_reduce of y.
    /// Allocates nothing once it has seen the largest y.
    ///
    /// Throws on every rank if one of them is called with a wrong argument, or if they disagree
    /// about the layer, the batch, or where the sequences are in their slots; then nothing was
    /// written. If a forward throws on its way, out of memory or out of a linear operator, all
    /// ranks throw too, but the others' slots have gone on.
    void forward(const Batch& batch, View<const float, 2> x, View<float, 2> y, StateSlots& slots,
                 const ForwardOptions& options = {}) {
        step_.begin();
        step_.attempt([&] {
            layer_->check_forward(batch, x, y, slots, options);
            compare(batch, slots, options);
            const auto n = static_cast<std::size_t>(y.count() + 1);
            in_bf16(y) ? sum_bf16_.resize(n) : sum_.resize(n);
        });
        step_.settle();
        const bool residual = residual_of_one_rank();
        step_.attempt([&] { layer_->forward(batch, x, y, slots, options); });
        if (!in_bf16(y)) return add_over_ranks(sum_, y);
        // In bfloat16 the residual would lose what the layers before have computed.
        if (layer_->config().residual) add_residual(-1.0F, batch, x, y);
        add_over_ranks(sum_bf16_, y);
        if (residual) add_residual(1.0F, batch, x, y);
        detail::clear_padding(layer_->backend(), batch, y);
    }

  private:
    static constexpr const char* kName = "TensorParallel::forward";

    void compare(const Batch& batch, const StateSlots& slots, const ForwardOptions& options) {
        detail::compare_config(step_, layer_->config());
        step_.same("n_tokens", batch.n_tokens());
        step_.same("n_outputs", batch.n_outputs());
        step_.same("n_sequences", batch.n_sequences());
        step_.same("layer", options.layer);
        step_.same("bf16_above_rows", options_.bf16_above_rows.value_or(-1));
        detail::Digest sequences, progress, rows;
        for (index_t i = 0; i < batch.n_sequences(); ++i) {
            const SequenceSpan& s = batch.sequences()[static_cast<std::size_t>(i)];
            sequences.add(s.slot).add(s.n_tokens).add(s.start);
            for (const index_t parent : s.parents) sequences.add(parent);
            for (const Snapshot& snapshot : batch.snapshots(i))
                sequences.add(snapshot.n_tokens).add(snapshot.slot);
            if (is_padding(s) || s.start == Start::fresh) continue;
            const detail::SlotProgress& p = slots.progress(s.slot, options.layer);
            progress.add(p.position).add(p.pending).add(p.tree);
        }
        for (const index_t row : batch.token_rows()) rows.add(row);
        const auto outputs = batch.output_tokens();
        if (outputs) {
            for (const index_t token : *outputs) rows.add(token);
        }
        step_.same("digest of the sequences", sequences.value());
        step_.same("digest of the rows", rows.value());
        step_.same("digest of the positions of slots", progress.value());
        step_.own(0, layer_->config().residual ? 1 : 0);
    }

    [[nodiscard]] bool residual_of_one_rank() const {
        index_t n = 0;
        for (index_t r = 0; r < communicator_->world(); ++r) n += step_.own_of(r, 0);
        if (n > 1)
            detail::fail(kName, "residual", "one rank that adds it", detail::concat(n, " ranks"));
        return n == 1;
    }

    [[nodiscard]] bool in_bf16(View<float, 2> y) const noexcept {
        return options_.bf16_above_rows && y.size(0) > *options_.bf16_above_rows;
    }

    void add_residual(float sign, const Batch& batch, View<const float, 2> x,
                      View<float, 2> y) const noexcept {
        detail::for_each_row(RowsArgs<float>{x, y, batch.output_rows()},
                             [sign](const float* from, float* to, index_t n) {
                                 for (index_t i = 0; i < n; ++i) to[i] += sign * from[i];
                             });
    }

    /// Behind the outputs goes one more element, which is not 0 if a rank failed.
    template <class T>
    void add_over_ranks(std::vector<T>& memory, View<float, 2> y) {
        const std::span<T> sum(memory.data(), static_cast<std::size_t>(y.count() + 1));
        const View<T, 2> rows(memory.data(), y.shape());
        for (index_t j = 0; j < y.size(0); ++j)
            std::transform(y.ptr(j), y.ptr(j) + y.size(1), rows.ptr(j), from_float<T>);
        sum.back() = from_float<T>(step_.failed() ? 1.0F : 0.0F);
        if constexpr (requires(C & c) { c.all_reduce(sum); }) communicator_->all_reduce(sum);
        if (to_float(sum.back()) != 0.0F) step_.settle();
        for (index_t j = 0; j < y.size(0); ++j) {
            std::transform(rows.ptr(j), rows.ptr(j) + y.size(1), y.ptr(j),
                           [](T element) { return to_float(element); });
        }
    }

    DeltaNetLayer<B, L>* layer_;
    C* communicator_;
    TensorParallelOptions options_;
    detail::RankStep<C> step_;
    std::vector<float> sum_;
    std::vector<bf16> sum_bf16_;
};

}  // namespace deltanet
