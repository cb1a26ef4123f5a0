// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The delta rule with a decay per key channel against the oracle in double. Bounds are those of
/// one decay per head (delta_rule_test.cpp, delta_rule_bf16_test.cpp): a product of C factors is no
/// less accurate than a sum of C logarithms.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

template <class T>
using Sizes = typename DeltaProblem<T>::Sizes;

template <class T>
double bound(ScanMode mode, ScanCompute compute) {
    if (compute != ScanCompute::f32) return 1e-2;
    if constexpr (std::is_same_v<T, double>) return 1e-10;
    return mode == ScanMode::recurrent ? 2e-6 : 5e-6;
}

template <class T>
Sizes<double> in_double(const Sizes<T>& s) {
    return {s.n_tokens, s.n_heads_k, s.heads_per_group, s.d_k, s.d_v, s.n_slots, s.per_channel};
}

/// Runs `actual` with the backend and compares with the oracle on the same inputs.
template <class T, class Backend>
void check_problem(Backend& backend, DeltaProblem<T>& actual, const Sizes<T>& sizes, ScanMode mode,
                   HeadMap map, Start start, ScanCompute compute = ScanCompute::f32) {
    DeltaProblem<double> expected(in_double<T>(sizes));
    expected.copy_inputs(actual);
    expected.state.copy_from(actual.state);
    if (start == Start::fresh) actual.state.fill(red_zone<T>());
    const SequenceSpan sequence{0, sizes.n_tokens, 0, start};
    DeltaRuleArgs<T> args = actual.args({&sequence, 1}, mode, map);
    args.compute = compute;
    run_delta_rule(backend, args);
    ReferenceBackend reference;
    delta_rule(reference, expected.args({&sequence, 1}, ScanMode::recurrent, map), {});
    CAPTURE(sizes.n_tokens, sizes.heads_per_group, sizes.d_k, sizes.d_v);
    CAPTURE(static_cast<int>(mode), static_cast<int>(map), static_cast<int>(start));
    const auto doubles = [](const std::vector<T>& values) {
        return std::vector<double>(values.begin(), values.end());
    };
    CHECK(relative_rms(doubles(actual.output.values()), expected.output.values()) <=
          bound<T>(mode, compute));
    CHECK(relative_rms(doubles(actual.state.values()), expected.state.values()) <=
          bound<T>(mode, compute));
    CHECK(actual.output.red_zone_intact());
    CHECK(actual.state.red_zone_intact());
}

template <class T>
void compare(Sizes<T> sizes, std::mt19937& generator, ScanMode mode, HeadMap map = HeadMap::grouped,
             Start start = Start::resume, index_t misalign = 0,
             ScanCompute compute = ScanCompute::f32) {
    sizes.per_channel = true;
    DeltaProblem<T> problem(sizes, misalign == 0 ? 0 : 5, misalign);
    problem.random(generator);
    TestBackend backend;
    check_problem<T>(backend, problem, sizes, mode, map, start, compute);
}

constexpr ScanMode kModes[] = {ScanMode::recurrent, ScanMode::chunked};

}  // namespace

TEMPLATE_TEST_CASE("channel decays agree with the oracle for every length", "[delta_rule]", float,
                   double) {
    std::mt19937 generator(121);
    for (index_t n = 0; n <= 100; ++n) {
        const Start start = n % 2 == 0 ? Start::resume : Start::fresh;
        for (const ScanMode mode : kModes)
            compare<TestType>({n, 2, 2, 24, 40}, generator, mode, HeadMap::grouped, start);
    }
}

TEMPLATE_TEST_CASE("channel decays agree with the oracle at the published head sizes",
                   "[delta_rule]", float, double) {
    std::mt19937 generator(122);
    for (const ScanMode mode : kModes) {
        compare<TestType>({150, 2, 1, 128, 128}, generator, mode);
        compare<TestType>({70, 1, 1, 96, 192}, generator, mode, HeadMap::grouped, Start::fresh);
    }
}

TEMPLATE_TEST_CASE("channel decays agree with the oracle for every head size and alignment",
                   "[delta_rule]", float, double) {
    std::mt19937 generator(123);
    for (const index_t d_k : counts_around(n_lanes<TestType>)) {
        for (const index_t d_v : counts_around(n_lanes<TestType>)) {
            if (d_k == 0) continue;
            for (const ScanMode mode : kModes) {
                compare<TestType>({35, 1, 2, d_k, d_v}, generator, mode, HeadMap::grouped,
                                  Start::resume, d_v % 4);
            }
        }
    }
}

TEMPLATE_TEST_CASE("channel decays agree with the oracle for both head maps and every group size",
                   "[delta_rule]", float, double) {
    std::mt19937 generator(124);
    for (index_t r = 1; r <= 4; ++r) {
        for (const HeadMap map : {HeadMap::grouped, HeadMap::tiled}) {
            for (const ScanMode mode : kModes)
                compare<TestType>({37, 3, r, 16, 20}, generator, mode, map, Start::resume, 1);
        }
    }
}

TEST_CASE("channel decays with bf16 products", "[delta_rule]") {
    std::mt19937 generator(125);
    for (const index_t n : {1, 2, 17, 31, 32, 33, 100}) {
        for (const index_t d_k : {1, 17, 32}) {
            compare<float>({n, 1, 2, d_k, 40}, generator, ScanMode::chunked, HeadMap::grouped,
                           Start::resume, 0, ScanCompute::bf16_emulated);
        }
    }
}

TEMPLATE_TEST_CASE("channel decays from none to all in one token", "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(126);
    for (const double extreme : {-5.0, -40.0, -3000.0, -std::numeric_limits<double>::infinity()}) {
        for (const std::uint32_t every : {1U, 2U, 7U}) {
            for (const ScanMode mode : kModes) {
                const Sizes<T> sizes{90, 1, 2, 32, 24, 1, true};
                DeltaProblem<T> problem(sizes);
                problem.random(generator);
                problem.channel_decay_log.for_each([&](T& g) {
                    g = static_cast<T>(generator() % every == 0
                                           ? extreme
                                           : -1e-3 * static_cast<double>(generator() % 10));
                });
                CAPTURE(extreme, every);
                TestBackend backend;
                check_problem<T>(backend, problem, sizes, mode, HeadMap::grouped, Start::resume);
            }
        }
    }
}

TEMPLATE_TEST_CASE("channels that decay alike are one decay per head", "[delta_rule]", float,
                   double) {
    using T = TestType;
    for (const ScanMode mode : kModes) {
        std::mt19937 generator(127);
        const Sizes<T> sizes{70, 2, 2, 20, 24, 1, true};
        DeltaProblem<T> channels(sizes);
        channels.random(generator);
        for (index_t t = 0; t < 70; ++t) {
            for (index_t h = 0; h < 4; ++h) {
                for (index_t i = 0; i < 20; ++i)
                    channels.channel_decay_log.view()(t, h, i) = channels.decay_log.view()(t, h);
            }
        }
        DeltaProblem<T> heads({70, 2, 2, 20, 24, 1, false});
        heads.q.copy_from(channels.q);
        heads.k.copy_from(channels.k);
        heads.v.copy_from(channels.v);
        heads.decay_log.copy_from(channels.decay_log);
        heads.beta.copy_from(channels.beta);
        heads.state.copy_from(channels.state);
        const SequenceSpan sequence{0, 70, 0, Start::resume};
        TestBackend backend;
        run_delta_rule(backend, channels.args({&sequence, 1}, mode));
        run_delta_rule(backend, heads.args({&sequence, 1}, mode));
        const double tolerance = 2 * bound<T>(mode, ScanCompute::f32);
        CHECK(relative_rms(channels.output.values(), heads.output.values()) <= tolerance);
        CHECK(relative_rms(channels.state.values(), heads.state.values()) <= tolerance);
    }
}

TEMPLATE_TEST_CASE("channel decays: cuts, workers and windows change no bit", "[delta_rule]", float,
                   double) {
    using T = TestType;
    constexpr index_t cut = 20 * kGridTokens, n = cut + 13;
    for (const ScanMode mode : kModes) {
        std::mt19937 generator(128);
        const Sizes<T> sizes{n, 1, 3, 20, 72, 1, true};
        DeltaProblem<T> whole(sizes, 3, 1);
        whole.random(generator);
        DeltaProblem<T> parts(sizes, 3, 1);
        parts.copy_from(whole);
        const SequenceSpan all{0, n, 0, Start::resume};
        const SequenceSpan head{0, cut, 0, Start::resume};
        const SequenceSpan tail{cut, n - cut, 0, Start::resume};
        TestBackend alone;
        BackwardBackend many(BackwardExecutor{6});
        const DeltaRuleArgs<T> first = parts.args({&head, 1}, mode);
        const cpu::DeltaSizes in_windows = cpu::DeltaCall<cpu::default_arch, T>::sizes(first, 6);
        CHECK((in_windows.window_tokens > 0) == (mode == ScanMode::chunked));
        run_delta_rule(alone, whole.args({&all, 1}, mode));
        run_delta_rule(many, first);
        run_delta_rule(many, parts.args({&tail, 1}, mode));
        CHECK(bit_equal(whole.output.values(), parts.output.values()));
        CHECK(bit_equal(whole.state.values(), parts.state.values()));
    }
}

TEST_CASE("channel decays with a state in 16 bits", "[delta_rule]") {
    std::mt19937 generator(129);
    for (const ScanMode mode : kModes) {
        const Sizes<float> sizes{30, 1, 2, 24, 40, 1, true};
        DeltaProblem<float> problem(sizes);
        problem.random(generator);
        std::vector<bf16> stored;
        for (float& s : std::vector<float>(problem.state.values())) stored.push_back(to_bf16(s));
        DeltaProblem<double> expected(in_double<float>(sizes));
        expected.copy_inputs(problem);
        std::size_t i = 0;
        expected.state.for_each([&](double& s) { s = static_cast<double>(to_float(stored[i++])); });
        const SequenceSpan sequence{0, 30, 0, Start::resume};
        DeltaRuleArgs<float> args = problem.args({&sequence, 1}, mode);
        args.state = View<bf16, 4>(stored.data(), {1, 2, 24, 40});
        TestBackend backend;
        ReferenceBackend reference;
        run_delta_rule(backend, args);
        delta_rule(reference, expected.args({&sequence, 1}, ScanMode::recurrent), {});
        const std::vector<float> output = problem.output.values();
        CHECK(relative_rms(std::vector<double>(output.begin(), output.end()),
                           expected.output.values()) <= 5e-6);
        std::vector<double> state;
        for (const bf16 s : stored) state.push_back(static_cast<double>(to_float(s)));
        // Rounded once: at most half a unit in the 8th bit.
        CHECK(relative_rms(state, expected.state.values()) <= 0x1p-9);
    }
}
