// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The input side in one queue is its four ops one after the other, bit for bit, whatever the
/// order of its tasks; and what it refuses.
#include "fixtures.hpp"
#include <deltanet/ops/conv_gates.hpp>

#include <functional>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// 2 key heads of d_k, 2 r value heads of d_v; projections as a packed product leaves them: per key
/// head q, k, v, b, a.
template <class T>
struct InputSide {
    InputSide(index_t n, index_t d_k, index_t r, index_t d_v, index_t width)
        : n_tokens(n),
          key(d_k),
          value(r * d_v),
          group(2 * d_k + r * d_v + 2 * r),
          heads(2 * r),
          projected({n, 2, group}, 3, 1),
          weight({4 * d_k + 2 * r * d_v, width}, 1, 1),
          bias({4 * d_k + 2 * r * d_v}, 0, 1),
          A_log({heads}),
          dt_bias({heads}),
          state({3, width - 1, 4 * d_k + 2 * r * d_v}, 2, 1),
          output({n, 4 * d_k + 2 * r * d_v}, 5, 3),
          decay_log({n, heads}, 1, 1),
          beta({n, heads}, 2, 0) {}

    InputSide& random(std::mt19937& generator) {
        projected.random(generator, -2, 2);
        weight.random(generator, -1, 1);
        bias.random(generator, -1, 1);
        A_log.random(generator, -1, 2);
        dt_bias.random(generator, -1, 1);
        state.random(generator, -2, 2);
        return *this;
    }

    [[nodiscard]] ConvGatesArgs<T> args(std::span<const SequenceSpan> sequences,
                                        std::optional<HeadNorm> norm, bool with_bias) {
        const auto columns = [&](index_t first, index_t count) {
            const View<const T, 3> p = projected.cview();
            return View<const T, 3>(p.data() + first, {n_tokens, 2, count},
                                    {p.stride(0), p.stride(1), 1});
        };
        const index_t r = heads / 2;
        return {.q = columns(0, key),
                .k = columns(key, key),
                .v = columns(2 * key, value),
                .weight = weight.cview(),
                .bias = with_bias ? bias.cview() : View<const T, 1>{},
                .state = state.view(),
                .output = output.view(),
                .sequences = sequences,
                .norm = norm,
                .gates = {.a = columns(2 * key + value + r, r),
                          .b = columns(2 * key + value, r),
                          .A_log = A_log.cview(),
                          .dt_bias = dt_bias.cview(),
                          .decay_log = decay_log.view(),
                          .beta = beta.view(),
                          .beta_doubled = with_bias}};
    }

    [[nodiscard]] std::vector<T> results() {
        std::vector<T> all = output.values();
        for (auto* tensor : {&decay_log, &beta}) {
            const std::vector<T> values = tensor->values();
            all.insert(all.end(), values.begin(), values.end());
        }
        const std::vector<T> states = state.values();
        all.insert(all.end(), states.begin(), states.end());
        return all;
    }
    [[nodiscard]] bool red_zones_intact() {
        return output.red_zone_intact() && decay_log.red_zone_intact() && beta.red_zone_intact() &&
               state.red_zone_intact() && projected.red_zone_intact();
    }

    index_t n_tokens, key, value, group, heads;
    Tensor<T, 3> projected;
    Tensor<T, 2> weight;
    Tensor<T, 1> bias, A_log, dt_bias;
    Tensor<T, 3> state;
    Tensor<T, 2> output, decay_log, beta;
};

}  // namespace

TEMPLATE_TEST_CASE("conv_gates is conv1d, l2norm and gates, bit for bit", "[conv_gates]", float,
                   double) {
    using T = TestType;
    for (const index_t n : {0, 1, 2, 70, 200}) {
        for (const index_t d_k : {4, 24, 260}) {  // 260: wider than a task, normed afterwards
            for (const index_t r : {1, 3}) {
                for (const bool with_bias : {false, true}) {
                    const index_t first = n / 3;
                    const std::vector<SequenceSpan> sequences{{first, n - first, 2, Start::fresh},
                                                              {0, first, 0, Start::resume}};
                    std::optional<HeadNorm> norm;
                    if (with_bias || d_k == 260) norm = HeadNorm{.d = d_k, .eps = 1e-3};
                    const auto problem = [&] {
                        std::mt19937 generator(151);
                        InputSide<T> side(n, d_k, r, 20, d_k == 4 ? 2 : 4);
                        side.random(generator);
                        return side;
                    };
                    InputSide<T> together = problem(), backwards = problem(), apart = problem();
                    TestBackend backend;
                    BackwardBackend backward;
                    run_conv_gates(backend, together.args(sequences, norm, with_bias));
                    run_conv_gates(backward, backwards.args(sequences, norm, with_bias));
                    const ConvGatesArgs<T> args = apart.args(sequences, norm, with_bias);
                    for (const Conv1dArgs<T>& part : args.convolutions()) run_conv1d(backend, part);
                    gates(backend, args.gates);
                    CAPTURE(n, d_k, r, with_bias);
                    CHECK(bit_equal(together.results(), apart.results()));
                    CHECK(bit_equal(backwards.results(), apart.results()));
                    CHECK(together.red_zones_intact());
                    ReferenceBackend reference;
                    InputSide<T> oracle = problem();
                    conv_gates(reference, oracle.args(sequences, norm, with_bias));
                    check_elements(together.results(), oracle.results(), eps<T>() * 150.0,
                                   eps<T>() * 100.0);
                }
            }
        }
    }
}

TEST_CASE("conv_gates: channels come in the order q, k, v, and v has no norm", "[conv_gates]") {
    const bool normed = GENERATE(false, true);
    std::mt19937 generator(152);
    InputSide<float> side(1, 4, 1, 6, 2);
    side.random(generator);
    side.state.fill(0.0F);
    side.weight.fill(1.0F);
    const SequenceSpan sequence{0, 1, 0, Start::fresh};
    std::optional<HeadNorm> norm;
    if (normed) norm = HeadNorm{.d = 4, .eps = 0.0};
    const ConvGatesArgs<float> args = side.args({&sequence, 1}, norm, false);
    TestBackend backend;
    run_conv_gates(backend, args);
    index_t channel = 0;
    for (const View<const float, 3>& input : {args.q, args.k, args.v}) {
        for (index_t g = 0; g < 2; ++g) {
            const auto silu = [&](index_t i) {
                const auto x = static_cast<double>(input(0, g, i));
                return x / (1.0 + std::exp(-x));
            };
            double squares = 0.0;
            for (index_t i = 0; i < input.size(2); ++i) squares += silu(i) * silu(i);
            const bool has_norm = normed && input.size(2) == 4;
            for (index_t i = 0; i < input.size(2); ++i, ++channel) {
                CHECK(static_cast<double>(side.output.view()(0, channel)) ==
                      Approx(silu(i) / (has_norm ? std::sqrt(squares) : 1.0)));
                CHECK(side.state.view()(0, 0, channel) == input(0, g, i));
            }
        }
    }
    CHECK(channel == 28);
}

TEST_CASE("conv_gates: mistakes are refused, and nothing is written", "[conv_gates][errors]") {
    using Args = ConvGatesArgs<float>;
    std::mt19937 generator(153);
    InputSide<float> side(5, 4, 1, 6, 4);
    side.random(generator);
    const std::vector<SequenceSpan> sequences{{0, 5, 2, Start::resume}};
    const std::vector<float> before = side.results();
    const auto refused = [&](const std::function<void(Args&)>& spoil) {
        Args args = side.args(sequences, HeadNorm{.d = 4}, true);
        spoil(args);
        TestBackend backend;
        ReferenceBackend reference;
        const std::string text = message_of([&] { run_conv_gates(backend, args); });
        CHECK(message_of([&] { conv_gates(reference, args); }) == text);
        CHECK(bit_equal(side.results(), before));
        return text;
    };
    const std::string overlap = ", found memory that overlaps it";
    CHECK(refused([](Args& a) { a.k = a.k.slice(0, 0, 4); }) ==
          "conv_gates: k: expected shape [5, 2, 4], found shape [4, 2, 4]");
    CHECK(refused([](Args& a) {
              a.v = {nullptr, a.v.shape()};
          }) == "conv_gates: v: expected data for shape [5, 2, 6], found a null pointer");
    CHECK(refused([](Args& a) { a.norm = HeadNorm{.d = 3}; }) ==
          "conv_gates: norm.d: expected a divisor of the 8 channels of q, found 3");
    CHECK(refused([](Args& a) { a.norm = HeadNorm{.d = 0}; }) ==
          "conv_gates: norm.d: expected a divisor of the 8 channels of q, found 0");
    CHECK(refused([](Args& a) { a.weight = a.weight.slice(1, 0, 1); }) ==
          "conv_gates: weight: expected 2 to 8 taps, found 1");
    CHECK(refused([](Args& a) { a.weight = a.weight.slice(0, 0, 27); }) ==
          "conv_gates: weight: expected shape [28, 4], found shape [27, 4]");
    CHECK(refused([](Args& a) { a.bias = a.bias.slice(0, 0, 27); }) ==
          "conv_gates: bias: expected shape [28], found shape [27]");
    CHECK(refused([](Args& a) { a.state = a.state.slice(1, 0, 2); }) ==
          "conv_gates: state: expected shape [3, 3, 28], found shape [3, 2, 28]");
    CHECK(refused([](Args& a) { a.output = a.output.slice(0, 0, 4); }) ==
          "conv_gates: output: expected shape [5, 28], found shape [4, 28]");
    CHECK(refused([](Args& a) { a.gates.a = a.gates.a.slice(0, 0, 4); }) ==
          "conv_gates.gates: a: expected shape [5, 2, 1], found shape [4, 2, 1]");
    CHECK(refused([](Args& a) { a.gates.beta = a.gates.decay_log; }) ==
          "conv_gates.gates: beta: expected memory apart from that of decay_log" + overlap);
    CHECK(refused([](Args& a) {
              a.gates.beta = {a.output.data(), {5, 2}};
          }) == "conv_gates: gates.beta: expected memory apart from that of output" + overlap);
    CHECK(refused([](Args& a) {
              a.gates.decay_log = {a.state.data(), {5, 2}};
          }) == "conv_gates: gates.decay_log: expected memory apart from that of state" + overlap);
    CHECK(refused([&](Args& a) {
              a.output = {side.projected.view().data(), {5, 28}};
          }) == "conv_gates: output: expected memory apart from that of q" + overlap);
    const SequenceSpan twice[] = {{0, 2, 1, Start::resume}, {2, 3, 1, Start::resume}};
    CHECK(refused([&](Args& a) { a.sequences = twice; }).starts_with("conv_gates: sequences[1]"));
}
