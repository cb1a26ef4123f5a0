// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Pending updates against a replay of all tokens by the oracle without them, in double: random
/// steps and rollbacks, trees, every capacity, storage type and size around the vector lanes. The
/// bounds are those of the recurrent form (delta_rule_test.cpp), doubled for the updates' own
/// rounding to T.
#include "pending_slots.hpp"

using namespace deltanet;
using namespace deltanet::test;

TEMPLATE_TEST_CASE("pending updates: random steps and rollbacks are a replay", "[delta_rule]",
                   float, double) {
    using T = TestType;
    TestBackend backend;
    for (const index_t capacity : {1, 2, 4, 8, 17, 32}) {
        std::mt19937 random(static_cast<std::uint32_t>(130 + capacity));
        Slots<T> slots({2, 2, 20, 40, capacity}, 131);
        CAPTURE(capacity);
        for (int program = 0; program < 12; ++program) {
            std::vector<typename Slots<T>::Step> steps;
            for (index_t slot = 0; slot < 3; ++slot) {
                const auto longest = static_cast<std::uint32_t>(capacity + 3);
                const auto n = static_cast<index_t>(random() % longest);
                steps.push_back({slot, n, random() % 9 == 0 ? Start::fresh : Start::resume});
            }
            slots.run(backend, steps);
            for (index_t slot = 0; slot < 3; ++slot) {
                const auto pending =
                    static_cast<std::uint32_t>(slots.pending[static_cast<std::size_t>(slot)]);
                slots.rollback(slot, static_cast<index_t>(random() % (pending + 1)));
                slots.check_state(slot);
            }
        }
    }
}

TEMPLATE_TEST_CASE("pending updates: every head size around the lanes, group size and head map",
                   "[delta_rule]", float, double) {
    using T = TestType;
    BackwardBackend backend;
    for (const index_t d : counts_around(n_lanes<T>)) {
        if (d == 0) continue;
        for (const HeadMap map : {HeadMap::grouped, HeadMap::tiled}) {
            Slots<T> slots({2, 1 + d % 3, d, d + 3, 6}, 132);
            CAPTURE(d, static_cast<int>(map));
            for (const index_t n : {1, 2, 3, 5, 1, 4, 9, 1, 1})
                slots.run(backend, {{0, n}, {2, 1}}, map);
            slots.check_state(0, map);
            slots.check_state(2, map);
        }
    }
    Slots<T> published({1, 2, 128, 128, 8}, 133);
    for (const index_t n : {1, 4, 4, 8, 1, 2}) published.run(backend, {{1, n}});
    published.check_state(1);
}

TEMPLATE_TEST_CASE("pending updates: each branch of a tree is a chain", "[delta_rule]", float,
                   double) {
    using T = TestType;
    TestBackend backend;
    std::mt19937 random(134);
    for (const index_t capacity : {8, 31}) {
        for (int round = 0; round < 6; ++round) {
            Slots<T> slots({1, 2, 24, 40, capacity}, 135);
            slots.run(backend, {{0, 3}});  // the tree stands on updates, or they have to be folded
            const index_t n = round < 3 ? capacity - 3 : capacity;
            std::vector<index_t> parents;
            for (index_t t = 0; t < n; ++t)
                parents.push_back(
                    static_cast<index_t>(random() % static_cast<std::uint32_t>(t + 1)) - 1);
            CAPTURE(capacity, round);
            slots.run(backend, {{0, n, Start::resume, parents}, {1, 2}});
            CHECK(slots.pending[0] == (round < 3 ? capacity : n));
            slots.rollback(0, n);
            slots.check_state(0);
            slots.run(backend, {{0, 2}});
        }
    }
}

TEST_CASE("pending updates: with room for one, decoding has the bits of a state that is written",
          "[delta_rule]") {
    std::mt19937 generator(136);
    constexpr index_t n = 20, d_k = 24, d_v = 72;
    DeltaProblem<float> written({n, 1, 2, d_k, d_v});
    written.random(generator);
    DeltaProblem<float> pending({n, 1, 2, d_k, d_v});
    pending.copy_from(written);
    Tensor<float, 4> k({1, 1, 1, d_k}), u({1, 1, 2, d_v});
    Tensor<float, 3> g({1, 1, 2});
    TestBackend backend;
    for (index_t t = 0; t < n; ++t) {
        SequenceSpan span{t, 1, 0, Start::resume};
        run_delta_rule(backend, written.args({&span, 1}, ScanMode::automatic));
        span.pending = t == 0 ? 0 : 1;
        DeltaRuleArgs<float> args = pending.args({&span, 1}, ScanMode::automatic);
        args.pending = {k.view(), u.view(), g.view()};
        run_delta_rule(backend, args);
    }
    CHECK(bit_equal(written.output.values(), pending.output.values()));
    // The last update is still to be written: a step without room for it does.
    SequenceSpan span{0, 1, 0, Start::resume, 1};
    DeltaRuleArgs<float> args = pending.args({&span, 1}, ScanMode::automatic);
    args.pending = {k.view(), u.view(), g.view()};
    run_delta_rule(backend, args);
    CHECK(bit_equal(written.state.values(), pending.state.values()));
}

TEST_CASE("pending updates: a 16-bit state is only written when updates are folded",
          "[delta_rule]") {
    std::mt19937 generator(137);
    constexpr index_t d = 32, capacity = 4;
    DeltaProblem<float> problem({capacity + 1, 1, 1, d, d});
    problem.random(generator);
    Tensor<float, 4> k({1, capacity, 1, d}), u({1, capacity, 1, d});
    Tensor<float, 3> g({1, capacity, 1});
    std::vector<bf16> state;
    for (const float s : problem.state.values()) state.push_back(to_bf16(s));
    const std::vector<bf16> before = state;
    TestBackend backend;
    const auto step = [&](index_t first, index_t n, index_t pending) {
        const SequenceSpan span{first, n, 0, Start::resume, pending};
        DeltaRuleArgs<float> args = problem.args({&span, 1}, ScanMode::automatic);
        args.state = View<bf16, 4>(state.data(), {1, 1, d, d});
        args.pending = {k.view(), u.view(), g.view()};
        run_delta_rule(backend, args);
    };
    const auto is_unchanged = [&] {
        return std::memcmp(state.data(), before.data(), state.size() * sizeof(bf16)) == 0;
    };
    step(0, capacity, 0);
    CHECK(is_unchanged());
    step(capacity, 1, capacity);
    CHECK_FALSE(is_unchanged());
    // What was folded in float, from a state that bfloat16 holds, rounded once.
    DeltaProblem<double> exact({capacity + 1, 1, 1, d, d});
    exact.copy_inputs(problem);
    std::size_t i = 0;
    exact.state.for_each([&](double& s) { s = static_cast<double>(to_float(before[i++])); });
    const SequenceSpan span{0, capacity, 0, Start::resume};
    ReferenceBackend reference;
    delta_rule(reference, exact.args({&span, 1}, ScanMode::recurrent), {});
    std::vector<double> actual;
    for (const bf16 s : state) actual.push_back(static_cast<double>(to_float(s)));
    CHECK(relative_rms(actual, exact.state.values()) <= 0x1p-9);
    // The last token read the rounded state: closed loop.
    DeltaProblem<double> last({capacity + 1, 1, 1, d, d});
    last.copy_inputs(problem);
    i = 0;
    last.state.for_each([&](double& s) { s = actual[i++]; });
    const SequenceSpan final_token{capacity, 1, 0, Start::resume};
    delta_rule(reference, last.args({&final_token, 1}, ScanMode::recurrent), {});
    std::vector<double> output, expected;
    for (index_t j = 0; j < d; ++j) {
        output.push_back(static_cast<double>(problem.output.view()(capacity, 0, j)));
        expected.push_back(last.output.view()(capacity, 0, j));
    }
    CHECK(relative_rms(output, expected) <= 4e-6);
}
