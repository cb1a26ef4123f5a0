// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Every mistake that conv1d refuses, with the whole message, from both backends, and nothing
/// written.
#include "unit/op_problems.hpp"

#include <functional>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Args = Conv1dArgs<float>;

/// 5 tokens, 6 channels in 2 groups, 4 taps, 3 slots; two sequences.
struct Problem {
    Arena arena{31};
    View<float, 3> input = arena.take<3>({5, 2, 3});
    View<float, 2> weight = arena.take<2>({6, 4});
    View<float, 1> bias = arena.take<1>({6});
    View<float, 3> state = arena.take<3>({3, 3, 6});
    View<float, 2> output = arena.take<2>({5, 6});
    std::vector<SequenceSpan> sequences{{0, 3, 2, Start::resume}, {3, 2, 0, Start::fresh}};

    [[nodiscard]] Args args() {
        return {.input = input,
                .weight = weight,
                .bias = bias,
                .state = state,
                .output = output,
                .sequences = sequences,
                .silu = true};
    }
};

void check(const std::vector<Mistake<Args>>& mistakes) {
    Problem problem;
    for (const Mistake<Args>& mistake : mistakes) {
        Args args = problem.args();
        mistake.spoil(args);
        check_refused(problem.arena, mistake.message,
                      [&](auto& backend) { conv1d(backend, args); });
    }
}

}  // namespace

TEST_CASE("conv1d: the problem that the mistakes are made in is fine", "[errors][conv1d]") {
    Problem problem;
    check_accepted(problem.arena, [&](auto& backend) { conv1d(backend, problem.args()); });
    Args args = problem.args();
    args.bias = {};
    args.weight = View<const float, 2>(problem.weight.data(), {6, 4}, {1, 6});  // any strides
    check_accepted(problem.arena, [&](auto& backend) { conv1d(backend, args); });
}

TEST_CASE("conv1d: bad weights", "[errors][conv1d]") {
    const std::vector<float> floats(54);
    const float* const p = floats.data();
    check({
        {[&](Args& a) {
             a.weight = {p, {6, 1}};
         },
         "conv1d: weight: expected 2 to 8 taps, found 1"},
        {[&](Args& a) {
             a.weight = {p, {6, 9}};
         },
         "conv1d: weight: expected 2 to 8 taps, found 9"},
        {[&](Args& a) {
             a.weight = {p, {5, 4}};
         },
         "conv1d: weight: expected shape [6, 4], found shape [5, 4]"},
        {[&](Args& a) { a.norm = HeadNorm{.d = 4}; },
         "conv1d: norm.d: expected a divisor of the 6 channels, found 4"},
        {[&](Args& a) { a.norm = HeadNorm{.d = 0}; },
         "conv1d: norm.d: expected a divisor of the 6 channels, found 0"},
        {[&](Args& a) { a.weight = without_data(a.weight); },
         "conv1d: weight: expected data for shape [6, 4], found a null pointer"},
        {[&](Args& a) {
             a.bias = {p, {7}};
         },
         "conv1d: bias: expected shape [6], found shape [7]"},
        {[&](Args& a) {
             a.weight = {p, {6, 3}};
         },
         "conv1d: state: expected shape [3, 2, 6], found shape [3, 3, 6]"},
    });
}

TEST_CASE("conv1d: bad input", "[errors][conv1d]") {
    check({
        {[](Args& a) {
             a.input = restrided(a.input, {12, 6, 2});
         },
         "conv1d: input: expected innermost stride 1, found strides [12, 6, 2]"},
        {[](Args& a) { a.input = without_data(a.input); },
         "conv1d: input: expected data for shape [5, 2, 3], found a null pointer"},
        {[](Args& a) { a.input = a.input.slice(1, 0, 1); },
         "conv1d: weight: expected shape [3, 4], found shape [6, 4]"},
        {[](Args& a) { a.input = a.input.slice(0, 0, 4); },
         "conv1d: output: expected shape [4, 6], found shape [5, 6]"},
    });
}

TEST_CASE("conv1d: bad state", "[errors][conv1d]") {
    check({
        {[](Args& a) { a.state = a.state.slice(1, 0, 2); },
         "conv1d: state: expected shape [3, 3, 6], found shape [3, 2, 6]"},
        {[](Args& a) { a.state = a.state.slice(2, 0, 5); },
         "conv1d: state: expected shape [3, 3, 6], found shape [3, 3, 5]"},
        {[](Args& a) { a.state = without_data(a.state); },
         "conv1d: state: expected data for shape [3, 3, 6], found a null pointer"},
        {[](Args& a) {
             a.state = restrided(a.state, {18, 1, 3});
         },
         "conv1d: state: expected innermost stride 1, found strides [18, 1, 3]"},
        {[](Args& a) {
             a.state = restrided(a.state, {17, 6, 1});
         },
         "conv1d: state: expected strides under which no two indices share an element, found shape "
         "[3, 3, 6] with "
         "strides [17, 6, 1]"},
        {[](Args& a) {
             a.state = restrided(a.state, {0, 6, 1});
         },
         "conv1d: state: expected strides under which no two indices share an element, found shape "
         "[3, 3, 6] with "
         "strides [0, 6, 1]"},
    });
}

TEST_CASE("conv1d: bad output", "[errors][conv1d]") {
    check({
        {[](Args& a) { a.output = a.output.slice(0, 0, 4); },
         "conv1d: output: expected shape [5, 6], found shape [4, 6]"},
        {[](Args& a) { a.output = a.output.slice(1, 0, 3); },
         "conv1d: output: expected shape [5, 6], found shape [5, 3]"},
        {[](Args& a) { a.output = without_data(a.output); },
         "conv1d: output: expected data for shape [5, 6], found a null pointer"},
        {[](Args& a) {
             a.output = restrided(a.output, {1, 5});
         },
         "conv1d: output: expected innermost stride 1, found strides [1, 5]"},
        {[](Args& a) {
             a.output = restrided(a.output, {5, 1});
         },
         "conv1d: output: expected strides under which no two indices share an element, found "
         "shape [5, 6] with "
         "strides [5, 1]"},
    });
}

TEST_CASE("conv1d: overlapping memory", "[errors][conv1d]") {
    Problem problem;
    float* const input = problem.input.data();
    const auto refused = [&](const std::function<void(Args&)>& spoil, const std::string& message) {
        Args args = problem.args();
        spoil(args);
        check_refused(problem.arena, message, [&](auto& backend) { conv1d(backend, args); });
    };
    refused(
        [&](Args& a) {
            a.output = {input, {5, 6}};
        },
        "conv1d: output: expected memory apart from that of input, found memory that overlaps it");
    refused(
        [&](Args& a) {
            a.output = {input + 29, {5, 6}};
        },  // by one float
        "conv1d: output: expected memory apart from that of input, found memory that overlaps it");
    refused(
        [&](Args& a) {
            a.output = {problem.state.data() + 53, {5, 6}};
        },
        "conv1d: state: expected memory apart from that of output, found memory that overlaps it");
    refused(
        [&](Args& a) {
            a.state = {input, {3, 3, 6}, {700, 6, 1}};
        },
        "conv1d: state: expected memory apart from that of output, found memory that overlaps it");
    refused(
        [&](Args& a) {
            a.state = {input + 29, {3, 3, 6}};
        },
        "conv1d: state: expected memory apart from that of input, found memory that overlaps it");
    refused(
        [&](Args& a) {
            a.weight = {problem.state.data(), a.weight.shape()};
        },
        "conv1d: state: expected memory apart from that of weight, found memory that overlaps it");
}

TEST_CASE("conv1d: bad sequences", "[errors][conv1d]") {
    Problem problem;
    const auto refused = [&](std::vector<SequenceSpan> spans, const std::string& message) {
        problem.sequences = std::move(spans);
        check_refused(problem.arena, message,
                      [&](auto& backend) { conv1d(backend, problem.args()); });
    };
    refused({{0, 1, 0}, {1, 1, 3}}, "conv1d: sequences[1].slot: expected 0 to 2, found 3");
    refused({{0, 1, 1}, {1, 1, 1}},
            "conv1d: sequences[1].slot: expected a slot used once in a batch, found slot 1, also "
            "of sequences[0]");
    refused({{3, 3, 1}},
            "conv1d: sequences[0]: expected tokens inside [0, 5), found 3 tokens from 3 on");
    refused({{-1, 3, 1}},
            "conv1d: sequences[0]: expected tokens inside [0, 5), found 3 tokens from -1 on");
    refused({{2, -1, 1}},
            "conv1d: sequences[0]: expected tokens inside [0, 5), found -1 tokens from 2 on");
    refused({{0, 3, 1}, {2, 2, 0}},
            "conv1d: sequences[1]: expected tokens that no other sequence has, found tokens [2, "
            "4), which overlap those "
            "of sequences[0]");
}
