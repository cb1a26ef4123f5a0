// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the tests of the CPU backend share: the backend under test (the arch that this file is
/// compiled for), an executor that does everything out of order, and delta-rule problems.
#pragma once

#include "tensor.hpp"
#include <deltanet/cpu/backend.hpp>
#include <deltanet/reference/backend.hpp>

namespace deltanet::test {

/// Pretends to have many workers and runs tasks from the last to the first: what depends on the cut
/// into tasks, on their order or on a worker's scratch gives other results with it.
struct BackwardExecutor {
    index_t workers = 5;
    [[nodiscard]] index_t concurrency() const noexcept { return workers; }
    template <class F>
    void parallel_for(index_t n, F&& f) const {
        for (index_t task = n - 1; task >= 0; --task) f(task, task * 7 % workers);
    }
};

using TestBackend = CpuBackend<>;
using BackwardBackend = CpuBackend<cpu::default_arch, BackwardExecutor>;

template <class T>
inline constexpr index_t n_lanes = cpu::lanes<cpu::default_arch, T>;

// The ops under test, for both backends, float and double. They are compiled in one file
// (ops_under_test.cpp): in every test that uses them they would take most of a build's time.

/// The delta rule with scratch of exactly the size that the backend asks for, filled with NaN.
template <class Backend, class T>
void run_delta_rule(Backend& backend, const DeltaRuleArgs<T>& args);
template <class Backend, class T>
void run_conv1d(Backend& backend, const Conv1dArgs<T>& args);
template <class Backend, class T>
void run_conv_gates(Backend& backend, const ConvGatesArgs<T>& args);

/// Tensors of one delta-rule call.
template <class T>
struct DeltaProblem {
    struct Sizes {
        index_t n_tokens;
        index_t n_heads_k;
        index_t heads_per_group;
        index_t d_k;
        index_t d_v;
        index_t n_slots = 1;
        bool per_channel = false;  ///< a decay for each key channel
    };

    explicit DeltaProblem(const Sizes& sizes, index_t padding = 0, index_t misalign = 0)
        : q({sizes.n_tokens, sizes.n_heads_k, sizes.d_k}, padding, misalign),
          k({sizes.n_tokens, sizes.n_heads_k, sizes.d_k}, padding, misalign),
          v({sizes.n_tokens, sizes.n_heads_k * sizes.heads_per_group, sizes.d_v}, padding,
            misalign),
          decay_log({sizes.n_tokens, sizes.n_heads_k * sizes.heads_per_group}, padding, misalign),
          beta({sizes.n_tokens, sizes.n_heads_k * sizes.heads_per_group}, padding, misalign),
          channel_decay_log({sizes.n_tokens, sizes.n_heads_k * sizes.heads_per_group,
                             sizes.per_channel ? sizes.d_k : 0},
                            padding, misalign),
          per_channel(sizes.per_channel),
          state({sizes.n_slots, sizes.n_heads_k * sizes.heads_per_group, sizes.d_k, sizes.d_v},
                padding, misalign),
          output({sizes.n_tokens, sizes.n_heads_k * sizes.heads_per_group, sizes.d_v}, padding,
                 misalign) {}

    /// Unit keys and queries, decays of exp(-2..0) per token, beta in (0, 1): a trained layer's
    /// domain.
    DeltaProblem& random(std::mt19937& generator) {
        q.random(generator, -1, 1).normalise();
        k.random(generator, -1, 1).normalise();
        v.random(generator, -1, 1);
        decay_log.random(generator, -2, 0);
        decay_log.for_each([&](T& g) { g = generator() % 3 == 0 ? g : g * T(0.02); });
        channel_decay_log.random(generator, -2, 0);
        channel_decay_log.for_each([&](T& g) { g = generator() % 3 == 0 ? g : g * T(0.02); });
        beta.random(generator, 0.05, 0.95);
        state.random(generator, -1, 1);
        return *this;
    }

    DeltaProblem& copy_from(DeltaProblem& other) {
        copy_inputs(other);
        state.copy_from(other.state);
        output.copy_from(other.output);
        return *this;
    }
    template <class U>
    DeltaProblem& copy_inputs(DeltaProblem<U>& other) {
        q.copy_from(other.q);
        k.copy_from(other.k);
        v.copy_from(other.v);
        decay_log.copy_from(other.decay_log);
        channel_decay_log.copy_from(other.channel_decay_log);
        beta.copy_from(other.beta);
        return *this;
    }

    [[nodiscard]] DeltaRuleArgs<T> args(std::span<const SequenceSpan> sequences, ScanMode mode,
                                        HeadMap map = HeadMap::grouped) {
        return {.q = q.cview(),
                .k = k.cview(),
                .v = v.cview(),
                .decay_log = per_channel ? DecayView<T>(channel_decay_log.cview())
                                         : DecayView<T>(decay_log.cview()),
                .beta = beta.cview(),
                .state = state.view(),
                .output = output.view(),
                .sequences = sequences,
                .head_map = map,
                .scale = 0.0,
                .mode = mode};
    }

    Tensor<T, 3> q, k, v;
    Tensor<T, 2> decay_log, beta;
    Tensor<T, 3> channel_decay_log;
    bool per_channel;
    Tensor<T, 4> state;
    Tensor<T, 3> output;
};

}  // namespace deltanet::test
