// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The oracle of the convolution against the formula over the whole history, for every width,
/// length and way to start.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include <deltanet/ops/conv1d.hpp>
#include <deltanet/reference/backend.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr index_t kGroups = 2, kGroupSize = 3, kChannels = kGroups * kGroupSize, kSlots = 3;

struct Problem {
    index_t n_tokens, width;
    std::vector<double> input, weight, bias, state, output;

    Problem(index_t n, index_t w) : n_tokens(n), width(w) {
        Random random(9);
        input = random.normals<double>(n * kChannels);
        weight = random.normals<double>(kChannels * w);
        bias = random.normals<double>(kChannels);
        state = random.normals<double>(kSlots * (w - 1) * kChannels);
        output.assign(input.size(), -99.0);
    }
    void run(const std::vector<SequenceSpan>& sequences, bool with_bias, bool silu) {
        ReferenceBackend backend;
        conv1d(backend, Conv1dArgs<double>{
                            .input = View<double, 3>{input.data(), {n_tokens, kGroups, kGroupSize}},
                            .weight = View<double, 2>{weight.data(), {kChannels, width}},
                            .bias = with_bias ? View<double, 1>{bias.data(), {kChannels}}
                                              : View<double, 1>{},
                            .state = {state.data(), {kSlots, width - 1, kChannels}},
                            .output = {output.data(), {n_tokens, kChannels}},
                            .sequences = sequences,
                            .silu = silu});
    }
};

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

/// All that a channel ever saw, oldest first: the state, then the sequence's rows.
std::vector<long double> history(const Problem& p, const SequenceSpan& s, index_t c) {
    std::vector<long double> u;
    for (index_t i = 0; i < p.width - 1; ++i) {
        const double old = p.state[at((s.slot * (p.width - 1) + i) * kChannels + c)];
        u.push_back(s.start == Start::fresh ? 0.0L : static_cast<long double>(old));
    }
    for (index_t t = 0; t < s.n_tokens; ++t) {
        u.push_back(static_cast<long double>(p.input[at((s.first_token + t) * kChannels + c)]));
    }
    return u;
}

/// Sums of at most 9 terms in double, then exp and a division: a few ulp of numbers around 1.
constexpr double kBound = 1e-14;

}  // namespace

TEST_CASE("conv1d equals the formula for every width and length", "[reference][conv1d]") {
    for (index_t width = 2; width <= 8; ++width) {
        for (index_t n = 0; n <= 10; ++n) {
            for (const Start start : {Start::resume, Start::fresh}) {
                for (const bool bias : {false, true}) {
                    for (const bool silu : {false, true}) {
                        Problem p(n + 2, width);  // a row in front and one behind are nobody's
                        const Problem given = p;
                        const SequenceSpan s{1, n, 2, start};
                        p.run({s}, bias, silu);
                        double worst = 0.0;
                        for (index_t c = 0; c < kChannels; ++c) {
                            const std::vector<long double> u = history(given, s, c);
                            for (index_t t = 0; t < n; ++t) {
                                long double y =
                                    bias ? static_cast<long double>(given.bias[at(c)]) : 0.0L;
                                for (index_t i = 0; i < width; ++i) {
                                    y += static_cast<long double>(given.weight[at(c * width + i)]) *
                                         u[at(t + i)];
                                }
                                if (silu) y = y / (1.0L + std::exp(-y));
                                const double actual = p.output[at((1 + t) * kChannels + c)];
                                worst = std::fmax(worst, std::abs(actual - static_cast<double>(y)));
                            }
                            for (index_t i = 0; i < width - 1; ++i) {  // the last W - 1 inputs, raw
                                const double kept =
                                    p.state[at((2 * (width - 1) + i) * kChannels + c)];
                                CHECK(kept == static_cast<double>(u[at(n + i)]));
                            }
                            CHECK(p.output[at(c)] == -99.0);
                            CHECK(p.output[at((n + 1) * kChannels + c)] == -99.0);
                        }
                        CAPTURE(width, n, static_cast<int>(start), bias, silu);
                        CHECK(worst < kBound);
                        for (index_t i = 0; i < 2 * (width - 1) * kChannels;
                             ++i) {  // slots 0 and 1
                            CHECK(p.state[at(i)] == given.state[at(i)]);
                        }
                    }
                }
            }
        }
    }
}

TEST_CASE("conv1d by hand", "[reference][conv1d]") {
    Problem p(2, 3);
    for (index_t c = 0; c < kChannels; ++c) {
        for (index_t i = 0; i < 3; ++i)
            p.weight[at(c * 3 + i)] = std::pow(10.0, static_cast<double>(i));
        p.state[at(c)] = 1.0;  // oldest
        p.state[at(kChannels + c)] = 2.0;
        p.input[at(c)] = 3.0;
        p.input[at(kChannels + c)] = 4.0;  // newest
    }
    p.run({{0, 2, 0, Start::resume}}, false, false);
    for (index_t c = 0; c < kChannels; ++c) {
        CHECK(p.output[at(c)] == 321.0);  // the last tap is the current token's
        CHECK(p.output[at(kChannels + c)] == 432.0);
        CHECK(p.state[at(c)] == 3.0);
        CHECK(p.state[at(kChannels + c)] == 4.0);
    }
}

TEST_CASE("conv1d: sequences do not see each other", "[reference][conv1d]") {
    Problem together(9, 4);
    Problem alone = together;
    together.run({{5, 4, 0, Start::resume}, {0, 5, 1, Start::fresh}}, true, true);
    alone.run({{0, 5, 1, Start::fresh}}, true, true);
    alone.run({{5, 4, 0, Start::resume}}, true, true);
    CHECK(bit_equal(together.output, alone.output));
    CHECK(bit_equal(together.state, alone.state));
}

TEST_CASE("conv1d: a sequence cut anywhere goes on as if it had not been", "[reference][conv1d]") {
    for (index_t cut = 0; cut <= 9; ++cut) {
        Problem whole(9, 5);
        Problem split = whole;
        whole.run({{0, 9, 1, Start::fresh}}, true, true);
        split.run({{0, cut, 1, Start::fresh}}, true, true);
        split.run({{cut, 9 - cut, 1, Start::resume}}, true, true);
        CHECK(bit_equal(split.output, whole.output));
        CHECK(bit_equal(split.state, whole.state));
    }
}

TEST_CASE("conv1d: what a fresh slot held cannot leak", "[reference][conv1d]") {
    for (const index_t n : {0, 1, 5}) {
        Problem p(n, 4);
        p.state.assign(p.state.size(), std::numeric_limits<double>::quiet_NaN());
        p.run({{0, n, 1, Start::fresh}}, false, true);
        for (const double y : p.output) CHECK(std::isfinite(y));
        for (index_t i = 0; i < 3 * kChannels; ++i)
            CHECK(std::isfinite(p.state[at(3 * kChannels + i)]));
    }
}
