// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The oracle of the gates against the formulas, where they are ordinary and where a naive softplus
/// or sigmoid overflows or loses everything; and row traffic, which has nothing else to go wrong.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include <deltanet/reference/backend.hpp>

#include <cmath>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

struct Gate {
    double decay_log, beta;
};

Gate one_gate(double a, double b, double A_log, double dt_bias, bool doubled = false) {
    Gate gate{};
    ReferenceBackend backend;
    gates(backend, GatesArgs<double>{.a = View<const double, 3>(&a, {1, 1, 1}),
                                     .b = View<const double, 3>(&b, {1, 1, 1}),
                                     .A_log = View<const double, 1>(&A_log, {1}),
                                     .dt_bias = View<const double, 1>(&dt_bias, {1}),
                                     .decay_log = {&gate.decay_log, {1, 1}},
                                     .beta = {&gate.beta, {1, 1}},
                                     .beta_doubled = doubled});
    return gate;
}

/// An exp, a log1p and a product: a few ulp.
bool near(double actual, double expected) {
    return std::abs(actual - expected) <= 1e-14 * std::abs(expected);
}

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

}  // namespace

TEST_CASE("gates equal the formulas head by head", "[reference][gates]") {
    Random random(61);
    const index_t n = 5, groups = 2, per = 3, heads = groups * per;
    const std::vector<double> a = random.normals<double>(n * heads, 3.0);
    const std::vector<double> b = random.normals<double>(n * heads, 3.0);
    const std::vector<double> A_log = random.uniforms<double>(heads, -3.0, 2.8);
    const std::vector<double> dt_bias = random.normals<double>(heads);
    for (const bool doubled : {false, true}) {
        std::vector<double> decay_log(a.size());
        std::vector<double> beta(a.size());
        ReferenceBackend backend;
        gates(backend, GatesArgs<double>{.a = View<const double, 3>(a.data(), {n, groups, per}),
                                         .b = View<const double, 3>(b.data(), {n, groups, per}),
                                         .A_log = View<const double, 1>(A_log.data(), {heads}),
                                         .dt_bias = View<const double, 1>(dt_bias.data(), {heads}),
                                         .decay_log = {decay_log.data(), {n, heads}},
                                         .beta = {beta.data(), {n, heads}},
                                         .beta_doubled = doubled});
        for (index_t t = 0; t < n; ++t) {
            for (index_t h = 0; h < heads; ++h) {
                const std::size_t i = at(t * heads + h);
                const long double x =
                    static_cast<long double>(a[i]) + static_cast<long double>(dt_bias[at(h)]);
                const long double g =
                    -std::exp(static_cast<long double>(A_log[at(h)])) * std::log1p(std::exp(x));
                const long double s = 1.0L / (1.0L + std::exp(-static_cast<long double>(b[i])));
                CHECK(near(decay_log[i], static_cast<double>(g)));
                CHECK(near(beta[i], static_cast<double>(doubled ? 2.0L * s : s)));
            }
        }
    }
}

TEST_CASE("gates by hand", "[reference][gates]") {
    const Gate gate = one_gate(0.0, 0.0, 0.0, 0.0);
    CHECK(near(gate.decay_log, -std::log(2.0)));
    CHECK(gate.beta == 0.5);
    CHECK(one_gate(0.0, 0.0, 0.0, 0.0, true).beta == 1.0);
    CHECK(near(one_gate(0.25, 0.0, std::log(3.0), -0.25).decay_log, -3.0 * std::log(2.0)));
}

TEST_CASE("gates: softplus of large and of very negative inputs", "[reference][gates]") {
    CHECK(one_gate(100.0, 0.0, 0.0, 0.0).decay_log ==
          -100.0);                                          // log(1 + e^100) is 100 to the last bit
    CHECK(one_gate(1e4, 0.0, 0.0, 0.0).decay_log == -1e4);  // where e^x overflows
    CHECK(near(one_gate(-40.0, 0.0, 0.0, 0.0).decay_log, -std::exp(-40.0)));  // where 1 + e^x is 1
    CHECK(near(one_gate(-100.0, 0.0, 0.0, 0.0).decay_log, -std::exp(-100.0)));
    CHECK(one_gate(-1e4, 0.0, 0.0, 0.0).decay_log == 0.0);  // e^-10000 is no double
    CHECK(near(one_gate(-1e4, 0.0, 0.0, 10'002.0).decay_log, -std::log1p(std::exp(2.0))));
}

TEST_CASE("gates: large and small decay rates", "[reference][gates]") {
    CHECK(near(one_gate(0.0, 0.0, 20.0, 0.0).decay_log, -std::exp(20.0) * std::log(2.0)));
    CHECK(near(one_gate(-100.0, 0.0, 50.0, 0.0).decay_log, -std::exp(-50.0)));
    CHECK(near(one_gate(1.0, 0.0, -40.0, 0.0).decay_log,
               -std::exp(-40.0) * std::log1p(std::exp(1.0))));
    CHECK(std::isfinite(one_gate(100.0, 0.0, 700.0, 0.0).decay_log));
}

TEST_CASE("gates: a sigmoid that saturates stays inside its range", "[reference][gates]") {
    for (const double b : {-1e4, -100.0, -36.0, -1.0, 0.0, 1.0, 36.0, 100.0, 1e4}) {
        const double beta = one_gate(0.0, b, 0.0, 0.0).beta;
        CAPTURE(b, beta);
        CHECK(beta >= 0.0);
        CHECK(beta <= 1.0);
        CHECK(near(beta,
                   static_cast<double>(1.0L / (1.0L + std::exp(-static_cast<long double>(b))))));
        CHECK(one_gate(0.0, b, 0.0, 0.0, true).beta == 2.0 * beta);
    }
    CHECK(one_gate(0.0, -100.0, 0.0, 0.0).beta > 0.0);  // small is not nothing
}

TEST_CASE("gather_rows and add_rows move the rows named", "[reference][rows]") {
    Random random(62);
    const index_t n = 4, width = 5;
    const std::vector<double> x = random.normals<double>(n * 7);  // rows of 5 with 2 between
    const View<const double, 2> input(x.data(), {n, width}, {7, 1});
    const std::vector<index_t> listed{3, 0, 3};
    for (const bool list : {false, true}) {
        const std::vector<index_t> rows = list ? listed : std::vector<index_t>{0, 1, 2, 3};
        const auto m = static_cast<index_t>(rows.size());
        std::vector<double> gathered(at(m * 6), -99.0);  // rows of 5 with 1 between
        std::vector<double> added = gathered;
        RowsArgs<double> args{
            .input = input, .output = {gathered.data(), {m, width}, {6, 1}}, .rows = {}};
        if (list) args.rows = rows;
        ReferenceBackend backend;
        gather_rows(backend, args);
        args.output = {added.data(), {m, width}, {6, 1}};
        add_rows(backend, args);
        for (index_t j = 0; j < m; ++j) {
            for (index_t i = 0; i < width; ++i) {
                CHECK(gathered[at(j * 6 + i)] == input(rows[at(j)], i));
                CHECK(added[at(j * 6 + i)] == -99.0 + input(rows[at(j)], i));
            }
            CHECK(gathered[at(j * 6 + 5)] == -99.0);
            CHECK(added[at(j * 6 + 5)] == -99.0);
        }
    }
}
