// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The convolution with the L2 norm of its heads in the same pass, and its cut into blocks of rows.
#include "conv_problem.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Heads side by side, rows and starts at odd distances.
template <class T>
ConvProblem<T> problem_of(index_t n_tokens, index_t heads, index_t d, index_t width,
                          index_t n_slots = 1) {
    return ConvProblem<T>({n_tokens, 1, heads * d, width, n_slots}, 3, 1);
}

template <class T>
Conv1dArgs<T> args_of(ConvProblem<T>& problem, std::span<const SequenceSpan> sequences,
                      std::optional<HeadNorm> norm = {}) {
    return problem.args(sequences, true, false, norm);
}

/// The output of a sequence's tokens as heads of d channels.
template <class T>
View<T, 3> heads_of(ConvProblem<T>& problem, const SequenceSpan& s, index_t d) {
    const View<T, 2> o = problem.output.view();
    return {o.ptr(s.first_token), {s.n_tokens, o.size(1) / d, d}, {o.stride(0), d, 1}};
}

}  // namespace

TEMPLATE_TEST_CASE("conv1d with a norm is conv1d and l2norm, bit for bit", "[conv1d]", float,
                   double) {
    using T = TestType;
    std::mt19937 generator(141);
    // Heads of less than a vector, ragged ones, whole ones, and one that no block can hold.
    for (const index_t d : {1, 3, 16, 20, 64, 96, 128, 256, 260}) {
        for (const index_t n_tokens : {1, 2, 3, 5, 9}) {
            for (const L2Form form : {L2Form::rsqrt, L2Form::max}) {
                const SequenceSpan sequence{0, n_tokens, 0, Start::resume};
                const HeadNorm norm{.d = d, .form = form, .eps = 1e-3};
                ConvProblem<T> fused = problem_of<T>(n_tokens, 5, d, 4);
                fused.random(generator);
                ConvProblem<T> apart = problem_of<T>(n_tokens, 5, d, 4);
                apart.copy_from(fused);
                ConvProblem<T> oracle = problem_of<T>(n_tokens, 5, d, 4);
                oracle.copy_from(fused);
                TestBackend backend;
                ReferenceBackend reference;
                run_conv1d(backend, args_of(fused, {&sequence, 1}, norm));
                run_conv1d(backend, args_of(apart, {&sequence, 1}));
                const View<T, 3> heads = heads_of(apart, sequence, d);
                l2norm(backend, L2NormArgs<T>{heads, heads, form, norm.eps});
                conv1d(reference, args_of(oracle, {&sequence, 1}, norm));
                CAPTURE(d, n_tokens, static_cast<int>(form));
                CHECK(fused.output.red_zone_intact());
                CHECK(bit_equal(fused.output.values(), apart.output.values()));
                CHECK(bit_equal(fused.state.values(), apart.state.values()));
                // As for the convolution (conv1d_test.cpp, W = 4), against a row of length about 1;
                // the norm adds half a rounding per element and 4 more. Short rows, which the norm
                // enlarges, are covered by the comparison of bits.
                if (d >= 16) {
                    check_elements(fused.output.values(), oracle.output.values(),
                                   eps<T>() * (12.0 + 0.5 * static_cast<double>(d)),
                                   eps<T>() * 4.0 * 9.0);
                }
            }
        }
    }
}

TEST_CASE("conv1d with a norm and without SiLU is normed too", "[conv1d]") {
    std::mt19937 generator(143);
    const SequenceSpan sequence{0, 3, 0, Start::resume};
    ConvProblem<float> fused = problem_of<float>(3, 5, 16, 4);
    fused.random(generator);
    ConvProblem<float> apart = problem_of<float>(3, 5, 16, 4);
    apart.copy_from(fused);
    TestBackend backend;
    run_conv1d(backend, fused.args({&sequence, 1}, false, false, HeadNorm{.d = 16}));
    run_conv1d(backend, apart.args({&sequence, 1}, false));
    const View<float, 3> heads = heads_of(apart, sequence, 16);
    l2norm(backend, L2NormArgs<float>{heads, heads, L2Form::rsqrt, 1e-6});
    CHECK(bit_equal(fused.output.values(), apart.output.values()));
}

TEMPLATE_TEST_CASE("conv1d: sequences that begin and end anywhere in the row blocks", "[conv1d]",
                   float, double) {
    using T = TestType;
    std::mt19937 generator(142);
    constexpr index_t rows = cpu::tuning::conv_rows;
    // Longer than two blocks, cut at and around their borders, without tokens at both ends.
    const std::vector<SequenceSpan> sequences{{3 * rows + 10, 0, 5, Start::fresh},
                                              {0, 1, 3, Start::resume},
                                              {1, 2 * rows, 1, Start::fresh},
                                              {2 * rows + 1, 2, 4, Start::resume},
                                              {2 * rows + 3, rows - 3, 0, Start::resume},
                                              {3 * rows, 10, 2, Start::fresh},
                                              {0, 0, 6, Start::resume}};
    for (index_t width = 2; width <= 8; ++width) {
        ConvProblem<T> one = problem_of<T>(3 * rows + 10, 3, 20, width, 7);
        one.random(generator);
        ConvProblem<T> other = problem_of<T>(3 * rows + 10, 3, 20, width, 7);
        other.copy_from(one);
        ConvProblem<T> each = problem_of<T>(3 * rows + 10, 3, 20, width, 7);
        each.copy_from(one);
        ConvProblem<T> oracle = problem_of<T>(3 * rows + 10, 3, 20, width, 7);
        oracle.copy_from(one);
        TestBackend backend;
        BackwardBackend backward;
        ReferenceBackend reference;
        run_conv1d(backend, args_of(one, sequences));
        run_conv1d(backward, args_of(other, sequences));
        for (const SequenceSpan& s : sequences) run_conv1d(backend, args_of(each, {&s, 1}));
        conv1d(reference, args_of(oracle, sequences));
        CAPTURE(width);
        CHECK(bit_equal(one.output.values(), other.output.values()));
        CHECK(bit_equal(one.state.values(), other.state.values()));
        CHECK(bit_equal(one.output.values(), each.output.values()));
        CHECK(bit_equal(one.state.values(), each.state.values()));
        CHECK(bit_equal(one.state.values(), oracle.state.values()));
        const auto w = static_cast<double>(width);
        check_elements(one.output.values(), oracle.output.values(), 8.0 * eps<T>(),
                       eps<T>() * w * (2.0 * w + 1.0));
    }
}

TEMPLATE_TEST_CASE("conv1d: a fresh sequence without tokens behind a whole row block is zeroed",
                   "[conv1d]", float, double) {
    using T = TestType;
    std::mt19937 generator(143);
    constexpr index_t rows = cpu::tuning::conv_rows;
    for (const index_t n_tokens : {index_t{0}, rows, 2 * rows}) {
        ConvProblem<T> problem = problem_of<T>(n_tokens, 2, 20, 4, 2);
        problem.random(generator);
        const std::vector<SequenceSpan> sequences{{0, n_tokens, 0, Start::resume},
                                                  {n_tokens, 0, 1, Start::fresh}};
        TestBackend backend;
        run_conv1d(backend, args_of(problem, sequences));
        bool zero = true;
        for (index_t i = 0; i < 3; ++i) {
            for (index_t c = 0; c < 40; ++c)
                zero = zero && same_bits(problem.state.view()(1, i, c), T(0));
        }
        CAPTURE(n_tokens);
        CHECK(zero);
    }
}
