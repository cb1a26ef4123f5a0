// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

template <class T>
struct GatesProblem {
    /// heads_inner: strides of a model whose a and b are interleaved per group.
    GatesProblem(index_t n_tokens, index_t groups, index_t per, index_t padding, index_t misalign)
        : ab({n_tokens, groups, 2 * per}, padding, misalign),
          A_log({groups * per}, 0, misalign),
          dt_bias({groups * per}, 0, misalign),
          decay_log({n_tokens, groups * per}, padding, misalign),
          beta({n_tokens, groups * per}, padding, misalign),
          per_group(per) {}

    [[nodiscard]] GatesArgs<T> args() {
        return {.a = ab.cview().slice(2, per_group, per_group),
                .b = ab.cview().slice(2, 0, per_group),
                .A_log = A_log.cview(),
                .dt_bias = dt_bias.cview(),
                .decay_log = decay_log.view(),
                .beta = beta.view(),
                .beta_doubled = false};
    }

    Tensor<T, 3> ab;
    Tensor<T, 1> A_log, dt_bias;
    Tensor<T, 2> decay_log, beta;
    index_t per_group;
};

/// Sum, exp, log1p, exp and a product, each of a few roundings; a rounding of the exponent x weighs
/// |x| in its exp, and |x| here is at most `range`. Results below the smallest normal number may be
/// flushed.
template <class T>
void check_gates(const std::vector<T>& actual, const std::vector<T>& expected, double range) {
    check_elements(actual, expected, eps<T>() * (12.0 + 2.0 * range),
                   8.0 * static_cast<double>(std::numeric_limits<T>::min()));
}

}  // namespace

TEMPLATE_TEST_CASE("gates agree with the reference for every size, stride and alignment", "[gates]",
                   float, double) {
    using T = TestType;
    std::mt19937 generator(31);
    for (const index_t groups : {index_t{1}, index_t{3}}) {
        for (const index_t per : counts_around(n_lanes<T>)) {
            for (const index_t misalign : {0, 1, 3}) {
                for (const bool doubled : {false, true}) {
                    GatesProblem<T> problem(3, groups, per, misalign, misalign);
                    problem.ab.random(generator, -30, 30);
                    problem.A_log.random(generator, -3, 3);
                    problem.dt_bias.random(generator, -5, 2);
                    Tensor<T, 2> decay_log({3, groups * per});
                    Tensor<T, 2> beta({3, groups * per});
                    GatesArgs<T> args = problem.args();
                    args.beta_doubled = doubled;
                    TestBackend backend;
                    ReferenceBackend reference;
                    gates(backend, args);
                    args.decay_log = decay_log.view();
                    args.beta = beta.view();
                    gates(reference, args);
                    CAPTURE(groups, per, misalign, doubled);
                    CHECK(problem.decay_log.red_zone_intact());
                    CHECK(problem.beta.red_zone_intact());
                    check_gates(problem.decay_log.values(), decay_log.values(), 40.0);
                    check_gates(problem.beta.values(), beta.values(), 40.0);
                }
            }
        }
    }
}

TEMPLATE_TEST_CASE("gates: many heads, any strides, one head at a time: the same bits", "[gates]",
                   float, double) {
    using T = TestType;
    std::mt19937 generator(32);
    constexpr index_t heads = 150;  // more than one block of heads
    GatesProblem<T> whole(4, 1, heads, 0, 0);
    whole.ab.random(generator, -30, 30);
    whole.A_log.random(generator, -3, 3);
    whole.dt_bias.random(generator, -5, 2);
    TestBackend backend;
    gates(backend, whole.args());
    // a and b transposed, [heads, n_tokens] in memory, and every head in its own call.
    Tensor<T, 2> a({heads, 4});
    Tensor<T, 2> b({heads, 4});
    for (index_t t = 0; t < 4; ++t) {
        for (index_t h = 0; h < heads; ++h) {
            a.view()(h, t) = whole.args().a(t, 0, h);
            b.view()(h, t) = whole.args().b(t, 0, h);
        }
    }
    Tensor<T, 2> decay_log({4, heads});
    Tensor<T, 2> beta({4, heads});
    for (index_t h = 0; h < heads; ++h) {
        gates(backend, GatesArgs<T>{.a = {a.cview().ptr(h), {4, 1, 1}, {1, 1, 4}},
                                    .b = {b.cview().ptr(h), {4, 1, 1}, {1, 1, 4}},
                                    .A_log = {whole.A_log.cview().ptr(h), {1}},
                                    .dt_bias = {whole.dt_bias.cview().ptr(h), {1}},
                                    .decay_log = decay_log.view().slice(1, h, 1),
                                    .beta = beta.view().slice(1, h, 1),
                                    .beta_doubled = false});
    }
    CHECK(bit_equal(decay_log.values(), whole.decay_log.values()));
    CHECK(bit_equal(beta.values(), whole.beta.values()));
    BackwardBackend backward;
    whole.decay_log.fill(T(0));
    gates(backward, whole.args());
    CHECK(bit_equal(decay_log.values(), whole.decay_log.values()));
}

TEMPLATE_TEST_CASE("gates: extreme inputs keep their meaning", "[gates]", float, double) {
    using T = TestType;
    // softplus(-60) is exp(-60), not 0; softplus(1e4) is 1e4; no overflow anywhere.
    const std::vector<T> inputs{T(-60), T(-20), T(0), T(20.5), T(1e4), T(-1e4)};
    const auto n = static_cast<index_t>(inputs.size());
    GatesProblem<T> problem(1, 1, n, 0, 0);
    for (index_t h = 0; h < n; ++h) {
        problem.ab.view()(0, 0, h) = inputs[static_cast<std::size_t>(h)];
        problem.ab.view()(0, 0, n + h) = inputs[static_cast<std::size_t>(h)];
    }
    Tensor<T, 2> decay_log({1, n});
    Tensor<T, 2> beta({1, n});
    TestBackend backend;
    ReferenceBackend reference;
    GatesArgs<T> args = problem.args();
    gates(backend, args);
    args.decay_log = decay_log.view();
    args.beta = beta.view();
    gates(reference, args);
    check_gates(problem.decay_log.values(), decay_log.values(), 60.0);
    check_gates(problem.beta.values(), beta.values(), 60.0);
    CHECK(problem.decay_log.view()(0, 0) < T(0));
}
