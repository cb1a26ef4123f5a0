// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What must hold bit for bit, whatever the rounding: cuts of a sequence in the recurrent form,
/// order of heads, of sequences and of tasks, neighbours in the batch.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

TEMPLATE_TEST_CASE("delta_rule: a recurrent sequence cut anywhere gives the same bits",
                   "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(61);
    constexpr index_t n_tokens = 37;
    for (const index_t d_v : {index_t{16}, index_t{64}, index_t{21}}) {
        for (const Start start : {Start::resume, Start::fresh}) {
            for (const index_t cut : {0, 1, 2, 15, 16, 17, 18, 32, 36, 37}) {
                DeltaProblem<T> whole({n_tokens, 1, 2, 19, d_v});
                whole.random(generator);
                DeltaProblem<T> parts({n_tokens, 1, 2, 19, d_v});
                parts.copy_from(whole);
                const SequenceSpan all{0, n_tokens, 0, start};
                const SequenceSpan head{0, cut, 0, start};
                const SequenceSpan tail{cut, n_tokens - cut, 0, Start::resume};
                TestBackend backend;
                run_delta_rule(backend, whole.args({&all, 1}, ScanMode::recurrent));
                run_delta_rule(backend, parts.args({&head, 1}, ScanMode::recurrent));
                run_delta_rule(backend, parts.args({&tail, 1}, ScanMode::recurrent));
                CAPTURE(d_v, cut, static_cast<int>(start));
                CHECK(bit_equal(whole.output.values(), parts.output.values()));
                CHECK(bit_equal(whole.state.values(), parts.state.values()));
            }
        }
    }
}

TEMPLATE_TEST_CASE("delta_rule: a chunked sequence cut at the chunk grid gives the same bits",
                   "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(62);
    constexpr index_t cut = 2 * kGridTokens;
    DeltaProblem<T> whole({cut + 30, 1, 2, 24, 20});
    whole.random(generator);
    DeltaProblem<T> parts({cut + 30, 1, 2, 24, 20});
    parts.copy_from(whole);
    const SequenceSpan all{0, cut + 30, 0, Start::resume};
    const SequenceSpan head{0, cut, 0, Start::resume};
    const SequenceSpan tail{cut, 30, 0, Start::resume};
    TestBackend backend;
    run_delta_rule(backend, whole.args({&all, 1}, ScanMode::chunked));
    run_delta_rule(backend, parts.args({&head, 1}, ScanMode::chunked));
    run_delta_rule(backend, parts.args({&tail, 1}, ScanMode::chunked));
    CHECK(bit_equal(whole.output.values(), parts.output.values()));
    CHECK(bit_equal(whole.state.values(), parts.state.values()));
}

TEMPLATE_TEST_CASE("delta_rule: many short sequences, of which a task takes several",
                   "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(66);
    for (const index_t n :
         {1, 9, 23, 40, 41}) {  // with 5 workers tasks of 1 to 4, the last one ragged
        DeltaProblem<T> together({n, 1, 1, 20, 12, n});
        together.random(generator);
        DeltaProblem<T> backwards({n, 1, 1, 20, 12, n});
        backwards.copy_from(together);
        DeltaProblem<T> alone({n, 1, 1, 20, 12, n});
        alone.copy_from(together);
        std::vector<SequenceSpan> sequences;
        for (index_t i = 0; i < n; ++i) {
            sequences.push_back({i, 1, n - 1 - i, i % 3 == 0 ? Start::fresh : Start::resume});
        }
        TestBackend backend;
        BackwardBackend backward;
        run_delta_rule(backend, together.args(sequences, ScanMode::automatic));
        run_delta_rule(backward, backwards.args(sequences, ScanMode::automatic));
        for (const SequenceSpan& sequence : sequences)
            run_delta_rule(backend, alone.args({&sequence, 1}, ScanMode::automatic));
        CAPTURE(n);
        CHECK(bit_equal(together.output.values(), alone.output.values()));
        CHECK(bit_equal(together.state.values(), alone.state.values()));
        CHECK(bit_equal(backwards.output.values(), alone.output.values()));
        CHECK(bit_equal(backwards.state.values(), alone.state.values()));
    }
}

TEMPLATE_TEST_CASE("delta_rule: tiled heads are grouped heads in another order, bit for bit",
                   "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(63);
    constexpr index_t n_heads_k = 3;
    for (const index_t r : {1, 2, 3, 4}) {
        for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
            const index_t n_tokens = 70;
            DeltaProblem<T> grouped({n_tokens, n_heads_k, r, 16, 20});
            grouped.random(generator);
            DeltaProblem<T> tiled({n_tokens, n_heads_k, r, 16, 20});
            tiled.copy_inputs(grouped);
            const auto for_each_pair = [&](auto&& f) {
                for (index_t kh = 0; kh < n_heads_k; ++kh) {
                    for (index_t j = 0; j < r; ++j) f(kh * r + j, j * n_heads_k + kh);
                }
            };
            for_each_pair([&](index_t from, index_t to) {
                for (index_t t = 0; t < n_tokens; ++t) {
                    tiled.decay_log.view()(t, to) = grouped.decay_log.view()(t, from);
                    tiled.beta.view()(t, to) = grouped.beta.view()(t, from);
                    for (index_t i = 0; i < 20; ++i)
                        tiled.v.view()(t, to, i) = grouped.v.view()(t, from, i);
                }
                for (index_t i = 0; i < 16; ++i) {
                    for (index_t j = 0; j < 20; ++j) {
                        tiled.state.view()(0, to, i, j) = grouped.state.view()(0, from, i, j);
                    }
                }
            });
            const SequenceSpan sequence{0, n_tokens, 0, Start::resume};
            TestBackend backend;
            run_delta_rule(backend, grouped.args({&sequence, 1}, mode, HeadMap::grouped));
            run_delta_rule(backend, tiled.args({&sequence, 1}, mode, HeadMap::tiled));
            bool same = true;
            for_each_pair([&](index_t from, index_t to) {
                for (index_t t = 0; t < n_tokens; ++t) {
                    for (index_t i = 0; i < 20; ++i) {
                        same = same && same_bits(tiled.output.view()(t, to, i),
                                                 grouped.output.view()(t, from, i));
                    }
                }
                for (index_t i = 0; i < 16; ++i) {
                    for (index_t j = 0; j < 20; ++j) {
                        same = same && same_bits(tiled.state.view()(0, to, i, j),
                                                 grouped.state.view()(0, from, i, j));
                    }
                }
            });
            CAPTURE(r, static_cast<int>(mode));
            CHECK(same);
        }
    }
}

namespace {

/// Five sequences of a mixed batch: prefill, decode, verify, an empty one that starts afresh,
/// another prefill.
const std::vector<SequenceSpan> mixed_batch{
    {0, 70, 3, Start::fresh},
    {70, 1, 0, Start::resume},
    {71, 4, 5, Start::resume},
    {75, 0, 1, Start::fresh},
    {77, 130, 2, Start::resume}};  // tokens 75 and 76 are nobody's

template <class T>
typename DeltaProblem<T>::Sizes mixed_sizes() {
    return {207, 2, 2, 24, 72, 6};
}

}  // namespace

TEMPLATE_TEST_CASE(
    "delta_rule: order of sequences, number of workers and order of tasks change nothing",
    "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(64);
    const std::vector<SequenceSpan> shuffled{mixed_batch[4], mixed_batch[1], mixed_batch[3],
                                             mixed_batch[0], mixed_batch[2]};
    for (const ScanMode mode : {ScanMode::automatic, ScanMode::recurrent, ScanMode::chunked}) {
        DeltaProblem<T> one(mixed_sizes<T>());
        one.random(generator);
        one.output.fill(T(7));
        for (const index_t workers : {1, 2, 5, 64}) {
            DeltaProblem<T> a(mixed_sizes<T>());
            a.copy_from(one);
            DeltaProblem<T> b(mixed_sizes<T>());
            b.copy_from(one);
            TestBackend backend;
            BackwardBackend backward(BackwardExecutor{workers});
            run_delta_rule(backend, a.args(mixed_batch, mode));
            run_delta_rule(backward, b.args(shuffled, mode));
            CAPTURE(static_cast<int>(mode), workers);
            CHECK(bit_equal(a.output.values(), b.output.values()));
            CHECK(bit_equal(a.state.values(), b.state.values()));
            CHECK(a.output.view()(76, 1, 3) == T(7));  // nobody's token, nobody's slot
            CHECK(same_bits(a.state.view()(4, 1, 3, 2), one.state.view()(4, 1, 3, 2)));
            CHECK(a.state.view()(1, 1, 3, 2) == T(0));  // the empty sequence that started afresh
        }
    }
}

TEMPLATE_TEST_CASE("delta_rule: a sequence's result does not depend on its batch", "[delta_rule]",
                   float, double) {
    using T = TestType;
    std::mt19937 generator(65);
    DeltaProblem<T> batch(mixed_sizes<T>());
    batch.random(generator);
    DeltaProblem<T> alone(mixed_sizes<T>());
    alone.copy_from(batch);
    TestBackend backend;
    run_delta_rule(backend, batch.args(mixed_batch, ScanMode::automatic));
    for (const SequenceSpan& sequence : mixed_batch) {
        run_delta_rule(backend, alone.args({&sequence, 1}, ScanMode::automatic));
    }
    CHECK(bit_equal(batch.output.values(), alone.output.values()));
    CHECK(bit_equal(batch.state.values(), alone.state.values()));
}

TEMPLATE_TEST_CASE("delta_rule: NaN in one sequence leaves the others bit-unchanged",
                   "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(66);
    for (const ScanMode mode : {ScanMode::automatic, ScanMode::recurrent, ScanMode::chunked}) {
        for (const std::size_t victim : {std::size_t{0}, std::size_t{1}, std::size_t{4}}) {
            DeltaProblem<T> clean(mixed_sizes<T>());
            clean.random(generator);
            DeltaProblem<T> dirty(mixed_sizes<T>());
            dirty.copy_from(clean);
            const index_t token = mixed_batch[victim].first_token;
            for (index_t i = 0; i < 24; ++i) {
                dirty.k.view()(token, 0, i) = red_zone<T>();
                dirty.q.view()(token, 1, i) = red_zone<T>();
            }
            dirty.decay_log.view()(token, 1) = red_zone<T>();
            TestBackend backend;
            run_delta_rule(backend, clean.args(mixed_batch, mode));
            run_delta_rule(backend, dirty.args(mixed_batch, mode));
            CAPTURE(static_cast<int>(mode), victim);
            bool same = true;
            for (std::size_t s = 0; s < mixed_batch.size(); ++s) {
                if (s == victim) continue;
                const SequenceSpan& sequence = mixed_batch[s];
                for (index_t t = sequence.first_token; t < sequence.first_token + sequence.n_tokens;
                     ++t) {
                    for (index_t h = 0; h < 4; ++h) {
                        for (index_t i = 0; i < 72; ++i) {
                            same = same && same_bits(clean.output.view()(t, h, i),
                                                     dirty.output.view()(t, h, i));
                        }
                    }
                }
                for (index_t i = 0; i < 24; ++i) {
                    same = same && same_bits(clean.state.view()(sequence.slot, 3, i, 71),
                                             dirty.state.view()(sequence.slot, 3, i, 71));
                }
            }
            CHECK(same);
        }
    }
}

TEMPLATE_TEST_CASE("delta_rule: scratch is what any batch needs and does not grow with tokens",
                   "[delta_rule]", float, double) {
    using T = TestType;
    BackwardBackend backend(BackwardExecutor{3});
    for (const index_t d_k : {1, 7, 96, 128}) {
        const index_t bound = backend.delta_rule_scratch_bytes<T>(d_k, 64, 2);
        for (const ScanMode mode : {ScanMode::automatic, ScanMode::recurrent, ScanMode::chunked}) {
            DeltaProblem<T> small({1, 1, 2, d_k, 64});
            DeltaProblem<T> large({100, 1, 2, d_k, 64});
            const index_t bytes = backend.delta_rule_scratch_bytes(small.args({}, mode));
            CHECK(bytes == backend.delta_rule_scratch_bytes(large.args({}, mode)));
            CHECK(bytes <= bound);
            CHECK(bytes % (3 * 64) == 0);
        }
    }
}
