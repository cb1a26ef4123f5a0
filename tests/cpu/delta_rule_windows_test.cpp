// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Many workers on few heads: chunks are prepared ahead, window by window, and not a bit changes.
/// Each case states how many windows it makes, so that it cannot pass without them.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

template <class T>
index_t n_windows(const DeltaRuleArgs<T>& args, index_t workers) {
    const cpu::DeltaSizes sizes = cpu::DeltaCall<cpu::default_arch, T>::sizes(args, workers);
    return sizes.window_tokens == 0
               ? 0
               : (sizes.longest + sizes.window_tokens - 1) / sizes.window_tokens;
}

template <class T>
void compare(const typename DeltaProblem<T>::Sizes& sizes,
             const std::vector<SequenceSpan>& sequences, index_t workers, index_t windows,
             HeadMap map, ScanCompute compute = ScanCompute::f32) {
    std::mt19937 generator(111);
    DeltaProblem<T> expected(sizes, 3, 1);
    expected.random(generator);
    DeltaProblem<T> actual(sizes, 3, 1);
    actual.copy_from(expected);
    const auto args = [&](DeltaProblem<T>& problem) {
        DeltaRuleArgs<T> a = problem.args(sequences, ScanMode::automatic, map);
        a.compute = compute;
        return a;
    };
    TestBackend alone;
    BackwardBackend many(BackwardExecutor{workers});
    CAPTURE(workers, static_cast<int>(map), static_cast<int>(compute));
    CHECK(n_windows(args(actual), workers) == windows);
    run_delta_rule(alone, args(expected));
    run_delta_rule(many, args(actual));
    CHECK(bit_equal(actual.output.values(), expected.output.values()));
    CHECK(bit_equal(actual.state.values(), expected.state.values()));
    CHECK(actual.output.red_zone_intact());
    CHECK(actual.state.red_zone_intact());
}

}  // namespace

TEMPLATE_TEST_CASE("delta_rule: windows of one sequence", "[delta_rule]", float, double) {
    using T = TestType;
    constexpr index_t chunk = cpu::tuning::chunk_tokens<cpu::default_arch>;
    constexpr index_t records = cpu::tuning::records_per_worker;
    for (const Start start : {Start::fresh, Start::resume}) {
        for (const HeadMap map : {HeadMap::grouped, HeadMap::tiled}) {
            // 5 workers, 2 key heads: windows of 40 chunks.
            constexpr index_t window = 5 * records / 2 * chunk;
            for (const index_t n : {window - 1, window, window + 1, 2 * window + chunk + 3}) {
                compare<T>({n, 2, 3, 20, 72}, {{0, n, 0, start}}, 5, (n + window - 1) / window,
                           map);
            }
        }
    }
}

TEST_CASE("delta_rule: windows of several sequences, with others between them", "[delta_rule]") {
    const std::vector<SequenceSpan> sequences{
        {0, 1, 5, Start::resume},    {1, 700, 3, Start::fresh},  {701, 0, 1, Start::fresh},
        {701, 40, 0, Start::resume}, {741, 5, 4, Start::resume}, {746, 1300, 2, Start::resume}};
    // 9 workers: 144 records for 3 sequences of one key head are 48 chunks, 768 tokens.
    compare<float>({2046, 1, 4, 20, 72, 6}, sequences, 9, 2, HeadMap::grouped);
    for (const ScanCompute compute : {ScanCompute::bf16_emulated, ScanCompute::bf16}) {
        const bool pairs =
            compute == ScanCompute::bf16_emulated || cpu::has_bf16_products<cpu::default_arch>;
        compare<float>({2046, 1, 4, 20, 72, 6}, sequences, 9, pairs ? 1 : 2, HeadMap::grouped,
                       compute);
    }
}

TEST_CASE("delta_rule: no windows where they would not pay", "[delta_rule]") {
    compare<float>({500, 8, 1, 16, 16}, {{0, 500, 0, Start::resume}}, 4, 0, HeadMap::grouped);
    compare<float>({11, 1, 2, 16, 16}, {{0, 11, 0, Start::resume}}, 4, 0, HeadMap::grouped);
    compare<float>({500, 1, 2, 16, 16}, {{0, 500, 0, Start::resume}}, 1, 0, HeadMap::grouped);
}

TEST_CASE("delta_rule: a 16-bit state is rounded once, whatever the workers", "[delta_rule]") {
    constexpr index_t workers = 5, n_slots = 1, heads = 3, d_k = 20, d_v = 72;
    for (const index_t n : {700, 3000}) {  // one window; more than one, so none
        std::vector<bf16> states[2];
        DeltaProblem<float> problem({n, 1, heads, d_k, d_v});
        std::mt19937 generator(112);
        problem.random(generator);
        const SequenceSpan sequence{0, n, 0, Start::resume};
        for (const bool is_many : {false, true}) {
            std::vector<bf16>& state = states[is_many ? 1 : 0];
            for (index_t i = 0; i < n_slots * heads * d_k * d_v; ++i)
                state.push_back(to_bf16(static_cast<float>(i % 7) - 3.0F));
            DeltaRuleArgs<float> args = problem.args({&sequence, 1}, ScanMode::chunked);
            args.state = View<bf16, 4>(state.data(), {n_slots, heads, d_k, d_v});
            CHECK(n_windows(args, workers) == (n == 700 ? 1 : 0));
            TestBackend alone;
            BackwardBackend many(BackwardExecutor{workers});
            is_many ? run_delta_rule(many, args) : run_delta_rule(alone, args);
        }
        CHECK(std::memcmp(states[0].data(), states[1].data(), states[0].size() * 2) == 0);
    }
}
