// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

template <class T>
void compare(Tensor<T, 3>& input, const Shape<3>& shape, index_t padding, index_t misalign,
             L2Form form, double eps_value) {
    Tensor<T, 3> actual(shape, padding, misalign);
    Tensor<T, 3> expected(shape);
    TestBackend backend;
    ReferenceBackend reference;
    l2norm(backend, L2NormArgs<T>{input.cview(), actual.view(), form, eps_value});
    l2norm(reference, L2NormArgs<T>{input.cview(), expected.view(), form, eps_value});
    CHECK(actual.red_zone_intact());
    // A sum of n squares carries at most n roundings, halved by the root; the rest are 4 single
    // operations.
    check_elements(actual.values(), expected.values(),
                   eps<T>() * (4.0 + 0.5 * static_cast<double>(shape[2])), 0.0);
}

}  // namespace

TEMPLATE_TEST_CASE("l2norm agrees with the reference for every size, stride and alignment",
                   "[l2norm]", float, double) {
    using T = TestType;
    std::mt19937 generator(11);
    for (const index_t n : counts_around(n_lanes<T>)) {
        for (const index_t misalign : {0, 1, 3}) {
            for (const L2Form form : {L2Form::rsqrt, L2Form::max}) {
                const Shape<3> shape{3, 2, n};
                Tensor<T, 3> input(shape, misalign == 0 ? 0 : 5, misalign);
                input.random(generator, -2, 2);
                CAPTURE(n, misalign, static_cast<int>(form));
                compare(input, shape, misalign == 0 ? 0 : 3, misalign, form, 1e-6);
            }
        }
    }
}

TEMPLATE_TEST_CASE("l2norm: the two forms differ for tiny vectors as specified", "[l2norm]", float,
                   double) {
    using T = TestType;
    std::mt19937 generator(12);
    for (const double size : {1e-2, 1e-4, 1e-7, 0.0}) {
        for (const L2Form form : {L2Form::rsqrt, L2Form::max}) {
            const Shape<3> shape{4, 1, 37};
            Tensor<T, 3> input(shape);
            input.random(generator, -size, size);
            CAPTURE(size);
            compare(input, shape, 0, 0, form, 1e-6);
        }
    }
}

TEMPLATE_TEST_CASE("l2norm works in place and keeps a NaN in its own row", "[l2norm]", float,
                   double) {
    using T = TestType;
    std::mt19937 generator(13);
    for (const L2Form form : {L2Form::rsqrt, L2Form::max}) {
        Tensor<T, 3> clean({2, 3, 21});
        clean.random(generator, -1, 1);
        Tensor<T, 3> dirty({2, 3, 21});
        dirty.copy_from(clean);
        dirty.view()(1, 1, 4) = std::numeric_limits<T>::quiet_NaN();
        TestBackend backend;
        l2norm(backend, L2NormArgs<T>{clean.cview(), clean.view(), form, 1e-6});
        l2norm(backend, L2NormArgs<T>{dirty.cview(), dirty.view(), form, 1e-6});
        for (index_t t = 0; t < 2; ++t) {
            for (index_t h = 0; h < 3; ++h) {
                for (index_t i = 0; i < 21; ++i) {
                    if (t == 1 && h == 1) {
                        CHECK(std::isnan(dirty.view()(t, h, i)));
                    } else {
                        CHECK(same_bits(dirty.view()(t, h, i), clean.view()(t, h, i)));
                    }
                }
            }
        }
    }
}

TEMPLATE_TEST_CASE("l2norm does not depend on the executor", "[l2norm]", float, double) {
    using T = TestType;
    std::mt19937 generator(14);
    const Shape<3> shape{300, 4, 33};  // several tasks
    Tensor<T, 3> input(shape);
    input.random(generator, -1, 1);
    Tensor<T, 3> one(shape);
    Tensor<T, 3> other(shape);
    TestBackend backend;
    BackwardBackend backward;
    l2norm(backend, L2NormArgs<T>{input.cview(), one.view()});
    l2norm(backward, L2NormArgs<T>{input.cview(), other.view()});
    CHECK(bit_equal(one.values(), other.values()));
}
