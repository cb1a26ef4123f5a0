// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The delta rule against the oracle in double: both modes, every length around the chunk grid,
/// sizes around the vector lanes, both head maps. Bounds are relative root mean squares: float
/// recurrent 2e-6 and chunked 5e-6, which is 17 and 42 roundings where a chunk of 64 and d of 128
/// have sums of as many terms; double 1e-10, which nothing but wrong algebra exceeds.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

template <class T>
double bound(ScanMode mode) {
    if constexpr (std::is_same_v<T, double>) return 1e-10;
    return mode == ScanMode::recurrent ? 2e-6 : 5e-6;
}

template <class T>
void compare(const typename DeltaProblem<T>::Sizes& sizes, std::mt19937& generator, ScanMode mode,
             HeadMap map, Start start, index_t padding, index_t misalign) {
    DeltaProblem<T> actual(sizes, padding, misalign);
    actual.random(generator);
    DeltaProblem<double> expected({sizes.n_tokens, sizes.n_heads_k, sizes.heads_per_group,
                                   sizes.d_k, sizes.d_v, sizes.n_slots});
    expected.copy_inputs(actual);
    expected.state.copy_from(actual.state);
    if (start == Start::fresh) actual.state.fill(red_zone<T>());
    const SequenceSpan sequence{0, sizes.n_tokens, 0, start};
    TestBackend backend;
    ReferenceBackend reference;
    run_delta_rule(backend, actual.args({&sequence, 1}, mode, map));
    delta_rule(reference, expected.args({&sequence, 1}, ScanMode::recurrent, map), {});
    CAPTURE(sizes.n_tokens, sizes.n_heads_k, sizes.heads_per_group, sizes.d_k, sizes.d_v);
    CAPTURE(static_cast<int>(mode), static_cast<int>(map), static_cast<int>(start), misalign);
    Tensor<double, 3> output({sizes.n_tokens, sizes.n_heads_k * sizes.heads_per_group, sizes.d_v});
    Tensor<double, 4> state(
        {sizes.n_slots, sizes.n_heads_k * sizes.heads_per_group, sizes.d_k, sizes.d_v});
    output.copy_from(actual.output);
    state.copy_from(actual.state);
    CHECK(relative_rms(output.values(), expected.output.values()) <= bound<T>(mode));
    CHECK(relative_rms(state.values(), expected.state.values()) <= bound<T>(mode));
    CHECK(actual.output.red_zone_intact());
    CHECK(actual.state.red_zone_intact());
}

}  // namespace

// Field row 26: tails of chunks.
TEMPLATE_TEST_CASE("delta_rule agrees with the oracle for every length", "[delta_rule]", float,
                   double) {
    using T = TestType;
    std::mt19937 generator(51);
    for (index_t n_tokens = 0; n_tokens <= 200; ++n_tokens) {
        const Start start = n_tokens % 2 == 0 ? Start::resume : Start::fresh;
        for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
            compare<T>({n_tokens, 2, 2, 24, 40}, generator, mode, HeadMap::grouped, start, 0, 0);
        }
    }
    for (const index_t n_tokens : {0, 1, 2, 15, 16, 17, 63, 64, 65, 128, 200}) {
        for (const Start start : {Start::resume, Start::fresh}) {
            compare<T>({n_tokens, 2, 2, 24, 40}, generator, ScanMode::automatic, HeadMap::grouped,
                       start, 0, 0);
        }
    }
}

TEMPLATE_TEST_CASE("delta_rule agrees with the oracle at the published head sizes", "[delta_rule]",
                   float, double) {
    using T = TestType;
    std::mt19937 generator(52);
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        compare<T>({150, 1, 2, 128, 128}, generator, mode, HeadMap::grouped, Start::resume, 0, 0);
        compare<T>({150, 1, 1, 96, 192}, generator, mode, HeadMap::grouped, Start::fresh, 0, 0);
        compare<T>({70, 1, 1, 256, 512}, generator, mode, HeadMap::grouped, Start::resume, 0, 0);
    }
}

TEMPLATE_TEST_CASE("delta_rule agrees with the oracle for every head size, stride and alignment",
                   "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(53);
    for (const index_t d_k : counts_around(n_lanes<T>)) {
        for (const index_t d_v : counts_around(n_lanes<T>)) {
            if (d_k == 0) continue;  // no layer has it, and its scale is infinite
            for (const index_t misalign : {0, 1, 3}) {
                for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
                    compare<T>({67, 1, 2, d_k, d_v}, generator, mode, HeadMap::grouped,
                               Start::resume, misalign == 0 ? 0 : 5, misalign);
                }
            }
        }
    }
}

TEMPLATE_TEST_CASE("delta_rule agrees with the oracle for both head maps and every group size",
                   "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(54);
    for (index_t r = 1; r <= 4; ++r) {
        for (const HeadMap map : {HeadMap::grouped, HeadMap::tiled}) {
            for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
                compare<T>({66, 3, r, 16, 20}, generator, mode, map, Start::resume, 1, 1);
            }
        }
    }
}

TEST_CASE("delta_rule: chunked is recurrent to 1e-10 in double", "[delta_rule]") {
    std::mt19937 generator(55);
    for (const index_t n_tokens : {1, 5, 63, 64, 65, 130, 200}) {
        DeltaProblem<double> recurrent({n_tokens, 2, 2, 32, 24});
        recurrent.random(generator);
        DeltaProblem<double> chunked({n_tokens, 2, 2, 32, 24});
        chunked.copy_from(recurrent);
        const SequenceSpan sequence{0, n_tokens, 0, Start::resume};
        TestBackend backend;
        run_delta_rule(backend, recurrent.args({&sequence, 1}, ScanMode::recurrent));
        run_delta_rule(backend, chunked.args({&sequence, 1}, ScanMode::chunked));
        CAPTURE(n_tokens);
        CHECK(relative_rms(chunked.output.values(), recurrent.output.values()) <= 1e-10);
        CHECK(relative_rms(chunked.state.values(), recurrent.state.values()) <= 1e-10);
    }
}

TEMPLATE_TEST_CASE("delta_rule: scale is the caller's if given", "[delta_rule]", float, double) {
    using T = TestType;
    std::mt19937 generator(56);
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        DeltaProblem<T> implied({20, 1, 1, 16, 8});  // d_k^(-1/2) = 1/4, exact
        implied.random(generator);
        DeltaProblem<T> given({20, 1, 1, 16, 8});
        given.copy_from(implied);
        const SequenceSpan sequence{0, 20, 0, Start::resume};
        TestBackend backend;
        run_delta_rule(backend, implied.args({&sequence, 1}, mode));
        DeltaRuleArgs<T> args = given.args({&sequence, 1}, mode);
        args.scale = 0.25;
        run_delta_rule(backend, args);
        CHECK(bit_equal(implied.output.values(), given.output.values()));
    }
}
