// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Where a chunked delta rule goes wrong while random tests still pass: decays of -3000 per token
/// among tiny ones, beta near 2 on one repeated key, zeros, and memory full of NaN.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Runs `problem` in the mode and compares with the double oracle on the same inputs.
template <class T>
void compare(DeltaProblem<T>& problem, const typename DeltaProblem<double>::Sizes& sizes,
             ScanMode mode, double bound) {
    DeltaProblem<double> expected(sizes);
    expected.copy_inputs(problem);
    expected.state.copy_from(problem.state);
    const SequenceSpan sequence{0, sizes.n_tokens, 0, Start::resume};
    TestBackend backend;
    ReferenceBackend reference;
    run_delta_rule(backend, problem.args({&sequence, 1}, mode));
    delta_rule(reference, expected.args({&sequence, 1}, ScanMode::recurrent), {});
    Tensor<double, 3> output({sizes.n_tokens, sizes.n_heads_k * sizes.heads_per_group, sizes.d_v});
    Tensor<double, 4> state({1, sizes.n_heads_k * sizes.heads_per_group, sizes.d_k, sizes.d_v});
    output.copy_from(problem.output);
    state.copy_from(problem.state);
    CHECK(relative_rms(output.values(), expected.output.values()) <= bound);
    CHECK(relative_rms(state.values(), expected.state.values()) <= bound);
}

}  // namespace

TEMPLATE_TEST_CASE("delta_rule: decays down to -3000 among tiny ones", "[delta_rule]", float,
                   double) {
    using T = TestType;
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        for (const double extreme : {-40.0, -3000.0}) {
            for (const std::uint32_t every : {2U, 7U, 40U}) {
                std::mt19937 generator(71);
                DeltaProblem<T> problem({150, 2, 2, 32, 24});
                problem.random(generator);
                problem.decay_log.for_each([&](T& g) {
                    g = static_cast<T>(generator() % every == 0
                                           ? extreme
                                           : -1e-3 * static_cast<double>(generator() % 10));
                });
                CAPTURE(static_cast<int>(mode), extreme, every);
                // The bounds of random data: nothing extra is granted.
                compare(problem, {150, 2, 2, 32, 24}, mode,
                        std::is_same_v<T, double> ? 1e-10 : 5e-6);
            }
        }
    }
}

TEMPLATE_TEST_CASE("delta_rule: an infinite decay forgets everything and nothing else",
                   "[delta_rule]", float, double) {
    using T = TestType;
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        std::mt19937 generator(72);
        DeltaProblem<T> problem({40, 1, 2, 16, 24});
        problem.random(generator);
        problem.decay_log.view()(20, 1) = -std::numeric_limits<T>::infinity();
        compare(problem, {40, 1, 2, 16, 24}, mode, std::is_same_v<T, double> ? 1e-10 : 5e-6);
    }
}

TEMPLATE_TEST_CASE("delta_rule: beta near 2 on one repeated key", "[delta_rule]", float, double) {
    using T = TestType;
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        std::mt19937 generator(73);
        DeltaProblem<T> problem({200, 1, 2, 32, 24});
        problem.random(generator);
        problem.beta.random(generator, 1.9, 1.999);
        problem.decay_log.random(generator, -0.01, 0);
        for (index_t t = 1; t < 200; ++t) {
            for (index_t i = 0; i < 32; ++i) problem.k.view()(t, 0, i) = problem.k.view()(0, 0, i);
        }
        CAPTURE(static_cast<int>(mode));
        // Each token reflects along k with a factor of up to -0.999: errors live for a thousand
        // tokens instead of dying within a few, and add up over the 200 here.
        compare(problem, {200, 1, 2, 32, 24}, mode, std::is_same_v<T, double> ? 1e-10 : 5e-5);
    }
}

TEMPLATE_TEST_CASE("delta_rule: beta 0 and decay 0 keep the state bit for bit", "[delta_rule]",
                   float, double) {
    using T = TestType;
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        std::mt19937 generator(74);
        DeltaProblem<T> problem({100, 1, 2, 17, 24});
        problem.random(generator);
        problem.beta.fill(T(0));
        problem.decay_log.fill(T(0));
        const std::vector<T> before = problem.state.values();
        const SequenceSpan sequence{0, 100, 0, Start::resume};
        TestBackend backend;
        run_delta_rule(backend, problem.args({&sequence, 1}, mode));
        CHECK(bit_equal(before, problem.state.values()));
    }
}

TEMPLATE_TEST_CASE("delta_rule: a fresh start does not see what the slot held", "[delta_rule]",
                   float, double) {
    using T = TestType;
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        for (const index_t n_tokens : {0, 1, 2, 65}) {
            std::mt19937 generator(75);
            DeltaProblem<T> zeros({n_tokens, 1, 2, 17, 24});
            zeros.random(generator);
            DeltaProblem<T> stale({n_tokens, 1, 2, 17, 24});
            stale.copy_from(zeros);
            zeros.state.fill(T(0));
            stale.state.fill(red_zone<T>());
            const SequenceSpan resume{0, n_tokens, 0, Start::resume};
            const SequenceSpan fresh{0, n_tokens, 0, Start::fresh};
            TestBackend backend;
            run_delta_rule(backend, zeros.args({&resume, 1}, mode));
            run_delta_rule(backend, stale.args({&fresh, 1}, mode));
            CAPTURE(static_cast<int>(mode), n_tokens);
            CHECK(bit_equal(zeros.output.values(), stale.output.values()));
            CHECK(bit_equal(zeros.state.values(), stale.state.values()));
        }
    }
}
