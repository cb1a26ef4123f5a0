// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The oracle of the delta rule against numbers worked out by hand, against the recurrence in
/// matrix form and long double, and its two forms against each other.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "unit/reference_problem.hpp"
#include <deltanet/reference/delta_rule_chunked.hpp>

#include <cmath>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Two ways through the same hundreds of operations in double, whose eigenvalues do not exceed 1,
/// so that errors of 2^-53 add up and do not grow: far below this, which is what a wrong term never
/// reaches.
constexpr double kTwoOrders = 1e-10;
/// Against long double only the double side rounds.
constexpr double kOneOrder = 1e-12;

std::vector<SequenceSpan> whole_sequence(index_t n_tokens, Start start) {
    return {{0, n_tokens, 1, start}};
}

}  // namespace

TEST_CASE("delta rule by hand: decay then read then write then output", "[reference][delta_rule]") {
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked, ScanMode::automatic}) {
        ReferenceProblem p(
            {.n_tokens = 2, .n_heads_k = 1, .r = 1, .d_k = 2, .d_v = 1, .n_slots = 1});
        p.state = {8.0, 4.0};
        p.k = {1.0, 0.0, 0.0, 1.0};
        p.q = {1.0, 1.0, 2.0, 1.0};
        p.v = {10.0, 3.0};
        p.decay_log = {std::log(0.5), 0.0};
        p.beta = {0.5, 1.0};
        p.scale = 3.0;
        const std::vector<SequenceSpan> spans{{0, 2, 0, Start::resume}};
        p.run(spans, mode);
        // token 0: S~ = (4, 2), read 4, u = 0.5 (10 - 4) = 3, S = (7, 2), o = 3 (7 + 2) = 27
        // token 1: S~ = (7, 2), read 2, u = 3 - 2 = 1,        S = (7, 3), o = 3 (14 + 3) = 51
        // powers of two and small integers: exact but for log(0.5), which is half an ulp off
        CAPTURE(static_cast<int>(mode));
        CHECK(std::abs(p.output[0] - 27.0) < 1e-13);
        CHECK(std::abs(p.output[1] - 51.0) < 1e-13);
        CHECK(std::abs(p.state[0] - 7.0) < 1e-13);
        CHECK(std::abs(p.state[1] - 3.0) < 1e-13);
    }
}

TEST_CASE("delta rule: the default scale is that of the key head size", "[reference][delta_rule]") {
    const std::vector<SequenceSpan> spans{{0, 1, 0, Start::fresh}};
    ReferenceProblem p({.n_tokens = 1, .n_heads_k = 1, .r = 1, .d_k = 4, .d_v = 9, .n_slots = 1});
    p.k = p.q = {1.0, 0.0, 0.0, 0.0};
    p.beta = {1.0};
    p.run(spans, ScanMode::recurrent);
    for (std::size_t j = 0; j < 9; ++j) CHECK(p.output[j] == 0.5 * p.v[j]);
}

TEST_CASE("delta rule: a value head reads the key head of its map", "[reference][delta_rule]") {
    // key head g writes e_g: which row of the state is filled tells which key was read
    const std::vector<SequenceSpan> spans{{0, 1, 0, Start::fresh}};
    for (const HeadMap map : {HeadMap::grouped, HeadMap::tiled}) {
        ReferenceProblem p(
            {.n_tokens = 1, .n_heads_k = 3, .r = 2, .d_k = 3, .d_v = 1, .n_slots = 1});
        p.head_map = map;
        p.k = p.q = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0};
        p.v.assign(6, 1.0);
        p.beta.assign(6, 1.0);
        p.run(spans, ScanMode::recurrent);
        const std::vector<std::size_t> expected = map == HeadMap::grouped
                                                      ? std::vector<std::size_t>{0, 0, 1, 1, 2, 2}
                                                      : std::vector<std::size_t>{0, 1, 2, 0, 1, 2};
        for (std::size_t h = 0; h < 6; ++h) {
            for (std::size_t i = 0; i < 3; ++i)
                CHECK(p.state[h * 3 + i] == (i == expected[h] ? 1.0 : 0.0));
        }
    }
}

TEST_CASE("delta rule: both forms equal the matrix form", "[reference][delta_rule]") {
    const std::vector<SequenceSpan> spans{
        {9, 6, 0, Start::resume}, {0, 9, 2, Start::fresh}, {15, 1, 1, Start::resume}};
    for (index_t r = 1; r <= 4; ++r) {
        for (const HeadMap map : {HeadMap::grouped, HeadMap::tiled}) {
            for (const double scale : {0.0, 0.3}) {
                ReferenceProblem expected({.n_tokens = 17,
                                           .n_heads_k = 2,
                                           .r = r,
                                           .d_k = 5,
                                           .d_v = 7,
                                           .n_slots = 4,
                                           .per_channel = scale != 0.0});
                expected.head_map = map;
                expected.scale = scale;
                ReferenceProblem recurrent = expected;
                ReferenceProblem chunked = expected;
                ReferenceProblem in_fives = expected;
                run_matrix_form(expected, spans);
                recurrent.run(spans, ScanMode::recurrent);
                chunked.run(spans, ScanMode::chunked);
                reference::delta_rule_chunked(in_fives.args(spans, ScanMode::chunked), 5);
                CAPTURE(r, static_cast<int>(map), scale);
                for (const ReferenceProblem* p : {&recurrent, &chunked, &in_fives}) {
                    CHECK(relative_rms(p->output, expected.output) < kOneOrder);
                    CHECK(relative_rms(p->state, expected.state) < kOneOrder);
                }
                // row 16 and slot 3 are nobody's
                const auto row = static_cast<std::ptrdiff_t>(16 * expected.heads() * 7);
                CHECK(std::vector<double>(recurrent.output.begin() + row, recurrent.output.end()) ==
                      std::vector<double>(static_cast<std::size_t>(expected.heads() * 7), -99.0));
            }
        }
    }
}

TEST_CASE("delta rule: chunked equals recurrent for every length around the chunks",
          "[reference][delta_rule]") {
    for (const index_t n_tokens : {0, 1, 2, 63, 64, 65, 127, 128, 129, 200}) {
        for (const Start start : {Start::resume, Start::fresh}) {
            ReferenceProblem recurrent(
                {.n_tokens = n_tokens, .n_heads_k = 2, .r = 2, .d_k = 6, .d_v = 9});
            const ReferenceProblem given = recurrent;
            const std::vector<SequenceSpan> spans = whole_sequence(n_tokens, start);
            recurrent.run(spans, ScanMode::recurrent);
            for (const index_t chunk : {1, 16, 64}) {
                ReferenceProblem chunked = given;
                reference::delta_rule_chunked(chunked.args(spans, ScanMode::chunked), chunk);
                CAPTURE(n_tokens, chunk, static_cast<int>(start));
                CHECK(relative_rms(chunked.output, recurrent.output) < kTwoOrders);
                CHECK(relative_rms(chunked.state, recurrent.state) < kTwoOrders);
            }
            ReferenceProblem chunked = given;
            chunked.run(spans, ScanMode::chunked);
            CHECK(relative_rms(chunked.output, recurrent.output) < kTwoOrders);
        }
    }
}

TEST_CASE("delta rule: a sequence in two calls equals one call to the last bit",
          "[reference][delta_rule]") {
    for (const index_t cut : {1, 7, 19}) {
        ReferenceProblem whole({.n_tokens = 20, .n_heads_k = 1, .r = 3, .d_k = 4, .d_v = 6});
        ReferenceProblem split = whole;
        whole.run(whole_sequence(20, Start::fresh), ScanMode::recurrent);
        const std::vector<SequenceSpan> first{{0, cut, 1, Start::fresh}};
        const std::vector<SequenceSpan> second{{cut, 20 - cut, 1, Start::resume}};
        split.run(first, ScanMode::recurrent);
        split.run(second, ScanMode::recurrent);
        CHECK(bit_equal(split.output, whole.output));
        CHECK(bit_equal(split.state, whole.state));
    }
}

TEST_CASE("delta rule: beta of 0 only decays and a gate of 0 does not", "[reference][delta_rule]") {
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        ReferenceProblem p(
            {.n_tokens = 3, .n_heads_k = 1, .r = 1, .d_k = 3, .d_v = 4, .n_slots = 2});
        const std::vector<double> before = p.state;
        p.beta.assign(3, 0.0);
        p.decay_log = {0.0, -1.0, 0.0};
        p.run(whole_sequence(3, Start::resume), mode);
        for (std::size_t i = 0; i < 12; ++i) {
            CHECK(p.state[i] == before[i]);  // slot 0
            CHECK(std::abs(p.state[12 + i] - std::exp(-1.0) * before[12 + i]) < 1e-15);
        }
    }
}
