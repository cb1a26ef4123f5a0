// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "conv_problem.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// W products of terms up to 2 and a bias up to 1, each rounded, then exp of a number up to 2 W + 1
/// whose rounding weighs as much: W (2 W + 1) roundings of the size of the sum.
template <class T>
void check_conv(ConvProblem<T>& actual, ConvProblem<T>& expected, index_t width) {
    const auto w = static_cast<double>(width);
    CHECK(actual.output.red_zone_intact());
    CHECK(actual.state.red_zone_intact());
    check_elements(actual.output.values(), expected.output.values(), 8.0 * eps<T>(),
                   eps<T>() * w * (2.0 * w + 1.0));
    CHECK(bit_equal(actual.state.values(), expected.state.values()));  // inputs, not arithmetic
}

}  // namespace

TEMPLATE_TEST_CASE("conv1d agrees with the reference for every width, length and start", "[conv1d]",
                   float, double) {
    using T = TestType;
    std::mt19937 generator(41);
    for (index_t width = 2; width <= 8; ++width) {
        for (index_t n_tokens = 0; n_tokens <= 10; ++n_tokens) {
            for (const Start start : {Start::resume, Start::fresh}) {
                for (const bool with_bias : {false, true}) {
                    const SequenceSpan sequence{0, n_tokens, 0, start};
                    ConvProblem<T> expected({n_tokens, 1, 11, width});
                    expected.random(generator);
                    ConvProblem<T> actual({n_tokens, 1, 11, width}, 3, 1);
                    actual.copy_from(expected);
                    if (start == Start::fresh) actual.state.fill(red_zone<T>());
                    TestBackend backend;
                    ReferenceBackend reference;
                    run_conv1d(backend, actual.args({&sequence, 1}, !with_bias, with_bias));
                    conv1d(reference, expected.args({&sequence, 1}, !with_bias, with_bias));
                    CAPTURE(width, n_tokens, static_cast<int>(start), with_bias);
                    check_conv(actual, expected, width);
                }
            }
        }
    }
}

TEMPLATE_TEST_CASE(
    "conv1d agrees with the reference for every channel count, group, stride and alignment",
    "[conv1d]", float, double) {
    using T = TestType;
    std::mt19937 generator(42);
    std::vector<index_t> counts = counts_around(n_lanes<T>);
    counts.push_back(cpu::tuning::conv_channels);
    counts.push_back(cpu::tuning::conv_channels + 3);
    for (const index_t count : counts) {
        for (const index_t groups : {1, 2}) {
            for (const index_t misalign : {0, 1, 3}) {
                const SequenceSpan sequence{1, 5, 0, Start::resume};
                ConvProblem<T> expected({7, groups, count, 4});
                expected.random(generator);
                ConvProblem<T> actual({7, groups, count, 4}, misalign, misalign);
                actual.copy_from(expected);
                actual.output.fill(T(7));  // rows that no sequence names stay
                expected.output.fill(T(7));
                TestBackend backend;
                ReferenceBackend reference;
                run_conv1d(backend, actual.args({&sequence, 1}, true, true));
                conv1d(reference, expected.args({&sequence, 1}, true, true));
                CAPTURE(count, groups, misalign);
                check_conv(actual, expected, 4);
            }
        }
    }
}

TEMPLATE_TEST_CASE("conv1d takes tap-major weights", "[conv1d]", float, double) {
    using T = TestType;
    std::mt19937 generator(43);
    const SequenceSpan sequence{0, 6, 0, Start::resume};
    ConvProblem<T> one({6, 1, 21, 4});
    one.random(generator);
    ConvProblem<T> other({6, 1, 21, 4});
    other.copy_from(one);
    Tensor<T, 2> taps({4, 21});
    for (index_t c = 0; c < 21; ++c) {
        for (index_t i = 0; i < 4; ++i) taps.view()(i, c) = one.weight.view()(c, i);
    }
    TestBackend backend;
    run_conv1d(backend, one.args({&sequence, 1}));
    Conv1dArgs<T> args = other.args({&sequence, 1});
    args.weight = {taps.cview().data(), {21, 4}, {1, 21}};
    run_conv1d(backend, args);
    CHECK(bit_equal(one.output.values(), other.output.values()));
}

TEMPLATE_TEST_CASE("conv1d: a sequence cut anywhere gives the same bits", "[conv1d]", float,
                   double) {
    using T = TestType;
    std::mt19937 generator(44);
    for (index_t width = 2; width <= 8; ++width) {
        for (index_t cut = 0; cut <= 10; ++cut) {
            for (const Start start : {Start::resume, Start::fresh}) {
                ConvProblem<T> whole({10, 1, 13, width});
                whole.random(generator);
                ConvProblem<T> parts({10, 1, 13, width});
                parts.copy_from(whole);
                const SequenceSpan all{0, 10, 0, start};
                const SequenceSpan head{0, cut, 0, start};
                const SequenceSpan tail{cut, 10 - cut, 0, Start::resume};
                TestBackend backend;
                run_conv1d(backend, whole.args({&all, 1}));
                run_conv1d(backend, parts.args({&head, 1}));
                run_conv1d(backend, parts.args({&tail, 1}));
                CAPTURE(width, cut, static_cast<int>(start));
                CHECK(bit_equal(whole.output.values(), parts.output.values()));
                CHECK(bit_equal(whole.state.values(), parts.state.values()));
            }
        }
    }
}

TEMPLATE_TEST_CASE("conv1d: a channel's result does not depend on where it stands", "[conv1d]",
                   float, double) {
    using T = TestType;
    std::mt19937 generator(45);
    constexpr index_t channels = 29;
    const SequenceSpan sequence{0, 6, 0, Start::resume};
    ConvProblem<T> one({6, 1, channels, 4});
    one.random(generator);
    ConvProblem<T> reversed({6, 1, channels, 4});
    for (index_t c = 0; c < channels; ++c) {
        const index_t to = channels - 1 - c;
        for (index_t t = 0; t < 6; ++t) reversed.input.view()(t, 0, to) = one.input.view()(t, 0, c);
        for (index_t i = 0; i < 4; ++i) reversed.weight.view()(to, i) = one.weight.view()(c, i);
        for (index_t i = 0; i < 3; ++i) reversed.state.view()(0, i, to) = one.state.view()(0, i, c);
    }
    TestBackend backend;
    run_conv1d(backend, one.args({&sequence, 1}));
    run_conv1d(backend, reversed.args({&sequence, 1}));
    for (index_t t = 0; t < 6; ++t) {
        for (index_t c = 0; c < channels; ++c) {
            CHECK(same_bits(one.output.view()(t, c), reversed.output.view()(t, channels - 1 - c)));
        }
    }
}

TEMPLATE_TEST_CASE("conv1d: order of sequences, executor and a neighbour's NaN change nothing",
                   "[conv1d]", float, double) {
    using T = TestType;
    std::mt19937 generator(46);
    const std::vector<SequenceSpan> sequences{{0, 5, 2, Start::resume},
                                              {5, 1, 0, Start::fresh},
                                              {6, 0, 3, Start::fresh},
                                              {6, 9, 1, Start::resume}};
    const std::vector<SequenceSpan> shuffled{sequences[3], sequences[1], sequences[0],
                                             sequences[2]};
    const typename ConvProblem<T>::Sizes sizes{15, 1, 300, 4, 5};
    ConvProblem<T> one(sizes);
    one.random(generator);
    ConvProblem<T> other(sizes);
    other.copy_from(one);
    ConvProblem<T> dirty(sizes);
    dirty.copy_from(one);
    TestBackend backend;
    BackwardBackend backward;
    run_conv1d(backend, one.args(sequences));
    run_conv1d(backward, other.args(shuffled));
    CHECK(bit_equal(one.output.values(), other.output.values()));
    CHECK(bit_equal(one.state.values(), other.state.values()));
    for (index_t t = 6; t < 15; ++t) dirty.input.view()(t, 0, 17) = red_zone<T>();
    run_conv1d(backend, dirty.args(sequences));
    for (index_t t = 0; t < 6; ++t) {
        for (index_t c = 0; c < 300; ++c) {
            CHECK(same_bits(one.output.view()(t, c), dirty.output.view()(t, c)));
        }
    }
}

TEMPLATE_TEST_CASE("conv1d: a sequence may begin anywhere among the rows of a task", "[conv1d]",
                   float, double) {
    using T = TestType;
    std::mt19937 generator(47);
    constexpr index_t rows = cpu::tuning::conv_rows;
    for (const index_t width : {2, 4, 8}) {
        for (index_t first = rows - 9; first <= rows + 1; ++first) {
            for (const index_t n_tokens : {1, 3, 11}) {
                ConvProblem<T> batch({first + n_tokens, 1, 13, width, 2});
                batch.random(generator);
                ConvProblem<T> alone({n_tokens, 1, 13, width, 2});
                for (index_t t = 0; t < n_tokens; ++t) {
                    for (index_t c = 0; c < 13; ++c)
                        alone.input.view()(t, 0, c) = batch.input.view()(first + t, 0, c);
                }
                alone.weight.copy_from(batch.weight);
                alone.state.copy_from(batch.state);
                const SequenceSpan both[] = {{0, first, 0, Start::resume},
                                             {first, n_tokens, 1, Start::resume}};
                const SequenceSpan one{0, n_tokens, 1, Start::resume};
                TestBackend backend;  // in order: what opens a sequence runs before what follows
                run_conv1d(backend, batch.args(both));
                run_conv1d(backend, alone.args({&one, 1}));
                CAPTURE(width, first, n_tokens);
                bool same = true;
                for (index_t t = 0; t < n_tokens; ++t) {
                    for (index_t c = 0; c < 13; ++c) {
                        same = same && same_bits(batch.output.view()(first + t, c),
                                                 alone.output.view()(t, c));
                    }
                }
                for (index_t i = 0; i < width - 1; ++i) {
                    for (index_t c = 0; c < 13; ++c) {
                        same = same &&
                               same_bits(batch.state.view()(1, i, c), alone.state.view()(1, i, c));
                    }
                }
                CHECK(same);
            }
        }
    }
}
