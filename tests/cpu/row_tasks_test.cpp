// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The ops that go over rows, with more rows than one task takes: every row is there, and is what
/// it is alone.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr index_t heads = 3, d = 20;
/// More than two tasks, the last one ragged.
constexpr index_t n_rows = 2 * (cpu::tuning::elements_per_task / (heads * d)) + 7;

/// f(backend, first, count, output) over all rows at once, backwards, and one by one.
template <class T, class F>
void check_rows(const Shape<3>& shape, F&& f) {
    Tensor<T, 3> together(shape, 3, 1), backwards(shape, 3, 1), alone(shape, 3, 1);
    TestBackend backend;
    BackwardBackend backward;
    f(backend, 0, n_rows, together.view());
    f(backward, 0, n_rows, backwards.view());
    for (index_t row = 0; row < n_rows; ++row) f(backend, row, 1, alone.view());
    CHECK(together.red_zone_intact());
    CHECK(bit_equal(together.values(), alone.values()));
    CHECK(bit_equal(backwards.values(), alone.values()));
}

}  // namespace

TEMPLATE_TEST_CASE("norms over more rows than a task takes", "[rows]", float, double) {
    using T = TestType;
    std::mt19937 generator(91);
    Tensor<T, 3> x({n_rows, heads, d}, 3, 1), z({n_rows, heads, d}, 2);
    Tensor<T, 1> w({d});
    x.random(generator, -2, 2);
    z.random(generator, -2, 2);
    w.random(generator, -1, 1);
    const auto rows = [](const auto& view, index_t first, index_t count) {
        return view.slice(0, first, count);
    };
    check_rows<T>({n_rows, heads, d}, [&](auto& backend, index_t first, index_t count, auto out) {
        l2norm(backend, L2NormArgs<T>{rows(x.cview(), first, count), rows(out, first, count)});
    });
    for (const OutputGate gate : {OutputGate::silu, OutputGate::none}) {
        check_rows<T>({n_rows, heads, d}, [&](auto& backend, index_t first, index_t count,
                                              auto out) {
            const View<const T, 3> g = rows(z.cview(), first, count);
            gated_rmsnorm(backend, GatedRmsNormArgs<T>{
                                       .input = rows(x.cview(), first, count),
                                       .z = {g.data(),
                                             {count, 1, heads, d},
                                             {g.stride(0), heads * g.stride(1), g.stride(1), 1}},
                                       .weight = w.cview(),
                                       .output = rows(out, first, count),
                                       .gate = gate});
        });
    }
}

TEMPLATE_TEST_CASE("rmsnorm and gates over more rows than a task takes", "[rows]", float, double) {
    using T = TestType;
    std::mt19937 generator(92);
    constexpr index_t width = heads * d;
    Tensor<T, 2> x({n_rows, width}, 3, 1);
    Tensor<T, 1> w({width}), A_log({width}), dt_bias({width});
    x.random(generator, -2, 2);
    w.random(generator, -1, 1);
    A_log.random(generator, -1, 1);
    dt_bias.random(generator, -1, 1);
    const auto flat = [](const View<T, 3>& out, index_t first, index_t count) {
        return View<T, 2>(out.ptr(first), {count, width}, {out.stride(0), 1});
    };
    check_rows<T>({n_rows, 1, width},
                  [&](auto& backend, index_t first, index_t count, View<T, 3> out) {
                      rmsnorm(backend, RmsNormArgs<T>{.input = x.cview().slice(0, first, count),
                                                      .weight = w.cview(),
                                                      .output = flat(out, first, count)});
                  });
    Tensor<T, 2> other({n_rows, width});
    for (const bool decay : {true, false}) {
        check_rows<T>({n_rows, 1, width},
                      [&](auto& backend, index_t first, index_t count, View<T, 3> out) {
                          const View<const T, 3> in(x.cview().ptr(first), {count, 1, width},
                                                    {x.cview().stride(0), width, 1});
                          const View<T, 2> one = flat(out, first, count);
                          const View<T, 2> two = other.view().slice(0, first, count);
                          gates(backend, GatesArgs<T>{.a = in,
                                                      .b = in,
                                                      .A_log = A_log.cview(),
                                                      .dt_bias = dt_bias.cview(),
                                                      .decay_log = decay ? one : two,
                                                      .beta = decay ? two : one});
                      });
    }
}
