// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tensors of one convolution.
#pragma once

#include "fixtures.hpp"

namespace deltanet::test {

template <class T>
struct ConvProblem {
    struct Sizes {
        index_t n_tokens;
        index_t groups;
        index_t group_size;
        index_t width;
        index_t n_slots = 1;
    };

    explicit ConvProblem(const Sizes& s, index_t padding = 0, index_t misalign = 0)
        : input({s.n_tokens, s.groups, s.group_size}, padding, misalign),
          weight({s.groups * s.group_size, s.width}, padding, misalign),
          bias({s.groups * s.group_size}, 0, misalign),
          state({s.n_slots, s.width - 1, s.groups * s.group_size}, padding, misalign),
          output({s.n_tokens, s.groups * s.group_size}, padding, misalign) {}

    ConvProblem& random(std::mt19937& generator) {
        input.random(generator, -2, 2);
        weight.random(generator, -1, 1);
        bias.random(generator, -1, 1);
        state.random(generator, -2, 2);
        return *this;
    }
    ConvProblem& copy_from(ConvProblem& other) {
        input.copy_from(other.input);
        weight.copy_from(other.weight);
        bias.copy_from(other.bias);
        state.copy_from(other.state);
        return *this;
    }

    [[nodiscard]] Conv1dArgs<T> args(std::span<const SequenceSpan> sequences, bool silu = true,
                                     bool with_bias = false, std::optional<HeadNorm> norm = {}) {
        return {.input = input.cview(),
                .weight = weight.cview(),
                .bias = with_bias ? bias.cview() : View<const T, 1>{},
                .state = state.view(),
                .output = output.view(),
                .sequences = sequences,
                .silu = silu,
                .norm = norm};
    }

    Tensor<T, 3> input;
    Tensor<T, 2> weight;
    Tensor<T, 1> bias;
    Tensor<T, 3> state;
    Tensor<T, 2> output;
};

}  // namespace deltanet::test
