// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The chunked delta rule on tensor cores against the oracle in double.
#include "chunk_problem.hpp"

using namespace deltanet;
using namespace deltanet::test;

TEST_CASE("cuda chunks: every length around tiles and chunks") {
    std::vector<SequenceSpan> sequences;
    index_t n = 3;  // rows that no sequence names come first
    for (const index_t length : {1, 2, 15, 16, 17, 32, 33, 63, 64, 65, 127, 128, 129, 130}) {
        const auto slot = static_cast<index_t>(sequences.size());
        sequences.push_back({n, length, slot, slot % 3 == 1 ? Start::fresh : Start::resume});
        n += length + slot % 2;
    }
    const auto n_slots = static_cast<index_t>(sequences.size()) + 1;
    ChunkProblem<> problem({.n_tokens = n, .n_slots = n_slots}, 1);
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
    // Between them and the other cases all kernels: each d_k with blocks of 32, 64 and 128 columns.
    for (const Case& c : {Case{70, 1, 2, 128, 128, HeadMap::grouped, Start::resume},
                          Case{20, 2, 2, 128, 128, HeadMap::tiled, Start::fresh},
                          Case{7, 1, 1, 128, 64, HeadMap::grouped, Start::resume},
                          Case{66, 1, 1, 96, 192, HeadMap::grouped, Start::resume},
                          Case{17, 2, 2, 96, 192, HeadMap::tiled, Start::resume},
                          Case{9, 1, 4, 96, 128, HeadMap::grouped, Start::resume},
                          Case{30, 2, 3, 64, 64, HeadMap::tiled, Start::resume},
                          Case{65, 2, 2, 64, 64, HeadMap::grouped, Start::resume},
                          Case{33, 1, 4, 64, 64, HeadMap::grouped, Start::fresh},
                          Case{16, 1, 9, 64, 32, HeadMap::grouped, Start::resume}}) {
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

TEMPLATE_TEST_CASE("cuda chunks: states of every type, views with gaps, padding", "", bf16, f16,
                   float, i8) {
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
    const ChunkResult<double> expected = run_oracle(problem);
    for (const index_t fresh : {1, 4})  // what a fresh start finds is not read
        fill_slot(problem.state, problem.state_shape(), fresh, NAN);
    auto actual = for_each_schedule([&] { return run_chunked(problem); });
    check_chunked(problem, actual, expected);
    const std::vector<double> values = state_values(actual.second, problem.state_shape());
    const std::vector<double> before = state_values(problem.state, problem.state_shape());
    const std::size_t slot = values.size() / 5;
    for (std::size_t i = 0; i < slot; ++i) {
        REQUIRE(values[slot + i] == 0.0);
        REQUIRE(values[2 * slot + i] == before[2 * slot + i]);
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
    for (std::size_t t = 66; t < 130; ++t) {  // one where nothing decays and every token writes
        problem.decay_log[t] = 0.0F;
        problem.beta[t] = 1.0F;
    }
    check_problem(problem);
}

// The state is a sum of a thousand updates that hardly decay, and beta goes up to 2, where a token
// turns what it reads around.
TEST_CASE("cuda chunks: a long sequence, beta up to 2") {
    ChunkProblem<> problem({.n_tokens = 1000}, 33);
    problem.decay_log = problem.uniform(1000, -2e-3, 0);
    problem.beta = problem.uniform(1000, 0, 1.95);
    problem.sequences = {{0, 1000, 0}};
    check_chunked(problem, run_chunked(problem), run_oracle(problem));
}

// Strong decays in a row make sums of logarithms large; what lies between two of them must not
// suffer: here e^{G_i - G_j} is e^-0.01 to e^-0.3, of a sum of -1900.
TEST_CASE("cuda chunks: small decays behind large ones") {
    ChunkProblem<> problem({.n_tokens = 64}, 31);
    for (std::size_t t = 0; t < 64; ++t) problem.decay_log[t] = t < 19 ? -100.0F : -0.01F;
    problem.sequences = {{0, 64, 0}};
    check_problem(problem);
}

// Keys that are nearly the same: k_i = a e_0 + b e_i, numbers that bfloat16 holds, and values after
// the first that are what is read then, so that u_i = beta_i (v_i - a^2 sum_{j < i} u_j) is next to
// nothing: it is left of terms as large as v, each with all of its bits. q_i = e_i reads only what
// token i writes. Exact but for u's own rounding and for those of the solve to float32, 2^-24 of v
// each: after 6 products of parts in each of 4 tiles, for the inverse and for its product with D,
// which add up like a walk, sqrt(48) < 8. A solve in two parts of bfloat16 is off by 37 of them.
TEST_CASE("cuda chunks: the solve is in float32") {
    ChunkProblem<> problem({.n_tokens = 64}, 32);
    constexpr float a = 0.94140625F, b = 0.25F;
    std::fill(problem.k.begin(), problem.k.end(), 0.0F);
    std::fill(problem.q.begin(), problem.q.end(), 0.0F);
    const double read = double{a} * double{a} * static_cast<double>(problem.beta[0]);
    for (std::size_t t = 0; t < 63; ++t) {
        problem.k[t * 64] = a;
        problem.k[t * 64 + t + 1] = b;
        problem.q[t * 64 + t + 1] = 1.0F;
        for (std::size_t j = 0; t > 0 && j < 64; ++j)
            problem.v[t * 64 + j] = static_cast<float>(read * static_cast<double>(problem.v[j]));
    }
    std::fill(problem.decay_log.begin(), problem.decay_log.end(), 0.0F);
    problem.scale = 1.0;
    problem.sequences = {{0, 63, 0, Start::fresh}};
    const auto actual = for_each_schedule([&] { return run_chunked(problem); });
    const auto expected = run_oracle(problem);
    for (std::size_t i = 0; i < 63 * 64; ++i) {
        const double v = std::abs(static_cast<double>(problem.v[i % 64]));
        const double error = std::abs(static_cast<double>(actual.first[i]) - expected.first[i]);
        REQUIRE(error <= 0x1p-8 * std::abs(expected.first[i]) + 8 * 0x1p-24 * v * double{b});
    }
}

TEST_CASE("cuda chunks: windows change no bit") {
    ChunkProblem<bf16> problem({.n_tokens = 300, .n_heads_k = 2, .n_slots = 2}, 40);
    problem.sequences = {{0, 70, 1}, {70, 230, 0, Start::fresh}};
    const auto whole = run_chunked(problem);
    check_chunked(problem, whole, run_oracle(problem));
    const index_t least = cuda::chunked_least_scratch_bytes(64, 64, 1);
    CHECK(least < cuda::chunked_scratch_bytes(64, 64, 1));
    for (const index_t bytes : {least, 3 * least, 4 * least, 6 * least}) {
        CAPTURE(bytes / least);
        const auto parts = run_chunked(problem, bytes);
        CHECK(bit_equal(whole.first, parts.first));
        CHECK(bit_equal(whole.second, parts.second));
    }
}

TEST_CASE("cuda chunks: the batch around a sequence and cuts at chunks change no bit") {
    // Blocks of 128 columns, and of 32: the executor has 4 multiprocessors.
    ChunkProblem<> batch({.n_tokens = 200, .d_v = 128, .n_slots = 4}, 50);
    batch.sequences = {{0, 140, 1}, {140, 30, 0}, {170, 20, 2}, {190, 10, 3}};
    const auto together = run_chunked(batch);
    ChunkProblem<> alone = batch;
    alone.sequences = {{0, 64, 1}};
    alone.state = run_chunked(alone).second;
    alone.sequences = {{64, 76, 1}};
    const auto cut = run_chunked(alone);
    const std::size_t slot = batch.state.size() / 4;
    const auto from = static_cast<std::size_t>(64 * batch.sizes.d_v);
    const auto to = static_cast<std::size_t>(140 * batch.sizes.d_v);
    CHECK(std::equal(&together.first[from], &together.first[to], &cut.first[from]));
    CHECK(std::equal(&together.second[slot], &together.second[2 * slot], &cut.second[slot]));
}

TEST_CASE("cuda chunks: scratch is bounded whatever the batch, and small for small ones") {
    const auto bytes = [](index_t n_tokens, index_t n_sequences, index_t n_heads_k) {
        const Shape<3> keys{n_tokens * n_sequences, n_heads_k, 128};
        const Shape<3> values{n_tokens * n_sequences, 2 * n_heads_k, 128};
        std::vector<SequenceSpan> sequences;
        for (index_t i = 0; i < n_sequences; ++i) sequences.push_back({i * n_tokens, n_tokens, i});
        DeltaRuleArgs<float> args;
        args.q = args.k = {nullptr, keys};
        args.v = {nullptr, values};
        return cuda::chunked_scratch_bytes(args, sequences);
    };
    const index_t bound = cuda::chunked_scratch_bytes(128, 128, 2);
    CHECK(bytes(64, 1, 1) == 32768 + 2 * 15872);
    CHECK(bytes(65, 1, 4) == 8 * bytes(64, 1, 1));
    for (const index_t n_tokens : {64, 1000, 8192, 1 << 20}) {
        for (const index_t n_sequences : {1, 3, 100}) {
            for (const index_t n_heads_k : {1, 16, 100}) {
                CAPTURE(n_tokens, n_sequences, n_heads_k);
                CHECK(bytes(n_tokens, n_sequences, n_heads_k) <= bound);
            }
        }
    }
}

TEST_CASE("cuda chunks: what there are kernels for") {
    struct Case {
        index_t d_k, d_v, padding, misalign;
        bool fits;
    };
    for (const Case& c :
         {Case{64, 64, 0, 0, true}, Case{96, 192, 4, 4, true}, Case{128, 32, 0, 0, true},
          Case{128, 48, 0, 0, false}, Case{80, 64, 0, 0, false}, Case{256, 256, 0, 0, false},
          Case{64, 64, 2, 0, false}, Case{64, 64, 0, 1, false}}) {
        CAPTURE(c.d_k, c.d_v, c.padding, c.misalign);
        DeviceTensor<float, 3> keys({2, 2, c.d_k}, c.padding, c.misalign);
        DeviceTensor<float, 3> values({2, 2, c.d_v}, c.padding, c.misalign);
        DeviceTensor<float, 3> gates({2, 2, c.d_k});
        DeltaRuleArgs<float> args;
        args.q = args.k = keys.cview();
        args.v = values.cview();
        args.output = values.view();
        CHECK(cuda::chunked_delta_rule_fits(args) == c.fits);
        args.decay_log = gates.cview();
        CHECK(!cuda::chunked_delta_rule_fits(args));
    }
}

#if defined(DELTANET_SIMT)
// What docs/cuda_prefill.md says that a call does.
TEST_CASE("cuda chunks: products, copies and bytes are those of the formulas") {
    struct Case {
        index_t n_heads_k, r, d_k, d_v, columns, n_chunks, last;  // columns: of a block of the scan
    };
    // The executor has 4 multiprocessors.
    for (const Case& c : {Case{1, 2, 128, 128, 64, 2, 64}, Case{2, 1, 64, 64, 32, 2, 64},
                          Case{1, 1, 96, 64, 32, 1, 32}}) {
        CAPTURE(c.r, c.d_k, c.d_v);
        ChunkProblem<> problem({.n_tokens = (c.n_chunks - 1) * 64 + c.last,
                                .n_heads_k = c.n_heads_k,
                                .heads_per_group = c.r,
                                .d_k = c.d_k,
                                .d_v = c.d_v},
                               60);
        problem.sequences = {{0, problem.sizes.n_tokens, 0}};
        simt::count_accesses = true;
        const simt::Metrics before = simt::metrics;
        static_cast<void>(run_chunked(problem));
        const simt::Metrics& now = simt::metrics;
        simt::count_accesses = false;

        const auto per_chunk = [&](index_t of_key_head, index_t of_value_head) {
            return static_cast<std::uint64_t>(c.n_chunks * c.n_heads_k *
                                              (of_key_head + c.r * of_value_head));
        };
        const index_t k_tiles = c.d_k / 16, warps = c.d_v / 16;
        CHECK(now.launches - before.launches == 2);
        const bool is_half = c.last <= 32;
        CHECK(now.mma - before.mma ==
              per_chunk(40 * k_tiles,
                        192 + warps * (is_half ? 12 * k_tiles + 42 : 24 * k_tiles + 140)));
        CHECK(
            now.ldmatrix - before.ldmatrix ==
            per_chunk(30 * k_tiles, 90 + warps * (is_half ? 6 * k_tiles + 3 : 12 * k_tiles + 10)));
        CHECK(now.ldmatrix_conflicts == before.ldmatrix_conflicts);
        const index_t keys = 256 * c.d_k, head = 15872, blocks = c.d_v / c.columns;
        const index_t n = c.last, values = n * c.d_v * 4;
        CHECK(now.async_bytes - before.async_bytes ==
              per_chunk(0, blocks * (keys + head) + values));
        if (now.global_read_bytes == before.global_read_bytes)
            continue;  // not an instrumented build
        const auto state = static_cast<std::uint64_t>(c.n_heads_k * c.r * c.d_k * c.d_v * 4);
        CHECK(now.global_read_bytes - before.global_read_bytes ==
              per_chunk(2 * n * c.d_k * 4, n * 2 * 4 + blocks * (keys + head) + values) + state);
        CHECK(now.global_written_bytes - before.global_written_bytes ==
              per_chunk(keys, head + values) + state);
        CHECK(now.global_distinct_read_bytes - before.global_distinct_read_bytes ==
              per_chunk(2 * n * c.d_k * 4 + keys, n * 2 * 4 + head + values) + state);
        // Those of the three parts of the inverse on the diagonal, a column a lane.
        const std::uint64_t conflicts = per_chunk(0, 3 * 96);
        CHECK(now.shared_turns - before.shared_turns ==
              now.shared_ideal_turns - before.shared_ideal_turns + conflicts);
    }
}
#endif
