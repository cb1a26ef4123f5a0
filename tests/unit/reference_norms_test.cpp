// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The oracles of the three norms against their formulas in long double, and the numbers by which
/// the two forms of the L2 norm are known to differ.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include <deltanet/reference/backend.hpp>

#include <cmath>
#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
long double wide(double x) { return static_cast<long double>(x); }

/// A sum of a few dozen squares in double, a root and a division or two.
constexpr double kBound = 1e-14;

std::vector<double> l2normed(const std::vector<double>& x, L2Form form, double eps = 1e-6) {
    const auto d = static_cast<index_t>(x.size());
    std::vector<double> y(x.size());
    ReferenceBackend backend;
    l2norm(backend,
           L2NormArgs<double>{
               View<const double, 3>(x.data(), {1, 1, d}), {y.data(), {1, 1, d}}, form, eps});
    return y;
}

}  // namespace

TEST_CASE("l2norm equals both formulas head by head", "[reference][l2norm]") {
    Random random(51);
    const index_t n = 3, heads = 2, d = 11;
    const std::vector<double> x = random.normals<double>(n * heads * d);
    for (const L2Form form : {L2Form::rsqrt, L2Form::max}) {
        for (const double eps : {0.0, 1e-6, 0.5, 50.0}) {
            std::vector<double> y(x.size());
            std::vector<double> expected(x.size());
            ReferenceBackend backend;
            l2norm(backend, L2NormArgs<double>{View<const double, 3>(x.data(), {n, heads, d}),
                                               {y.data(), {n, heads, d}},
                                               form,
                                               eps});
            for (index_t row = 0; row < n * heads; ++row) {
                long double sum = 0.0L;
                for (index_t i = 0; i < d; ++i)
                    sum += wide(x[at(row * d + i)]) * wide(x[at(row * d + i)]);
                const long double length = form == L2Form::rsqrt
                                               ? std::sqrt(sum + wide(eps))
                                               : std::fmax(std::sqrt(sum), wide(eps));
                for (index_t i = 0; i < d; ++i) {
                    expected[at(row * d + i)] =
                        static_cast<double>(wide(x[at(row * d + i)]) / length);
                }
            }
            CAPTURE(static_cast<int>(form), eps);
            CHECK(relative_rms(y, expected) < kBound);
        }
    }
}

TEST_CASE("l2norm: how much the two forms differ for short vectors", "[reference][l2norm]") {
    // measured on other programs, to the digits that stand here
    const struct {
        double length, ratio, half_digit;
    } known[] = {{0.1271, 0.99997, 5e-6}, {0.01271, 0.9969, 5e-5}, {0.001271, 0.786, 5e-4}};
    for (const auto& row : known) {
        std::vector<double> x(16, row.length / 4.0);
        const double ratio = l2normed(x, L2Form::rsqrt)[0] / l2normed(x, L2Form::max)[0];
        CAPTURE(row.length, ratio);
        CHECK(std::abs(ratio - row.ratio) < row.half_digit);
        CHECK(std::abs(ratio - row.length / std::sqrt(row.length * row.length + 1e-6)) < kBound);
    }
}

TEST_CASE("l2norm of zeros is zeros and in place is the same", "[reference][l2norm]") {
    for (const L2Form form : {L2Form::rsqrt, L2Form::max}) {
        CHECK(l2normed({0.0, 0.0, 0.0}, form) == std::vector<double>{0.0, 0.0, 0.0});
        Random random(52);
        std::vector<double> x = random.normals<double>(10);
        const std::vector<double> expected = l2normed(x, form);
        ReferenceBackend backend;
        const View<double, 3> view(x.data(), {1, 1, 10});
        l2norm(backend, L2NormArgs<double>{view, view, form, 1e-6});
        CHECK(bit_equal(x, expected));
    }
}

TEST_CASE("rmsnorm: plain weights and weights around zero", "[reference][rmsnorm]") {
    Random random(53);
    const index_t rows = 3, n = 13;
    const std::vector<double> x = random.normals<double>(rows * n);
    const std::vector<double> w = random.normals<double>(n);
    for (const double offset : {0.0, 1.0}) {
        for (const double eps : {0.0, 1e-6, 0.25}) {
            std::vector<double> y(x.size());
            std::vector<double> expected(x.size());
            ReferenceBackend backend;
            rmsnorm(backend,
                    RmsNormArgs<double>{.input = View<const double, 2>(x.data(), {rows, n}),
                                        .weight = View<const double, 1>(w.data(), {n}),
                                        .output = {y.data(), {rows, n}},
                                        .eps = eps,
                                        .weight_offset = offset});
            for (index_t row = 0; row < rows; ++row) {
                long double sum = 0.0L;
                for (index_t i = 0; i < n; ++i)
                    sum += wide(x[at(row * n + i)]) * wide(x[at(row * n + i)]);
                const long double rms = std::sqrt(sum / static_cast<long double>(n) + wide(eps));
                for (index_t i = 0; i < n; ++i) {
                    expected[at(row * n + i)] = static_cast<double>(
                        wide(x[at(row * n + i)]) / rms * (wide(w[at(i)]) + wide(offset)));
                }
            }
            CAPTURE(offset, eps);
            CHECK(relative_rms(y, expected) < kBound);
        }
    }
}

TEST_CASE("rmsnorm by hand", "[reference][rmsnorm]") {
    const std::vector<double> x{3.0, 4.0, 0.0, 0.0};  // mean square 25 / 4
    const std::vector<double> w{1.0, 2.0, 5.0, 7.0};
    std::vector<double> y(4);
    ReferenceBackend backend;
    rmsnorm(backend, RmsNormArgs<double>{.input = View<const double, 2>(x.data(), {1, 4}),
                                         .weight = View<const double, 1>(w.data(), {4}),
                                         .output = {y.data(), {1, 4}},
                                         .eps = 0.0});
    CHECK(relative_rms(y, std::vector<double>{1.2, 3.2, 0.0, 0.0}) < kBound);
}

TEST_CASE("gated_rmsnorm: every gate and every row list", "[reference][gated_rmsnorm]") {
    Random random(54);
    const index_t n = 4, groups = 2, per = 3, heads = groups * per, d = 7;
    const std::vector<double> o = random.normals<double>(n * heads * d);
    const std::vector<double> z = random.normals<double>(n * heads * d, 4.0);
    const std::vector<double> w = random.uniforms<double>(d, 0.5, 1.5);
    const std::vector<std::vector<index_t>> lists{{0, 1, 2, 3}, {3, 0, 3}, {2}, {}};
    for (const OutputGate gate : {OutputGate::silu, OutputGate::sigmoid, OutputGate::none}) {
        for (std::size_t list = 0; list <= lists.size(); ++list) {  // the last: no list
            const bool listed = list < lists.size();
            const std::vector<index_t> rows = listed ? lists[list] : lists[0];
            std::vector<double> y(rows.size() * at(heads * d));
            GatedRmsNormArgs<double> args{
                .input = View<const double, 3>(o.data(), {n, heads, d}),
                .z = View<const double, 4>(z.data(), {n, groups, per, d}),
                .weight = View<const double, 1>(w.data(), {d}),
                .output = {y.data(), {static_cast<index_t>(rows.size()), heads, d}},
                .rows = {},
                .gate = gate,
                .eps = 1e-5};
            if (listed) args.rows = rows;
            if (gate == OutputGate::none) args.z = {};
            ReferenceBackend backend;
            gated_rmsnorm(backend, args);
            std::vector<double> expected;
            for (const index_t t : rows) {
                for (index_t h = 0; h < heads; ++h) {
                    const index_t first = (t * heads + h) * d;
                    long double sum = 0.0L;
                    for (index_t i = 0; i < d; ++i)
                        sum += wide(o[at(first + i)]) * wide(o[at(first + i)]);
                    for (index_t i = 0; i < d; ++i) {
                        const long double sigmoid =
                            1.0L / (1.0L + std::exp(-wide(z[at(first + i)])));
                        const long double act = gate == OutputGate::none ? 1.0L
                                                : gate == OutputGate::sigmoid
                                                    ? sigmoid
                                                    : wide(z[at(first + i)]) * sigmoid;
                        expected.push_back(static_cast<double>(
                            wide(o[at(first + i)]) /
                            std::sqrt(sum / static_cast<long double>(d) + 1e-5L) * wide(w[at(i)]) *
                            act));
                    }
                }
            }
            CAPTURE(static_cast<int>(gate), list);
            CHECK(relative_rms(y, expected) < kBound);
        }
    }
}
