// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Slots on the device and slots of the oracle that take the same steps of the delta rule, compared
/// after each. The oracle sums in double and stores what the device stores: states of type S,
/// updates and outputs in float.
#pragma once

#include "cuda/random_tensors.hpp"
#include "cuda/state_memory.hpp"
#include <deltanet/cuda/ops.hpp>
#include <deltanet/reference/backend.hpp>

namespace deltanet::test {

struct DeltaSizes {
    index_t n_heads_k = 1, r = 1, d_k = 64, d_v = 64;
    index_t n_slots = 1;
    index_t capacity = 0;  ///< R
    bool per_channel = false;
    HeadMap map = HeadMap::grouped;
    ScanMode mode = ScanMode::automatic;
    index_t padding = 0, misalign = 0;  ///< of the device's tensors
    double extra_bound = 0.0;           ///< of kernels that multiply rounded numbers

    [[nodiscard]] index_t n_heads_v() const { return n_heads_k * r; }
};

/// Root mean square, relative: sums of d_k products have about sqrt(d_k) roundings at random, the
/// decays, the correction and the sum of updates some more. Corrections damp errors of the state,
/// so that they do not grow with the tokens. What is stored in less may be rounded to the other
/// side than the oracle's. Where an element of an int8 state lies between two integers, steps may
/// read different ones, 1 / 127 of a column apart, in one of thousands of elements.
template <class S>
[[nodiscard]] double delta_bound(index_t d_k) {
    const double sums = eps<float>() * (8.0 + std::sqrt(static_cast<double>(d_k)));
    return std::is_same_v<S, float> ? sums : sums + kStorageRounding<S>;
}

/// Rows of q, k of length 1, decays of e^-2 to 1, beta in (0, 1): a trained layer's domain.
struct DeltaInputs {
    Tensor<float, 3> q, k, v;
    Tensor<float, 2> decay_log;
    Tensor<float, 3> channel_decay_log;
    Tensor<float, 2> beta;
    Tensor<float, 3> output;

    DeltaInputs(const DeltaSizes& s, index_t n_tokens, std::mt19937& generator)
        : q({n_tokens, s.n_heads_k, s.d_k}),
          k({n_tokens, s.n_heads_k, s.d_k}),
          v({n_tokens, s.n_heads_v(), s.d_v}),
          decay_log({n_tokens, s.n_heads_v()}),
          channel_decay_log({n_tokens, s.n_heads_v(), s.per_channel ? s.d_k : 0}),
          beta({n_tokens, s.n_heads_v()}),
          output({n_tokens, s.n_heads_v(), s.d_v}) {
        q.random(generator, -1.0, 1.0).normalise();
        k.random(generator, -1.0, 1.0).normalise();
        v.random(generator, -1.0, 1.0);
        const auto weaken = [&](float& g) { g = generator() % 3 == 0 ? g : g * 0.02F; };
        decay_log.random(generator, -2.0, 0.0).for_each(weaken);
        channel_decay_log.random(generator, -2.0, 0.0).for_each(weaken);
        beta.random(generator, 0.05, 0.95);
        output.fill(7.0F);  // rows that no sequence names stay
    }
};

/// States and updates as a host keeps them, dense.
template <class S>
struct SlotValues {
    std::vector<S> state;
    std::vector<float> k, u, decay_log;
};

template <class S>
class DeltaSlots {
  public:
    DeltaSlots(const DeltaSizes& sizes, std::uint32_t seed) : s(sizes), generator(seed) {
        oracle.state = random_states<S>(state_shape(), generator);
        for (auto [values, shape] :
             {std::pair{&oracle.k, k_shape()}, std::pair{&oracle.u, u_shape()}})
            values->assign(count(shape), std::nanf(""));
        oracle.decay_log.assign(count(log_shape()), std::nanf(""));
        device = oracle;
        pending.assign(static_cast<std::size_t>(s.n_slots), 0);
    }

    /// One call of the op; `sequences` say everything but what is pending. Inputs are new.
    void step(std::vector<SequenceSpan> sequences, index_t n_tokens) {
        for (SequenceSpan& sequence : sequences) {
            if (!is_padding(sequence)) sequence.pending = pending[at(sequence.slot)];
        }
        DeltaInputs inputs(s, n_tokens, generator);
        poison(sequences);
        std::tie(output, device.state, device.k, device.u, device.decay_log) =
            for_each_schedule([&] { return run_device(inputs, sequences); });
        run_oracle(inputs, sequences);
        for (const SequenceSpan& sequence : sequences) {
            if (!is_padding(sequence))
                pending[at(sequence.slot)] = pending_step(sequence, s.capacity).after;
        }
        CHECK(relative_rms(output, inputs.output.values()) <= bound());
        check_slots();
    }

    /// The first n updates of a slot are folded, outside of a step.
    void fold(index_t slot) {
        const index_t n = pending[at(slot)];
        std::tie(device.state, device.k, device.u, device.decay_log) = for_each_schedule([&] {
            Memory memory(*this);
            cuda::fold_pending(memory.states(), memory.updates(), s.map, slot, n, nullptr);
            return memory.download();
        });
        const StateView<float> states = oracle_state();
        detail::fold_into_state(states, oracle_updates(), s.map, slot, n, states, slot);
        pending[at(slot)] = 0;
        check_slots();
    }

    /// Elements of the device's states, in order.
    [[nodiscard]] std::vector<double> states() { return state_values(device.state, state_shape()); }

    [[nodiscard]] double bound() const {
        return (s.capacity > 0 ? 2.0 : 1.0) * delta_bound<S>(s.d_k) + s.extra_bound;
    }

    DeltaSizes s;
    std::mt19937 generator;
    SlotValues<S> oracle, device;
    std::vector<float> output;  ///< of the last step, by the device
    std::vector<index_t> pending;

    [[nodiscard]] Shape<4> state_shape() const { return {s.n_slots, s.n_heads_v(), s.d_k, s.d_v}; }

  private:
    using Results =
        std::tuple<std::vector<S>, std::vector<float>, std::vector<float>, std::vector<float>>;
    static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
    template <std::size_t N>
    static std::size_t count(const std::array<index_t, N>& shape) {
        std::size_t n = 1;
        for (const index_t extent : shape) n *= at(extent);
        return n;
    }
    [[nodiscard]] Shape<4> k_shape() const { return {s.n_slots, s.capacity, s.n_heads_k, s.d_k}; }
    [[nodiscard]] Shape<4> u_shape() const { return {s.n_slots, s.capacity, s.n_heads_v(), s.d_v}; }
    [[nodiscard]] Shape<3> log_shape() const { return {s.n_slots, s.capacity, s.n_heads_v()}; }

    [[nodiscard]] StateView<float> oracle_state() {
        return host_states(oracle.state, state_shape());
    }
    [[nodiscard]] PendingUpdates<float> oracle_updates() {
        return {{oracle.k.data(), k_shape()},
                {oracle.u.data(), u_shape()},
                {oracle.decay_log.data(), log_shape()}};
    }

    /// What nobody may read becomes NaN: updates that are not pending, states of fresh starts.
    void poison(const std::vector<SequenceSpan>& sequences) {
        for_each_dropped_update(
            [&](std::size_t i, auto member) { (device.*member)[i] = std::nanf(""); });
        for (const SequenceSpan& sequence : sequences) {
            if (!is_padding(sequence) && sequence.start == Start::fresh)
                fill_slot(device.state, state_shape(), sequence.slot, std::nan(""));
        }
    }
    template <class F>
    void for_each_dropped_update(const F& f) {
        for (auto member : {&SlotValues<S>::k, &SlotValues<S>::u, &SlotValues<S>::decay_log}) {
            if (s.capacity == 0) return;
            const std::size_t row = (device.*member).size() / at(s.n_slots * s.capacity);
            for (index_t slot = 0; slot < s.n_slots; ++slot) {
                const std::size_t first = at(slot * s.capacity + pending[at(slot)]) * row;
                for (std::size_t i = first; i < at((slot + 1) * s.capacity) * row; ++i)
                    f(i, member);
            }
        }
    }

    /// The device's slots, for one run.
    struct Memory {
        explicit Memory(DeltaSlots& slots)
            : state(slots.state_shape(), slots.device.state, slots.s.padding, slots.s.misalign),
              k(slots.k_shape(), slots.device.k, slots.s.padding, slots.s.misalign),
              u(slots.u_shape(), slots.device.u, slots.s.padding, slots.s.misalign),
              decay_log(slots.log_shape(), slots.device.decay_log, slots.s.padding) {}
        [[nodiscard]] StateView<float> states() { return state.view(); }
        [[nodiscard]] PendingUpdates<float> updates() {
            return {k.view(), u.view(), decay_log.view()};
        }
        [[nodiscard]] Results download() {
            return {state.download(), k.download(), u.download(), decay_log.download()};
        }
        DeviceStates<S> state;
        DeviceTensor<float, 4> k, u;
        DeviceTensor<float, 3> decay_log;
    };

    [[nodiscard]] auto run_device(DeltaInputs& inputs, const std::vector<SequenceSpan>& sequences) {
        const auto upload = [&]<class T, int Rank>(Tensor<T, Rank>& from) {
            return DeviceTensor<T, Rank>(from.view().shape(), from.values(), s.padding, s.misalign);
        };
        auto q = upload(inputs.q), k = upload(inputs.k), v = upload(inputs.v);
        auto decay_log = upload(inputs.decay_log);
        auto channels = upload(inputs.channel_decay_log);
        auto beta = upload(inputs.beta);
        auto o = upload(inputs.output);
        Memory memory(*this);
        DeltaRuleArgs<float> args{.q = q.cview(),
                                  .k = k.cview(),
                                  .v = v.cview(),
                                  .decay_log = s.per_channel ? DecayView<float>(channels.cview())
                                                             : DecayView<float>(decay_log.cview()),
                                  .beta = beta.cview(),
                                  .state = memory.states(),
                                  .output = o.view(),
                                  .sequences = sequences,
                                  .head_map = s.map,
                                  .mode = s.mode};
        if (s.capacity > 0) args.pending = memory.updates();
        const index_t bytes = cuda::delta_rule_scratch_bytes(args);
        DeviceTensor<std::byte, 1> scratch({bytes});
        cuda::delta_rule(args, {scratch.data(), static_cast<std::size_t>(bytes)}, nullptr);
        return std::tuple_cat(std::tuple(o.download()), memory.download());
    }

    void run_oracle(DeltaInputs& inputs, const std::vector<SequenceSpan>& sequences) {
        DeltaRuleArgs<float> args{
            .q = inputs.q.cview(),
            .k = inputs.k.cview(),
            .v = inputs.v.cview(),
            .decay_log = s.per_channel ? DecayView<float>(inputs.channel_decay_log.cview())
                                       : DecayView<float>(inputs.decay_log.cview()),
            .beta = inputs.beta.cview(),
            .state = oracle_state(),
            .output = inputs.output.view(),
            .sequences = sequences,
            .head_map = s.map,
            .mode = ScanMode::recurrent};
        if (s.capacity > 0) args.pending = oracle_updates();
        ReferenceBackend backend;
        deltanet::delta_rule(backend, args, {});
    }

    /// States and the updates that are pending are the oracle's; keys and decays to the bit.
    void check_slots() {
        CHECK(relative_rms(states(), state_values(oracle.state, state_shape())) <= bound());
        for_each_dropped_update(
            [&](std::size_t i, auto member) { (device.*member)[i] = (oracle.*member)[i] = 0.0F; });
        CHECK(bit_equal(device.k, oracle.k));
        CHECK(bit_equal(device.decay_log, oracle.decay_log));
        if (s.capacity > 0) CHECK(relative_rms(device.u, oracle.u) <= bound());
    }
};

}  // namespace deltanet::test
