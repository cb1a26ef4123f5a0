// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The norms against the oracle in double. Bounds count roundings: n squares are summed by four
/// elements a lane, at most n / 4 + 5 additions of positive terms one after another, rsqrtf is
/// right to 2 ulp and up to 4 products follow; the special functions' errors are those that
/// activations.cuh states.
#include "cuda/device.hpp"
#include "cuda/random_tensors.hpp"
#include <deltanet/cuda/ops.hpp>
#include <deltanet/reference/gated_rmsnorm.hpp>
#include <deltanet/reference/l2norm.hpp>
#include <deltanet/reference/rmsnorm.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Of a norm over n elements.
double norm_bound(index_t n) { return eps<float>() * (6.0 + 0.25 * static_cast<double>(n)); }

/// Of silu and sigmoid at numbers up to `range`, in front of what follows.
double gate_bound(double range) { return eps<float>() * (6.0 + 1.173 * range); }

struct Layout {
    index_t padding, misalign;
};
constexpr Layout kLayouts[] = {{0, 0}, {4, 4}, {3, 1}};

void check_close(const std::vector<float>& actual, const std::vector<double>& expected,
                 double relative) {
    check_elements(widened(actual), expected, relative, 1e-37);
}

}  // namespace

TEST_CASE("l2norm: every size around lanes and turns, both forms, strides, in place") {
    std::mt19937 generator(201);
    for (const index_t d : {1, 3, 4, 20, 63, 64, 96, 128, 129, 192, 256, 260, 515}) {
        for (const Layout layout : kLayouts) {
            const L2Form form = d % 2 == 0 ? L2Form::rsqrt : L2Form::max;
            const Shape<3> shape{3, 3, d};
            Tensor<double, 3> x = random_tensor<3>(shape, generator, -1.0, 1.0);
            Tensor<double, 3> expected(shape);
            reference::l2norm(L2NormArgs<double>{x.cview(), expected.view(), form, 1e-6});
            CAPTURE(d, layout.padding, layout.misalign);
            const std::vector<float> values = narrowed(x);
            const auto [apart, in_place] = for_each_schedule([&] {
                DeviceTensor<float, 3> input(shape, values, layout.padding, layout.misalign);
                DeviceTensor<float, 3> output(shape, layout.padding, layout.misalign);
                cuda::l2norm({input.cview(), output.view(), form, 1e-6}, nullptr);
                std::vector<float> first = output.download();
                cuda::l2norm({input.cview(), input.view(), form, 1e-6}, nullptr);
                return std::pair(first, input.download());
            });
            check_close(apart, expected.values(), norm_bound(d));
            CHECK(bit_equal(apart, in_place));
        }
    }
}

TEST_CASE("l2norm: tiny rows, zeros and a NaN, which stays in its row") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> values{3e-9F, 4e-9F, 0.0F, 0.0F, nan, 1.0F, 0.6F, 0.8F};
    const auto run = [&](L2Form form) {
        return for_each_schedule([&] {
            DeviceTensor<float, 3> x({4, 1, 2}, values);
            DeviceTensor<float, 3> y({4, 1, 2});
            cuda::l2norm({x.cview(), y.view(), form, 1e-6}, nullptr);
            return y.download();
        });
    };
    for (const L2Form form : {L2Form::rsqrt, L2Form::max}) {
        const std::vector<float> y = run(form);
        const double tiny = form == L2Form::rsqrt ? 3e-9 / 1e-3 : 3e-9 / 1e-6;
        CHECK(std::abs(static_cast<double>(y[0]) - tiny) <= norm_bound(2) * tiny);
        CHECK(y[2] == 0.0F);
        CHECK(std::isnan(y[4]));
        CHECK(std::isnan(y[5]));
        CHECK(std::abs(static_cast<double>(y[6]) - 0.6) <= 0.6 * (1e-6 + norm_bound(2)));
    }
}

TEST_CASE("rmsnorm: every size around a block's step, both weights, in place") {
    std::mt19937 generator(202);
    for (const index_t n : {1, 5, 127, 1024, 1028, 2048, 2051}) {
        for (const Layout layout : kLayouts) {
            const double offset = n % 2 == 0 ? 1.0 : 0.0;
            Tensor<double, 2> x = random_tensor<2>(Shape<2>{2, n}, generator, -1.0, 1.0);
            Tensor<double, 1> w = random_tensor<1>(Shape<1>{n}, generator, 0.5, 1.5);
            Tensor<double, 2> expected({2, n});
            reference::rmsnorm(
                RmsNormArgs<double>{x.cview(), w.cview(), expected.view(), 1e-6, offset});
            CAPTURE(n, layout.padding, layout.misalign);
            const auto [apart, in_place] = for_each_schedule([&] {
                DeviceTensor<float, 2> input({2, n}, narrowed(x), layout.padding, layout.misalign);
                DeviceTensor<float, 1> weight({n}, narrowed(w), 0, layout.misalign);
                DeviceTensor<float, 2> output({2, n}, layout.padding, layout.misalign);
                cuda::rmsnorm({input.cview(), weight.cview(), output.view(), 1e-6, offset},
                              nullptr);
                std::vector<float> first = output.download();
                cuda::rmsnorm({input.cview(), weight.cview(), input.view(), 1e-6, offset}, nullptr);
                return std::pair(first, input.download());
            });
            // A thread sums 4 of 1024 elements, the block the threads.
            check_close(apart, expected.values(), norm_bound(4 * (n / 1024 + 1) + 64));
            CHECK(bit_equal(apart, in_place));
        }
    }
}

TEST_CASE("gated_rmsnorm: gates, sizes, groups of strided z, strides") {
    std::mt19937 generator(203);
    for (const OutputGate gate : {OutputGate::silu, OutputGate::sigmoid, OutputGate::none}) {
        for (const index_t d : {1, 20, 64, 96, 128, 131, 192, 256, 300}) {
            const Layout layout = kLayouts[static_cast<std::size_t>(d) % 3];
            constexpr index_t n = 3, groups = 2, per_group = 3;
            const Shape<3> shape{n, groups * per_group, d};
            const Shape<4> z_shape{n, groups, per_group, d};
            Tensor<double, 3> x = random_tensor<3>(shape, generator, -1.0, 1.0);
            Tensor<double, 4> z = random_tensor<4>(z_shape, generator, -8.0, 8.0);
            Tensor<double, 1> w = random_tensor<1>(Shape<1>{d}, generator, 0.5, 1.5);
            Tensor<double, 3> expected(shape);
            GatedRmsNormArgs<double> args{.input = x.cview(),
                                          .z = z.cview(),
                                          .weight = w.cview(),
                                          .output = expected.view(),
                                          .gate = gate};
            reference::gated_rmsnorm(args);
            CAPTURE(static_cast<int>(gate), d);
            const auto actual = for_each_schedule([&] {
                DeviceTensor<float, 3> input(shape, narrowed(x), layout.padding, layout.misalign);
                DeviceTensor<float, 4> gates(z_shape, narrowed(z), layout.padding, layout.misalign);
                DeviceTensor<float, 1> weight({d}, narrowed(w), 0, layout.misalign);
                DeviceTensor<float, 3> output(shape, layout.padding, layout.misalign);
                cuda::gated_rmsnorm(
                    {.input = input.cview(),
                     .z = gate == OutputGate::none ? View<const float, 4>{} : gates.cview(),
                     .weight = weight.cview(),
                     .output = output.view(),
                     .gate = gate},
                    nullptr);
                return output.download();
            });
            check_close(actual, expected.values(), norm_bound(d) + gate_bound(8.0));
        }
    }
}

TEST_CASE("gated_rmsnorm: the rows of a list, in its order, more of them than a launch takes") {
    std::mt19937 generator(204);
    constexpr index_t n = 5, d = 8;
    Tensor<double, 3> x = random_tensor<3>(Shape<3>{n, 1, d}, generator, -1.0, 1.0);
    Tensor<double, 1> w = random_tensor<1>(Shape<1>{d}, generator, 0.5, 1.5);
    for (const std::size_t count : {std::size_t{0}, std::size_t{3}, std::size_t{2000}}) {
        std::vector<index_t> rows;
        for (std::size_t i = 0; i < count; ++i) rows.push_back(random_index(generator, n));
        const Shape<3> shape{static_cast<index_t>(count), 1, d};
        Tensor<double, 3> expected(shape);
        reference::gated_rmsnorm(GatedRmsNormArgs<double>{.input = x.cview(),
                                                          .z = {},
                                                          .weight = w.cview(),
                                                          .output = expected.view(),
                                                          .rows = rows,
                                                          .gate = OutputGate::none});
        const auto actual = for_each_schedule([&] {
            DeviceTensor<float, 3> input({n, 1, d}, narrowed(x));
            DeviceTensor<float, 1> weight({d}, narrowed(w));
            DeviceTensor<float, 3> output(shape);
            cuda::gated_rmsnorm({.input = input.cview(),
                                 .z = {},
                                 .weight = weight.cview(),
                                 .output = output.view(),
                                 .rows = rows,
                                 .gate = OutputGate::none},
                                nullptr);
            return output.download();
        });
        CAPTURE(count);
        check_close(actual, expected.values(), norm_bound(d));
    }
}
