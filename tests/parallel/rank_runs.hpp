// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What one rank does in a test, whatever its communicator, and how far it is from a single
/// process, which every rank computes for itself. Nothing is asserted here: ranks may be threads.
#pragma once

#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/parallel/sequence_parallel.hpp>
#include <deltanet/parallel/shard.hpp>
#include <deltanet/parallel/tensor_parallel.hpp>

#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace deltanet::test {

/// A number of a rank comes out of the same sums in another order: a few roundings of 2^-24 more,
/// each of them about 1e-7 of the size of what is summed.
inline constexpr double kRounding = 1e-6;

template <class B = LayerBackend<>>
using WholeLayer = DeltaNetLayer<B, EigenLinear>;
template <class B = LayerBackend<>>
using LayerOfRank = DeltaNetLayer<B, ShardedLinear<EigenLinear>>;

/// A layer with states that live long, which a piece hands on through the next ones, and some that
/// are gone after a few tokens.
[[nodiscard]] inline RandomLayer long_memory(LayerConfig config, std::uint32_t seed = 1) {
    config.pre_norm = PreNorm::plain;
    config.residual = true;
    RandomLayer layer(config, seed);
    layer.A_log = Random(seed + 1).uniforms(config.n_heads_v, -9.0, 2.5);
    layer.A_log.front() = -8.0F;
    layer.conv_bias = Random(seed + 2).normals(config.conv_dim());
    return layer;
}

/// `run` of anything that is called like a layer.
template <class Runner>
[[nodiscard]] std::vector<float> run_as(Runner&& runner, const LayerConfig& c, const Batch& batch,
                                        const std::vector<float>& x, StateSlots& slots,
                                        index_t model_layer = 0) {
    std::vector<float> y(static_cast<std::size_t>(batch.n_outputs() * c.hidden), -77.0F);
    runner.forward(batch, View<const float, 2>(x.data(), {batch.n_tokens(), c.hidden}),
                   View<float, 2>(y.data(), {batch.n_outputs(), c.hidden}), slots,
                   {.layer = model_layer});
    return y;
}

/// The steps of a model: a prefill of two sequences of which some outputs are wanted, with padding
/// between them, then tokens one by one. All outputs.
template <class Runner>
[[nodiscard]] std::vector<float> steps_of(Runner&& runner, const LayerConfig& c,
                                          StateSlots& slots) {
    Batch prefill;
    prefill.add({.slot = 0, .n_tokens = 40, .start = Start::fresh});
    prefill.add({.slot = -1, .n_tokens = 2});
    prefill.add({.slot = 1, .n_tokens = 20, .start = Start::fresh});
    const std::vector<index_t> rows{61, 3, 39, 41};
    Batch some = prefill;
    some.select_outputs(rows);
    Batch both;
    both.add({.slot = 1, .n_tokens = 1}).add({.slot = 0, .n_tokens = 1});
    std::vector<float> all;
    std::uint32_t seed = 40;
    for (const Batch* batch : {&prefill, &some, &both, &both}) {
        const std::vector<float> x = Random(++seed).normals(batch->n_tokens() * c.hidden);
        const std::vector<float> y = run_as(runner, c, *batch, x, slots);
        all.insert(all.end(), y.begin(), y.end());
    }
    return all;
}

/// Of all outputs, tensor-parallel against whole.
template <class B = LayerBackend<>, Communicator C>
[[nodiscard]] double tensor_parallel_difference(C& communicator, const LayerConfig& config,
                                                const LayerWeights<EigenLinear>& weights,
                                                const TensorParallelOptions& options = {}) {
    WholeLayer<B> whole(config, weights);
    StateSlots whole_slots(config, {.slots = 2});
    const std::vector<float> expected = steps_of(whole, config, whole_slots);
    const LayerShard<EigenLinear> mine =
        shard(config, weights, communicator.rank(), communicator.world());
    LayerOfRank<B> layer(mine.config, mine.weights);
    StateSlots slots(mine.config, {.slots = 2});
    TensorParallel ranks(layer, communicator, options);
    return relative_rms(steps_of(ranks, config, slots), expected);
}

/// How a prompt is given to a layer that has read `before` tokens.
struct Prompt {
    index_t before;
    std::vector<index_t> pieces;  ///< tokens of each rank
    Start start = Start::resume;
    StateSlotsOptions slots{.slots = 2};
};

[[nodiscard]] inline index_t n_tokens(const Prompt& prompt, index_t n_pieces) {
    return std::accumulate(prompt.pieces.begin(), prompt.pieces.begin() + n_pieces, index_t{0});
}

/// Of the outputs of this rank's piece, of the state behind the prompt in its slot, and of what it
/// then decodes alone, sequence-parallel against whole: the largest.
template <class B = LayerBackend<>, Communicator C>
[[nodiscard]] double sequence_parallel_difference(C& communicator, const LayerConfig& config,
                                                  const LayerWeights<EigenLinear>& weights,
                                                  const Prompt& prompt) {
    const auto rank = index_t{communicator.rank()};
    const index_t first = n_tokens(prompt, rank), all = n_tokens(prompt, communicator.world());
    const index_t mine = prompt.pieces[static_cast<std::size_t>(rank)];
    const auto x = Random(9).normals((prompt.before + all + 2) * config.hidden);
    const auto x_of = [&](index_t token, index_t n) { return rows_of(x, config.hidden, token, n); };
    const auto x_before = x_of(0, prompt.before), x_after = x_of(prompt.before + all, 2);
    // In slot 1; slot 0 must stay as it is.
    WholeLayer<B> whole(config, weights);
    StateSlots whole_slots(config, prompt.slots);
    const auto prepare = [&](StateSlots& slots) {
        const Batch before = one(prompt.before, Start::fresh, 1);
        static_cast<void>(run_as(whole, config, before, x_before, slots));
    };
    prepare(whole_slots);
    const auto expected =
        run_as(whole, config, one(all, prompt.start, 1), x_of(prompt.before, all), whole_slots);
    const index_t position = whole_slots.position(1);

    WholeLayer<B> layer(config, weights);
    StateSlots slots(config, prompt.slots);
    if (rank == 0) {
        prepare(slots);
    } else {  // what is in theirs does not matter
        const auto other = Random(10).normals(7 * config.hidden);
        static_cast<void>(run_as(whole, config, one(7, Start::fresh, 1), other, slots));
    }
    SequenceParallel ranks(layer, communicator);
    const auto y =
        run_as(ranks, config, one(mine, prompt.start, 1), x_of(prompt.before + first, mine), slots);
    if (slots.position(1) != position || slots.pending(1) != 0) return -1.0;
    if (slots.position(0) != 0) return -2.0;
    double worst = relative_rms(y, rows_of(expected, config.hidden, first, mine));
    const auto logical = [&](const StateSlots& s) {
        std::vector<float> state(
            static_cast<std::size_t>(config.n_heads_v * config.d_k * config.d_v));
        export_recurrent(s, 1, 0, {state.data(), {config.n_heads_v, config.d_k, config.d_v}},
                         StateOrder::k_first);
        return state;
    };
    worst = std::max(worst, relative_rms(logical(slots), logical(whole_slots)));
    return std::max(
        worst, relative_rms(run_as(layer, config, one(2, Start::resume, 1), x_after, slots),
                            run_as(whole, config, one(2, Start::resume, 1), x_after, whole_slots)));
}

/// A linear operator that throws when asked to.
class FailingLinear {
  public:
    FailingLinear() = default;
    explicit FailingLinear(View<const float, 2> weight) : linear_(weight) {}
    void fail() noexcept { fails_ = true; }

    [[nodiscard]] index_t in_features() const noexcept { return linear_.in_features(); }
    [[nodiscard]] index_t out_features() const noexcept { return linear_.out_features(); }
    [[nodiscard]] index_t scratch_bytes(index_t n, index_t workers) const noexcept {
        return linear_.scratch_bytes(n, workers);
    }
    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        if (fails_) throw std::runtime_error("the accelerator is gone");
        linear_(x, y, scratch, executor);
    }

  private:
    EigenLinear linear_;
    bool fails_ = false;
};

/// What rank 1 does wrong, the others nothing.
enum class Mistake : std::uint8_t {
    none,
    batch,           ///< another length, or two sequences where there may be one
    hidden,          ///< a layer of another width
    y,               ///< an output of another shape
    slot,            ///< a slot that is not there
    position,        ///< a slot that has read more
    in_proj,         ///< the first projection throws
    out_proj,        ///< the last one throws
    other_function,  ///< another kind of parallelism
};

struct WhatWasThrown {
    std::string message;  ///< of this rank
    bool wrote = false;   ///< into the slot
};

/// Ranks with a whole layer each, which is as good as any where nobody looks at results.
template <template <class, class, class> class Parallel, template <class, class, class> class Other,
          class B = LayerBackend<>, Communicator C>
[[nodiscard]] WhatWasThrown after_mistake(C& communicator, Mistake mistake) {
    const auto is = [&](Mistake m) { return communicator.rank() == 1 && mistake == m; };
    const RandomLayer random(small_config(2, 4, 8, 8, is(Mistake::hidden) ? 24 : 20));
    LayerWeights<FailingLinear> weights = random.split<FailingLinear>();
    if (is(Mistake::in_proj)) weights.in_proj.front().fail();
    if (is(Mistake::out_proj)) weights.out_proj.fail();
    using Layer = DeltaNetLayer<B, FailingLinear>;
    Layer layer(random.config, weights);
    StateSlots slots(random.config, {.slots = 2});
    Batch batch;
    batch.add({.slot = is(Mistake::slot) ? 2 : 0, .n_tokens = 5});
    if (is(Mistake::batch)) batch.add({.slot = 1, .n_tokens = 1});
    if (is(Mistake::position)) {
        WholeLayer<B> alone(random.config, random.split());
        const auto x = Random(1).normals(3 * random.config.hidden);
        static_cast<void>(run_as(alone, random.config, one(3), x, slots));
    }
    const std::vector<float> before = state_of(slots, 0);
    const index_t n = batch.n_tokens(), hidden = random.config.hidden;
    const std::vector<float> x = Random(2).normals(n * hidden);
    std::vector<float> y(static_cast<std::size_t>(n * hidden));
    const auto forward = [&](auto&& ranks) {
        ranks.forward(batch, View<const float, 2>(x.data(), {n, hidden}),
                      View<float, 2>(y.data(), {is(Mistake::y) ? n - 1 : n, hidden}), slots);
    };
    WhatWasThrown result{"nothing was thrown"};
    try {
        is(Mistake::other_function) ? forward(Other<B, FailingLinear, C>(layer, communicator))
                                    : forward(Parallel<B, FailingLinear, C>(layer, communicator));
    } catch (const std::exception& error) {
        result.message = error.what();
    }
    result.wrote = !bit_equal(state_of(slots, 0), before);
    return result;
}

}  // namespace deltanet::test
