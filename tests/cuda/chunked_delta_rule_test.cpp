// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The chunked delta rule on tensor cores against the oracle in double.
#include "chunk_problem.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Results of the same kind for a problem's schedules would cost time that other cases use better.
template <class S>
ChunkResult<float, S> run_once(const ChunkProblem<S>& problem,
                               std::optional<index_t> scratch_bytes = {}) {
    return run_chunked(problem, scratch_bytes);
}

}  // namespace

TEST_CASE("cuda chunks: every length around tiles and chunks") {
    ChunkProblem<> problem({.n_tokens = 0}, 1);
    index_t n = 3;  // rows that no sequence names come first
    for (const index_t length : {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 130}) {
        const auto slot = static_cast<index_t>(problem.sequences.size());
        problem.sequences.push_back(
            {n, length, slot, slot % 3 == 1 ? Start::fresh : Start::resume});
        n += length + slot % 2;
    }
    const auto n_slots = static_cast<index_t>(problem.sequences.size()) + 1;
    const auto sequences = problem.sequences;
    problem = ChunkProblem<>({.n_tokens = n, .n_slots = n_slots}, 1);
    problem.sequences = sequences;
    check_problem(problem);
}

TEST_CASE("cuda chunks: head sizes and groups") {
    struct Case {
        index_t n_tokens, n_heads_k, heads_per_group, d_k, d_v;
        HeadMap map;
        Start start;
    };
    unsigned seed = 10;
    for (const Case& c : {Case{70, 1, 2, 128, 128, HeadMap::grouped, Start::resume},
                          Case{20, 2, 1, 128, 128, HeadMap::tiled, Start::fresh},
                          Case{66, 1, 1, 96, 192, HeadMap::grouped, Start::resume},
                          Case{17, 2, 2, 96, 192, HeadMap::tiled, Start::resume},
                          Case{30, 2, 3, 64, 64, HeadMap::tiled, Start::resume},
                          Case{65, 2, 2, 64, 64, HeadMap::grouped, Start::resume},
                          Case{33, 1, 4, 64, 64, HeadMap::grouped, Start::fresh},
                          Case{16, 2, 5, 64, 32, HeadMap::grouped, Start::resume}}) {
        CAPTURE(c.n_heads_k, c.heads_per_group, c.d_k, c.d_v);
        ChunkProblem<> problem({.n_tokens = c.n_tokens,
                                .n_heads_k = c.n_heads_k,
                                .heads_per_group = c.heads_per_group,
                                .d_k = c.d_k,
                                .d_v = c.d_v,
                                .head_map = c.map},
                               ++seed);
        problem.sequences = {{0, c.n_tokens, 0, c.start}};
        check_problem(problem);
    }
}

TEMPLATE_TEST_CASE("cuda chunks: states of 16 bits, views with gaps, padding", "", bf16, f16,
                   float) {
    ChunkProblem<TestType> problem({.n_tokens = 100,
                                    .n_heads_k = 1,
                                    .heads_per_group = 2,
                                    .n_slots = 5,
                                    .head_map = HeadMap::tiled,
                                    .padding = 12},
                                   20);
    problem.scale = 0.3;
    problem.sequences = {
        {2, 66, 3}, {70, 5, -1}, {75, 0, 1, Start::fresh}, {76, 20, 4, Start::fresh}, {96, 0, 2}};
    for (std::size_t i = 0; i < problem.state.size() / 5; ++i)
        problem.state[problem.state.size() / 5 * 4 + i] = from_float<TestType>(NAN);  // never read
    const auto actual = for_each_schedule([&] { return run_chunked(problem); });
    for (auto& x : problem.state) x = std::isnan(to_float(x)) ? from_float<TestType>(0.0F) : x;
    const auto expected = run_oracle(problem);
    check_chunked<TestType>(actual, expected, problem.sizes.d_v);
    for (std::size_t i = 0; i < actual.first.size(); ++i) {
        if (expected.first[i] == static_cast<double>(kUntouched))
            REQUIRE(actual.first[i] == kUntouched);
    }
    const std::size_t slot = problem.state.size() / 5;
    for (std::size_t i = 0; i < slot; ++i) {
        REQUIRE(to_float(actual.second[i]) == to_float(problem.state[i]));
        REQUIRE(to_float(actual.second[slot + i]) == 0.0F);
        REQUIRE(to_float(actual.second[2 * slot + i]) == to_float(problem.state[2 * slot + i]));
    }
}

TEST_CASE("cuda chunks: decays from none to all, beta from 0 to 1") {
    ChunkProblem<> problem({.n_tokens = 130, .n_slots = 2}, 30);
    for (float& g : problem.decay_log) {
        const auto kind = problem.generator() % 8;
        g = kind == 0 ? -3000.0F : kind == 1 ? -INFINITY : kind < 5 ? 0.0F : -1e-4F;
    }
    for (float& b : problem.beta) {
        const auto kind = problem.generator() % 4;
        b = kind == 0 ? 0.0F : kind == 1 ? 1.0F : b;
    }
    problem.sequences = {{0, 66, 0}, {66, 64, 1}};
    // One that nothing decays in, and every token writes.
    for (std::size_t t = 66; t < 130; ++t) {
        problem.decay_log[t] = 0.0F;
        problem.beta[t] = 1.0F;
    }
    check_problem(problem);
}

TEST_CASE("cuda chunks: windows change no bit") {
    ChunkProblem<bf16> problem({.n_tokens = 300, .n_heads_k = 2, .n_slots = 2}, 40);
    problem.sequences = {{0, 70, 1}, {70, 230, 0, Start::fresh}};
    const auto whole = run_once(problem);
    check_chunked<bf16>(whole, run_oracle(problem), problem.sizes.d_v);
    const index_t least = cuda::chunked_least_scratch_bytes(64, 64, 1);
    const index_t all = cuda::chunked_scratch_bytes(64, 64, 1);
    CHECK(least < all);
    for (const index_t bytes : {least, 3 * least, 4 * least, 6 * least}) {
        CAPTURE(bytes / least);
        const auto parts = run_once(problem, bytes);
        CHECK(bit_equal(whole.first, parts.first));
        CHECK(std::equal(whole.second.begin(), whole.second.end(), parts.second.begin(),
                         [](bf16 a, bf16 b) { return a.bits == b.bits; }));
    }
}

TEST_CASE("cuda chunks: the batch around a sequence and cuts at chunks change no bit") {
    ChunkProblem<> batch({.n_tokens = 200, .d_v = 128, .n_slots = 3}, 50);
    batch.sequences = {{0, 140, 1}, {140, 30, 0}, {170, 30, 2}};
    const auto together = run_once(batch);
    ChunkProblem<> alone = batch;
    alone.sequences = {{0, 64, 1}};
    alone.state = run_once(alone).second;
    alone.sequences = {{64, 76, 1}};
    const auto cut = run_once(alone);
    const std::size_t slot = batch.state.size() / 3;
    const auto from = static_cast<std::size_t>(64 * batch.sizes.d_v);
    const auto to = static_cast<std::size_t>(140 * batch.sizes.d_v);
    CHECK(std::equal(&together.first[from], &together.first[to], &cut.first[from]));
    CHECK(std::equal(&together.second[slot], &together.second[2 * slot], &cut.second[slot]));
}
