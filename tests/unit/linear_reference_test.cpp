// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Weight matrices as they lie in memory, the oracle among the linear operators, and operators made
/// of callables.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/linear/callable.hpp>
#include <deltanet/linear/reference.hpp>
#include <deltanet/linear/weight_matrix.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// y = W x through the operator, with scratch of just the size that it asks for.
template <class L>
std::vector<float> apply(const L& w, View<const float, 2> x) {
    const index_t n = x.size(0);
    std::vector<float> y(static_cast<std::size_t>(n * w.out_features()), -99.0F);
    std::vector<std::byte> scratch(static_cast<std::size_t>(w.scratch_bytes(n, 1)));
    SequentialExecutor executor;
    w(x, {y.data(), {n, w.out_features()}}, scratch, executor);
    return y;
}

}  // namespace

TEST_CASE("a weight matrix loads pieces of rows from every type", "[linear]") {
    const std::vector<float> f32{1.0F,   -2.5F,    0.375F, 7.0F,
                                 100.0F, -0.0625F, 9.0F,   9.0F};  // rows of 3, stride 4
    std::vector<bf16> brain;
    std::vector<f16> half;
    for (const float x : f32) {
        brain.push_back(to_bf16(x));  // all of these are exact in 16 bits
        half.push_back(to_f16(x));
    }
    const WeightMatrix matrices[] = {View<const float, 2>(f32.data(), {2, 3}, {4, 1}),
                                     View<const bf16, 2>(brain.data(), {2, 3}, {4, 1}),
                                     View<const f16, 2>(half.data(), {2, 3}, {4, 1})};
    const WeightFormat formats[] = {WeightFormat::f32, WeightFormat::bf16, WeightFormat::f16};
    for (std::size_t m = 0; m < 3; ++m) {
        const WeightMatrix& w = matrices[m];
        CHECK(w.rows() == 2);
        CHECK(w.cols() == 3);
        CHECK(w.format() == formats[m]);
        std::vector<float> out(4, -1.0F);
        w.load(1, 0, 3, out.data());
        CHECK(out == std::vector<float>{100.0F, -0.0625F, 9.0F, -1.0F});
        w.load(0, 1, 2, out.data());
        CHECK(out == std::vector<float>{-2.5F, 0.375F, 9.0F, -1.0F});
        w.load(0, 3, 0, out.data());  // nothing
        CHECK(out[0] == -2.5F);
    }
    CHECK(matrices[0].as_float().ptr(1, 2) == f32.data() + 6);
}

TEST_CASE("a default weight matrix is empty and a view of mutable floats is one too", "[linear]") {
    const WeightMatrix none;
    CHECK(none.rows() == 0);
    CHECK(none.cols() == 0);
    CHECK(none.format() == WeightFormat::f32);
    std::vector<float> floats(6);
    const WeightMatrix w = View<float, 2>(floats.data(), {2, 3});
    CHECK(w.rows() == 2);
}

TEST_CASE("weight matrices that kernels could not read are refused", "[linear][errors]") {
    std::vector<float> floats(12);
    const auto refused = [](View<const float, 2> view) {
        return message_of([&] { const WeightMatrix w(view); });
    };
    CHECK(refused({floats.data(), {3, 4}, {1, 3}}) ==
          "WeightMatrix: view: expected innermost stride 1, found strides [1, 3]");
    CHECK(refused({nullptr, {3, 4}}) ==
          "WeightMatrix: view: expected data for shape [3, 4], found a null pointer");
    CHECK(refused({floats.data(), {3, 4}, {0, 1}}) ==
          "nothing was thrown");  // read only: rows may be shared
}

TEST_CASE("ReferenceLinear by hand", "[linear][reference]") {
    const std::vector<float> weight{1, 2, 3, 10, 20, 30};
    const std::vector<float> x{1, 1, 1, 0, -1, 2};
    const ReferenceLinear w(View<const float, 2>(weight.data(), {2, 3}));
    CHECK(w.in_features() == 3);
    CHECK(w.out_features() == 2);
    CHECK(apply(w, {x.data(), {2, 3}}) == std::vector<float>{6, 60, 4, 40});
}

TEST_CASE("ReferenceLinear sums in double", "[linear][reference]") {
    // in float 2^30 + 1 is 2^30 and the ones are lost
    const std::vector<float> weight{0x1p30F, 1.0F, 1.0F, -0x1p30F};
    const std::vector<float> ones(4, 1.0F);
    const ReferenceLinear w(View<const float, 2>(weight.data(), {1, 4}));
    CHECK(apply(w, {ones.data(), {1, 4}}) == std::vector<float>{2.0F});
}

TEST_CASE("ReferenceLinear reads rows of x and writes rows of y by their strides",
          "[linear][reference]") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> weight{2, 0, 0, 3};
    const std::vector<float> x{1, 2, nan, 3, 4, nan};
    std::vector<float> y(10, -99.0F);
    const ReferenceLinear w(View<const float, 2>(weight.data(), {2, 2}));
    std::vector<std::byte> scratch(static_cast<std::size_t>(w.scratch_bytes(2, 1)));
    SequentialExecutor executor;
    w({x.data(), {2, 2}, {3, 1}}, {y.data() + 1, {2, 2}, {5, 1}}, scratch, executor);
    CHECK(y == std::vector<float>{-99, 2, 6, -99, -99, -99, 6, 12, -99, -99});
}

TEST_CASE("CallableLinear hands views through", "[linear]") {
    std::vector<float> x(6, 1.0F);
    int calls = 0;
    const auto count = [&](View<const float, 2> in, View<float, 2> out) {
        ++calls;
        CHECK(in.data() == x.data());
        CHECK(in.shape() == Shape<2>{2, 3});
        CHECK(out.shape() == Shape<2>{2, 5});
        for (index_t t = 0; t < 2; ++t) {
            for (index_t o = 0; o < 5; ++o) out(t, o) = static_cast<float>(10 * t + o);
        }
    };
    const CallableLinear<std::function<void(View<const float, 2>, View<float, 2>)>> erased(3, 5,
                                                                                           count);
    const CallableLinear typed(3, 5, count);  // the lambda's own type is deduced
    const std::vector<float> expected{0, 1, 2, 3, 4, 10, 11, 12, 13, 14};
    CHECK(erased.in_features() == 3);
    CHECK(erased.out_features() == 5);
    CHECK(erased.scratch_bytes(1000, 16) == 0);
    CHECK(apply(erased, View<const float, 2>(x.data(), {2, 3})) == expected);
    CHECK(apply(typed, View<const float, 2>(x.data(), {2, 3})) == expected);
    CHECK(calls == 2);
    static_assert(!std::is_same_v<decltype(typed), decltype(erased)>);
}
