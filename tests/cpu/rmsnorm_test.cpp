// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// A mean of n squares carries at most n roundings, halved by the root; the activation's exp adds a
/// few and the rest are single operations.
template <class T>
double bound(index_t n) {
    return eps<T>() * (12.0 + 0.5 * static_cast<double>(n));
}

}  // namespace

TEMPLATE_TEST_CASE("rmsnorm agrees with the reference for every size, stride and alignment",
                   "[rmsnorm]", float, double) {
    using T = TestType;
    std::mt19937 generator(21);
    for (const index_t n : counts_around(n_lanes<T>)) {
        for (const index_t misalign : {0, 1, 3}) {
            for (const double offset : {0.0, 1.0}) {
                const Shape<2> shape{5, n};
                Tensor<T, 2> input(shape, misalign, misalign);
                Tensor<T, 1> weight({n}, 0, misalign);
                input.random(generator, -3, 3);
                weight.random(generator, 0.2, 2);
                Tensor<T, 2> actual(shape, misalign == 0 ? 0 : 2, misalign);
                Tensor<T, 2> expected(shape);
                TestBackend backend;
                ReferenceBackend reference;
                rmsnorm(backend,
                        RmsNormArgs<T>{input.cview(), weight.cview(), actual.view(), 1e-6, offset});
                rmsnorm(reference, RmsNormArgs<T>{input.cview(), weight.cview(), expected.view(),
                                                  1e-6, offset});
                CAPTURE(n, misalign, offset);
                CHECK(actual.red_zone_intact());
                check_elements(actual.values(), expected.values(), bound<T>(n), 0.0);
                rmsnorm(backend,
                        RmsNormArgs<T>{input.cview(), weight.cview(), input.view(), 1e-6, offset});
                CHECK(bit_equal(input.values(), actual.values()));  // in place
            }
        }
    }
}

TEMPLATE_TEST_CASE(
    "gated_rmsnorm agrees with the reference for every gate, size, stride and row list",
    "[gated_rmsnorm]", float, double) {
    using T = TestType;
    std::mt19937 generator(22);
    const std::vector<index_t> some_rows{3, 0, 3};
    for (const index_t n : counts_around(n_lanes<T>)) {
        for (const index_t misalign : {0, 1, 3}) {
            for (const OutputGate gate :
                 {OutputGate::silu, OutputGate::sigmoid, OutputGate::none}) {
                for (const bool list : {false, true}) {
                    constexpr index_t n_tokens = 4;
                    constexpr index_t groups = 2;
                    constexpr index_t per = 3;
                    Tensor<T, 3> input({n_tokens, groups * per, n}, misalign, misalign);
                    Tensor<T, 4> z({n_tokens, groups, per, n}, misalign == 0 ? 0 : 7, misalign);
                    Tensor<T, 1> weight({n}, 0, misalign);
                    input.random(generator, -3, 3);
                    z.random(generator, -12, 12);
                    weight.random(generator, 0.2, 2);
                    if (gate == OutputGate::none) z.fill(red_zone<T>());
                    const Shape<3> shape{list ? 3 : n_tokens, groups * per, n};
                    Tensor<T, 3> actual(shape, misalign == 0 ? 0 : 2, misalign);
                    Tensor<T, 3> expected(shape);
                    GatedRmsNormArgs<T> args{.input = input.cview(),
                                             .z = z.cview(),
                                             .weight = weight.cview(),
                                             .output = actual.view(),
                                             .rows = {},
                                             .gate = gate,
                                             .eps = 1e-5};
                    if (list) args.rows = some_rows;
                    TestBackend backend;
                    ReferenceBackend reference;
                    gated_rmsnorm(backend, args);
                    args.output = expected.view();
                    gated_rmsnorm(reference, args);
                    CAPTURE(n, misalign, static_cast<int>(gate), list);
                    CHECK(actual.red_zone_intact());
                    check_elements(actual.values(), expected.values(), bound<T>(n), 0.0);
                }
            }
        }
    }
}

TEMPLATE_TEST_CASE("gated_rmsnorm: extreme gates and zero rows stay finite", "[gated_rmsnorm]",
                   float, double) {
    using T = TestType;
    constexpr index_t n = 19;
    Tensor<T, 3> input({2, 1, n});
    input.view()(1, 0, 3) = T(1e4);
    Tensor<T, 4> z({2, 1, 1, n});
    z.for_each([i = 0](T& x) mutable { x = static_cast<T>(++i % 2 == 0 ? 900 : -900); });
    Tensor<T, 1> weight({n});
    weight.fill(T(1));
    Tensor<T, 3> output({2, 1, n});
    TestBackend backend;
    for (const OutputGate gate : {OutputGate::silu, OutputGate::sigmoid}) {
        gated_rmsnorm(backend, GatedRmsNormArgs<T>{.input = input.cview(),
                                                   .z = z.cview(),
                                                   .weight = weight.cview(),
                                                   .output = output.view(),
                                                   .rows = {},
                                                   .gate = gate,
                                                   .eps = 1e-6});
        for (const T y : output.values()) CHECK(std::isfinite(y));
    }
}

TEMPLATE_TEST_CASE("the norms do not depend on the executor", "[rmsnorm]", float, double) {
    using T = TestType;
    std::mt19937 generator(23);
    Tensor<T, 2> input({700, 40});
    Tensor<T, 1> weight({40});
    input.random(generator, -1, 1);
    weight.random(generator, -1, 1);
    Tensor<T, 2> one({700, 40});
    Tensor<T, 2> other({700, 40});
    TestBackend backend;
    BackwardBackend backward;
    rmsnorm(backend, RmsNormArgs<T>{input.cview(), weight.cview(), one.view()});
    rmsnorm(backward, RmsNormArgs<T>{input.cview(), weight.cview(), other.view()});
    CHECK(bit_equal(one.values(), other.values()));
}
