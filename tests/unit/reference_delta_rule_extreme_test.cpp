// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The oracle of the delta rule where kernels go wrong: decays down to e^-3000, beta at the edge of
/// stability, states full of NaN, sequences without tokens.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "unit/reference_problem.hpp"
#include <deltanet/reference/delta_rule_chunked.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr double kTwoOrders = 1e-10;  // see reference_delta_rule_test.cpp
const std::vector<ScanMode> kModes{ScanMode::recurrent, ScanMode::chunked};

bool all_finite(const std::vector<double>& values) {
    for (const double x : values) {
        if (!std::isfinite(x)) return false;
    }
    return true;
}

/// Runs recurrent and in chunks of 1, 16 and 64, and expects finite and equal results.
void check_all_forms(const ReferenceProblem& given, Start start) {
    const std::vector<SequenceSpan> spans{{0, given.sizes.n_tokens, 1, start}};
    ReferenceProblem recurrent = given;
    recurrent.run(spans, ScanMode::recurrent);
    CHECK(all_finite(recurrent.output));
    CHECK(all_finite(recurrent.state));
    ReferenceProblem matrix = given;
    run_matrix_form(matrix, {spans.begin(), spans.end()});
    CHECK(relative_rms(recurrent.output, matrix.output) < kTwoOrders);
    CHECK(relative_rms(recurrent.state, matrix.state) < kTwoOrders);
    for (const index_t chunk : {1, 16, 64}) {
        ReferenceProblem chunked = given;
        reference::delta_rule_chunked(chunked.args(spans, ScanMode::chunked), chunk);
        CAPTURE(chunk);
        CHECK(all_finite(chunked.output));
        CHECK(all_finite(chunked.state));
        CHECK(relative_rms(chunked.output, recurrent.output) < kTwoOrders);
        CHECK(relative_rms(chunked.state, recurrent.state) < kTwoOrders);
    }
}

}  // namespace

TEST_CASE("delta rule: decays down to e^-3000 among tiny ones", "[reference][delta_rule]") {
    // e^3000 and e^-3000 are no doubles, their sums inside a chunk even less: only differences may
    // be exponentiated
    for (const index_t n_tokens : {5, 64, 130}) {
        ReferenceProblem p({.n_tokens = n_tokens, .n_heads_k = 2, .r = 2, .d_k = 6, .d_v = 8});
        Random random(77);
        for (double& g : p.decay_log) {
            const index_t kind = random.integer(0, 3);
            g = kind == 0   ? random.uniform(-3000.0, -100.0)
                : kind == 1 ? random.uniform(-2.0, 0.0)
                            : -1e-9;
        }
        CAPTURE(n_tokens);
        check_all_forms(p, Start::resume);
        check_all_forms(p, Start::fresh);
    }
}

TEST_CASE("delta rule: a decay of minus infinity forgets everything", "[reference][delta_rule]") {
    for (const ScanMode mode : kModes) {
        ReferenceProblem p({.n_tokens = 6, .n_heads_k = 1, .r = 1, .d_k = 4, .d_v = 3});
        for (const std::size_t t : {0U, 3U})
            p.decay_log[t] = -std::numeric_limits<double>::infinity();
        ReferenceProblem later = p;
        const std::vector<SequenceSpan> all{{0, 6, 1, Start::resume}};
        const std::vector<SequenceSpan> rest{{3, 3, 1, Start::fresh}};  // from the second loss on
        p.run(all, mode);
        later.run(rest, mode);
        CHECK(all_finite(p.output));
        CHECK(relative_rms(p.state, later.state) < kTwoOrders);
    }
}

TEST_CASE("delta rule: beta close to 2 with the same unit key again and again",
          "[reference][delta_rule]") {
    // I - beta k k^T has the eigenvalue -0.999: the worst that a stable rule can do
    for (const double decay_log : {0.0, -0.001}) {
        ReferenceProblem p({.n_tokens = 200, .n_heads_k = 1, .r = 2, .d_k = 5, .d_v = 7});
        for (std::size_t t = 1; t < 200; ++t)
            std::copy_n(p.k.begin(), 5, p.k.begin() + static_cast<std::ptrdiff_t>(t) * 5);
        p.beta.assign(p.beta.size(), 1.999);
        p.decay_log.assign(p.decay_log.size(), decay_log);
        check_all_forms(p, Start::resume);
    }
}

TEST_CASE("delta rule: the triangular system really couples tokens", "[reference][delta_rule]") {
    // with orthogonal keys tokens do not see each other, with equal ones they do: a solve that
    // dropped the coupling would pass the first and fail the second
    for (const bool equal_keys : {false, true}) {
        ReferenceProblem p({.n_tokens = 3, .n_heads_k = 1, .r = 1, .d_k = 3, .d_v = 1});
        p.k = equal_keys ? std::vector<double>{1, 0, 0, 1, 0, 0, 1, 0, 0}
                         : std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0, 1};
        p.q = {1, 1, 1, 1, 1, 1, 1, 1, 1};
        p.v = {8, 8, 8};
        p.beta = {0.5, 0.5, 0.5};
        p.decay_log = {0, 0, 0};
        p.scale = 1.0;
        const std::vector<SequenceSpan> spans{{0, 3, 0, Start::fresh}};
        p.run(spans, ScanMode::chunked);
        CHECK(p.output ==
              (equal_keys ? std::vector<double>{4, 6, 7} : std::vector<double>{4, 8, 12}));
    }
}

TEST_CASE("delta rule: a sequence without tokens clears a fresh slot and leaves a resumed one",
          "[reference][delta_rule]") {
    for (const ScanMode mode : kModes) {
        ReferenceProblem p(
            {.n_tokens = 2, .n_heads_k = 1, .r = 2, .d_k = 3, .d_v = 4, .n_slots = 3});
        const std::vector<double> before = p.state;
        const std::vector<SequenceSpan> spans{{0, 0, 0, Start::resume}, {2, 0, 2, Start::fresh}};
        p.run(spans, mode);
        const std::size_t slot = 24;
        for (std::size_t i = 0; i < slot; ++i) {
            CHECK(p.state[i] == before[i]);
            CHECK(p.state[slot + i] == before[slot + i]);  // not named at all
            CHECK(p.state[2 * slot + i] == 0.0);
        }
        CHECK(p.output == std::vector<double>(p.output.size(), -99.0));
    }
}

TEST_CASE("delta rule: what a fresh slot held cannot leak", "[reference][delta_rule]") {
    for (const double stale : {std::numeric_limits<double>::quiet_NaN(),
                               std::numeric_limits<double>::infinity(), 1e30}) {
        for (const ScanMode mode : kModes) {
            ReferenceProblem clean({.n_tokens = 70, .n_heads_k = 1, .r = 2, .d_k = 3, .d_v = 4});
            clean.state.assign(clean.state.size(), 0.0);
            ReferenceProblem dirty = clean;
            dirty.state.assign(dirty.state.size(), stale);
            const std::vector<SequenceSpan> resumed{{0, 70, 1, Start::resume}};
            const std::vector<SequenceSpan> fresh{{0, 70, 1, Start::fresh}};
            clean.run(resumed, mode);  // from zeros that are really there
            dirty.run(fresh, mode);
            CHECK(bit_equal(dirty.output, clean.output));
            for (std::size_t i = 0; i < 24; ++i) {
                CHECK(dirty.state[24 + i] == clean.state[24 + i]);
                CHECK_FALSE(dirty.state[i] == 0.0);  // slot 0 is another's
            }
        }
    }
}
