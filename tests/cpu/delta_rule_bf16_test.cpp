// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The chunked form with products in bfloat16, by the CPU's instruction where this arch has one and
/// emulated elsewhere. Every operand is rounded by at most 2^-9 of itself, once; a result is sums
/// of such products that are rounded four times on their way (state and key, u and key, u and P),
/// so its root mean square error stays below 4 x 2^-9 of it. What is not a product is float32.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr double kBound = 4 * 0x1p-9;

DeltaRuleArgs<float> args_of(DeltaProblem<float>& problem, std::span<const SequenceSpan> sequences,
                             ScanMode mode = ScanMode::chunked,
                             ScanCompute compute = ScanCompute::bf16_emulated) {
    DeltaRuleArgs<float> args = problem.args(sequences, mode);
    args.compute = compute;
    return args;
}

void compare(const DeltaProblem<float>::Sizes& sizes, std::mt19937& generator, Start start,
             index_t padding) {
    DeltaProblem<float> actual(sizes, padding, padding);
    actual.random(generator);
    DeltaProblem<double> expected({sizes.n_tokens, sizes.n_heads_k, sizes.heads_per_group,
                                   sizes.d_k, sizes.d_v, sizes.n_slots});
    expected.copy_inputs(actual);
    expected.state.copy_from(actual.state);
    if (start == Start::fresh) actual.state.fill(red_zone<float>());
    const SequenceSpan sequence{0, sizes.n_tokens, 0, start};
    TestBackend backend;
    ReferenceBackend reference;
    run_delta_rule(backend, args_of(actual, {&sequence, 1}));
    delta_rule(reference, expected.args({&sequence, 1}, ScanMode::recurrent), {});
    const auto error = [](auto& a, auto& e) {
        std::vector<double> values;
        for (const float x : a.values()) values.push_back(static_cast<double>(x));
        return relative_rms(values, e.values());
    };
    CAPTURE(sizes.n_tokens, sizes.heads_per_group, sizes.d_k, sizes.d_v, padding);
    CAPTURE(static_cast<int>(start));
    CHECK(error(actual.output, expected.output) <= kBound);
    CHECK(error(actual.state, expected.state) <= kBound);
    CHECK(actual.output.red_zone_intact());
    CHECK(actual.state.red_zone_intact());
}

}  // namespace

TEST_CASE("bf16 products agree with the oracle for every length", "[delta_rule]") {
    std::mt19937 generator(101);
    for (index_t n_tokens = 0; n_tokens <= 100; ++n_tokens) {
        const Start start = n_tokens % 2 == 0 ? Start::resume : Start::fresh;
        compare({n_tokens, 2, 2, 24, 40}, generator, start, 0);
    }
    compare({1000, 1, 2, 64, 64}, generator, Start::resume, 0);
}

TEST_CASE("bf16 products agree with the oracle for every head size and stride", "[delta_rule]") {
    std::mt19937 generator(102);
    for (const index_t d_k : counts_around(n_lanes<float>)) {
        for (const index_t d_v : counts_around(n_lanes<float>)) {
            if (d_k == 0) continue;
            compare({67, 1, 2, d_k, d_v}, generator, Start::resume, d_v % 2 * 3);
        }
    }
    compare({150, 1, 2, 128, 128}, generator, Start::resume, 0);
    compare({150, 1, 1, 96, 192}, generator, Start::fresh, 0);
}

TEST_CASE("bf16 products: numbers that bfloat16 holds are multiplied without error",
          "[delta_rule]") {
    // One token: with a zero state o = scale (q . k) beta v, all factors exact.
    DeltaProblem<float> problem({1, 1, 1, 16, 20});
    problem.q.fill(0.25F);
    problem.k.fill(0.25F);
    problem.v.fill(-1.5F);
    problem.decay_log.fill(-1.0F);
    problem.beta.fill(0.5F);
    const SequenceSpan sequence{0, 1, 0, Start::fresh};
    TestBackend backend;
    run_delta_rule(backend, args_of(problem, {&sequence, 1}));
    for (const float o : problem.output.values()) CHECK(o == 0.25F * 0.5F * -1.5F);
    for (const float s : problem.state.values()) CHECK(s == 0.25F * 0.5F * -1.5F);
}

TEST_CASE("bf16 products: cuts at the grid and tasks change no bit", "[delta_rule]") {
    std::mt19937 generator(103);
    constexpr index_t cut = 2 * kGridTokens;
    DeltaProblem<float> whole({cut + 30, 1, 2, 24, 72});
    whole.random(generator);
    DeltaProblem<float> parts({cut + 30, 1, 2, 24, 72});
    parts.copy_from(whole);
    const SequenceSpan all{0, cut + 30, 0, Start::resume};
    const SequenceSpan head{0, cut, 0, Start::resume};
    const SequenceSpan tail{cut, 30, 0, Start::resume};
    TestBackend backend;
    BackwardBackend backward;
    run_delta_rule(backend, args_of(whole, {&all, 1}));
    run_delta_rule(backward, args_of(parts, {&head, 1}));
    run_delta_rule(backward, args_of(parts, {&tail, 1}));
    CHECK(bit_equal(whole.output.values(), parts.output.values()));
    CHECK(bit_equal(whole.state.values(), parts.state.values()));
}

TEST_CASE("bf16 where there is no instruction is f32, and says so", "[delta_rule]") {
    const TestBackend backend;
    constexpr bool available = cpu::has_bf16_products<cpu::default_arch>;
    CHECK(backend.scan_compute(ScanCompute::f32) == ScanCompute::f32);
    CHECK(backend.scan_compute(ScanCompute::bf16) ==
          (available ? ScanCompute::bf16 : ScanCompute::f32));
    CHECK(backend.scan_compute(ScanCompute::bf16_emulated) ==
          (available ? ScanCompute::bf16 : ScanCompute::bf16_emulated));
    std::mt19937 generator(104);
    const auto result = [&](ScanCompute compute, ScanMode mode) {
        DeltaProblem<float> problem({40, 1, 1, 16, 16});
        generator.seed(104);
        problem.random(generator);
        const SequenceSpan sequence{0, 40, 0, Start::resume};
        TestBackend test_backend;
        run_delta_rule(test_backend, args_of(problem, {&sequence, 1}, mode, compute));
        return problem.output.values();
    };
    const auto plain = result(ScanCompute::f32, ScanMode::chunked);
    CHECK(bit_equal(result(ScanCompute::bf16, ScanMode::chunked), plain) == !available);
    CHECK(!bit_equal(result(ScanCompute::bf16_emulated, ScanMode::chunked), plain));
    CHECK(bit_equal(result(ScanCompute::bf16_emulated, ScanMode::recurrent),
                    result(ScanCompute::f32, ScanMode::recurrent)));
}

TEST_CASE("bf16 products: decays of -3000 among tiny ones", "[delta_rule]") {
    std::mt19937 generator(105);
    DeltaProblem<float> actual({70, 1, 1, 32, 32});
    actual.random(generator);
    actual.decay_log.for_each([&](float& g) { g = generator() % 7 == 0 ? -3000.0F : -1e-4F; });
    DeltaProblem<double> expected({70, 1, 1, 32, 32});
    expected.copy_inputs(actual);
    expected.state.copy_from(actual.state);
    const SequenceSpan sequence{0, 70, 0, Start::resume};
    TestBackend backend;
    ReferenceBackend reference;
    run_delta_rule(backend, args_of(actual, {&sequence, 1}));
    delta_rule(reference, expected.args({&sequence, 1}, ScanMode::recurrent), {});
    std::vector<double> output;
    for (const float x : actual.output.values()) output.push_back(static_cast<double>(x));
    CHECK(relative_rms(output, expected.output.values()) <= kBound);
}
