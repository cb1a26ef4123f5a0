// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// States in int8 with a scale per value channel and the residual of rounding. A call reads them,
/// computes as with float states, and rounds each column to steps of a fifteenth of its scale; a
/// step with pending updates reads the integers alone.
#include "fixtures.hpp"
#include <deltanet/cpu/state_panel.hpp>

#include <limits>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Lane = cpu::default_arch;
constexpr index_t kCols = 4 * n_lanes<float>;

// Half a step, and what float32 adds: values are up to 127 steps of 15 long, in rounded products.
constexpr double kHalfStep = 0.5 / 15 + 127 * 4 * 0x1p-24;
constexpr double kHalfCoarseStep = 0.5 + 127 * 4 * 0x1p-24;

/// Heads in memory with a margin of bytes that nobody may touch between them.
struct Int8States {
    static constexpr index_t kMargin = 12;
    static constexpr unsigned char kRedZone = 0xA7;
    Shape<4> shape;
    index_t head, block;
    std::vector<float> memory;  // for its alignment

    Int8States(const Shape<4>& s)
        : shape(s),
          head(QuantizedHead{s[2], s[3]}.bytes()),
          block(head + kMargin),
          memory(static_cast<std::size_t>((s[0] * s[1] * block + kMargin) / 4)) {
        std::memset(memory.data(), kRedZone, memory.size() * 4);
        for (index_t slot = 0; slot < s[0]; ++slot) {
            for (index_t h = 0; h < s[1]; ++h) std::memset(bytes(slot, h), 0, at(head));
        }
    }
    static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
    [[nodiscard]] unsigned char* bytes(index_t slot, index_t h) {
        return reinterpret_cast<unsigned char*>(memory.data()) + kMargin +
               (slot * shape[1] + h) * block;
    }
    [[nodiscard]] View<i8, 4> view() {
        return {reinterpret_cast<i8*>(bytes(0, 0)), shape, {shape[1] * block, block, shape[3], 1}};
    }
    [[nodiscard]] StateColumns<i8> columns(index_t slot, index_t h) {
        return columns_of(view(), slot, h);
    }
    void random(std::mt19937& generator) {
        std::uniform_real_distribution<double> any(-1, 1);
        for (index_t slot = 0; slot < shape[0]; ++slot) {
            std::vector<double> values(at(shape[1] * shape[2] * shape[3]));
            for (double& x : values) x = any(generator);
            detail::store_elements(StateView<float>(view()), slot,
                                   [&](index_t h, index_t i, index_t j) {
                                       return values[at((h * shape[2] + i) * shape[3] + j)];
                                   });
        }
    }
    [[nodiscard]] bool red_zone_intact() {
        const auto* const first = reinterpret_cast<unsigned char*>(memory.data());
        for (std::size_t i = 0; i < memory.size() * 4; ++i) {
            const index_t in_block = static_cast<index_t>(i) % block;
            if (in_block < kMargin && first[i] != kRedZone) return false;
        }
        return true;
    }
    /// Every element of `actual` is within half a step of what this holds.
    template <class Expected>
    void check_near(index_t slot, Expected&& expected, double error) {
        bool near = true;
        for (index_t h = 0; h < shape[1]; ++h) {
            const StateColumns<i8> c = columns(slot, h);
            for (index_t j = 0; j < shape[3]; ++j) {
                const double limit = kHalfStep * static_cast<double>(c.scale[j]) + error;
                for (index_t i = 0; i < shape[2]; ++i) {
                    const double e = expected(h, i, j);
                    near = near && std::abs(detail::element_of(c, i, j) - e) <= limit;
                }
            }
        }
        CHECK(near);
    }
};

}  // namespace

TEST_CASE("int8 panels: both parts of every element, at every width", "[delta_rule][int8]") {
    std::mt19937 generator(91);
    for (index_t width = 1; width <= kCols + 1; ++width) {
        for (const index_t d_k : {1, 2, 7, 16}) {
            CAPTURE(width, d_k);
            Int8States states({1, 1, d_k, width + 3});
            const StateColumns<i8> to = states.columns(0, 0).from(1);
            alignas(64) float panel[16 * kCols];
            alignas(64) float back[16 * kCols];
            std::uniform_real_distribution<float> any(-3, 3);
            for (float& x : panel) x = any(generator);
            for (index_t i = 0; i < d_k; ++i) panel[i * kCols] = 0;  // a column of zeros
            cpu::store_state_panel<Lane, kCols>(panel, to, width, d_k);
            const index_t stored = std::min(width, kCols);
            bool fine = true, coarse = true, same = true, apart = true;
            cpu::load_state_panel<Lane, kCols>(to, width, d_k, back);
            for (index_t j = 0; j < kCols; ++j) {
                for (index_t i = 0; i < d_k; ++i) {
                    const auto x = static_cast<double>(panel[i * kCols + j]);
                    const auto again = static_cast<double>(back[i * kCols + j]);
                    if (j >= stored) {
                        apart = apart && again == 0;
                        continue;
                    }
                    const auto scale = static_cast<double>(to.scale[j]);
                    const double element = detail::element_of(to, i, j);
                    fine = fine && std::abs(element - x) <= kHalfStep * scale;
                    coarse = coarse && std::abs(detail::element_of(to, i, j, true) - x) <=
                                           kHalfCoarseStep * scale;
                    same = same && std::abs(element - again) <= 4 * 0x1p-24 * 127 * scale;
                }
            }
            CHECK(fine);
            CHECK(coarse);
            CHECK(same);
            CHECK(apart);
            // what was read stores as the same parts
            const std::vector<float> before = states.memory;
            cpu::store_state_panel<Lane, kCols>(back, to, width, d_k);
            bool stable = true;
            for (index_t j = 0; j < stored; ++j) {
                for (index_t i = 0; i < d_k; ++i) {
                    stable = stable && std::abs(detail::element_of(to, i, j) -
                                                static_cast<double>(back[i * kCols + j])) <=
                                           8 * 0x1p-24 * 127 * static_cast<double>(to.scale[j]);
                }
            }
            CHECK(stable);
            CHECK(to.scale[-1] == 0);
            CHECK(to.scale[stored] == 0);
            CHECK(states.columns(0, 0).row(d_k - 1)[0].value == 0);
            CHECK(to.row(d_k - 1)[stored].value == 0);
            CHECK(to.residual_row(d_k - 1)[stored] == 0);
            CHECK(states.red_zone_intact());
            // the integers alone, and their scales apart
            cpu::read_state_rows<Lane, kCols>(to, width, 0, d_k, back);
            bool integers = true;
            for (index_t j = 0; j < stored; ++j) {
                integers = integers && back[(d_k - 1) * kCols + j] ==
                                           static_cast<float>(to.row(d_k - 1)[j].value);
            }
            CHECK(integers);
            cpu::scale_reads<Lane, kCols>(to, width, 1, back);
            CHECK(back[stored - 1] ==
                  static_cast<float>(to.row(0)[stored - 1].value) * to.scale[stored - 1]);
        }
    }
}

TEST_CASE("int8 columns that are not finite are NaN, and no other", "[delta_rule][int8]") {
    constexpr float inf = std::numeric_limits<float>::infinity();
    for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN()}) {
        Int8States states({1, 1, 3, kCols});
        alignas(64) float panel[3 * kCols];
        std::fill_n(panel, 3 * kCols, 1.0F);
        panel[kCols + 2] = bad;
        cpu::store_state_panel<Lane, kCols>(panel, states.columns(0, 0), kCols, 3);
        cpu::load_state_panel<Lane, kCols>(states.columns(0, 0), kCols, 3, panel);
        Int8States scalar({1, 1, 3, kCols});
        detail::store_elements(scalar.columns(0, 0), 3, kCols, [&](index_t i, index_t j) {
            return i == 1 && j == 2 ? static_cast<double>(bad) : 1.0;
        });
        for (index_t j = 0; j < kCols; ++j) {
            CHECK(std::isnan(panel[j]) == (j == 2));
            CHECK(std::isnan(detail::element_of(scalar.columns(0, 0), 0, j)) == (j == 2));
        }
    }
}

TEST_CASE("int8 states: outputs as with float, states rounded once", "[delta_rule][int8]") {
    std::mt19937 generator(92);
    TestBackend backend;
    BackwardBackend backward;
    ReferenceBackend reference;
    for (const index_t n_tokens : {0, 1, 2, 3, 11, 12, 13, 40, 64, 70}) {
        for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
            for (const Start start : {Start::resume, Start::fresh}) {
                for (const index_t d_v : {1, 5, 24, 72}) {
                    const index_t d_k = n_tokens % 2 == 0 ? 16 : 19;
                    CAPTURE(n_tokens, static_cast<int>(mode), static_cast<int>(start), d_v, d_k);
                    const DeltaProblem<float>::Sizes sizes{n_tokens, 1, 2, d_k, d_v, 2};
                    DeltaProblem<float> actual(sizes, 1, 1);
                    actual.random(generator);
                    DeltaProblem<double> expected({n_tokens, 1, 2, d_k, d_v, 2});
                    expected.copy_inputs(actual);
                    Int8States states({2, 2, d_k, d_v});
                    states.random(generator);
                    detail::for_each_element(StateView<float>(states.view()), 1,
                                             [&](index_t h, index_t i, index_t j, double x) {
                                                 expected.state.view()(1, h, i, j) = x;
                                             });
                    Int8States others = states;
                    const SequenceSpan sequence{0, n_tokens, 1, start};
                    DeltaRuleArgs<float> args = actual.args({&sequence, 1}, mode);
                    args.state = states.view();
                    run_delta_rule(backend, args);
                    DeltaProblem<float> again(sizes);
                    again.copy_inputs(actual);
                    args = again.args({&sequence, 1}, mode);
                    args.state = others.view();
                    run_delta_rule(backward, args);
                    CHECK(bit_equal(again.output.values(), actual.output.values()));
                    CHECK(bit_equal(others.memory, states.memory));
                    delta_rule(reference, expected.args({&sequence, 1}, ScanMode::recurrent), {});
                    Tensor<double, 3> output({n_tokens, 2, d_v});
                    output.copy_from(actual.output);
                    CHECK(relative_rms(output.values(), expected.output.values()) <= 5e-6);
                    states.check_near(
                        1,
                        [&](index_t h, index_t i, index_t j) {
                            return expected.state.view()(1, h, i, j);
                        },
                        1e-5);
                    CHECK(states.red_zone_intact());
                }
            }
        }
    }
}

TEST_CASE("int8 states with pending updates: as the oracle reads and folds them",
          "[delta_rule][int8]") {
    std::mt19937 generator(93);
    const index_t d_v = GENERATE(5, 48, 72);
    constexpr index_t d_k = 17, R = 6;
    Int8States actual({2, 2, d_k, d_v});
    actual.random(generator);
    Int8States expected = actual;
    Tensor<float, 4> k({2, R, 1, d_k}), u({2, R, 2, d_v});
    Tensor<float, 3> g({2, R, 2});
    Tensor<float, 4> k_e({2, R, 1, d_k}), u_e({2, R, 2, d_v});
    Tensor<float, 3> g_e({2, R, 2});
    TestBackend backend;
    ReferenceBackend reference;
    index_t pending[2] = {0, 0};
    for (int step = 0; step < 40; ++step) {
        const auto n = [&] {
            return static_cast<index_t>(generator() % 5) + (step % 9 == 8 ? 9 : 1);
        };
        const index_t n0 = n(), n1 = n();
        const SequenceSpan spans[] = {
            {0, n0, 0, step % 13 == 12 ? Start::fresh : Start::resume, pending[0]},
            {n0, n1, 1, Start::resume, pending[1]}};
        DeltaProblem<float> problem({n0 + n1, 1, 2, d_k, d_v, 2});
        problem.random(generator);
        DeltaRuleArgs<float> args = problem.args(spans, ScanMode::automatic);
        args.state = actual.view();
        args.pending = {k.view(), u.view(), g.view()};
        run_delta_rule(backend, args);
        DeltaProblem<float> oracle({n0 + n1, 1, 2, d_k, d_v, 2});
        oracle.copy_inputs(problem);
        args = oracle.args(spans, ScanMode::automatic);
        args.state = expected.view();
        args.pending = {k_e.view(), u_e.view(), g_e.view()};
        delta_rule(reference, args, {});
        CAPTURE(step, n0, n1);
        // As with float states; where an element lies between two integers the backends may take
        // different ones, 1 / 127 of a column apart, in one of thousands of elements.
        CHECK(relative_rms(problem.output.values(), oracle.output.values()) <= 2e-3);
        for (index_t s = 0; s < 2; ++s) pending[s] = pending_step(spans[s], R).after;
        for (index_t s = 0; s < 2; ++s) {
            std::vector<double> a, e;
            detail::for_each_element(StateView<float>(actual.view()), s,
                                     [&](index_t, index_t, index_t, double x) { a.push_back(x); });
            detail::for_each_element(StateView<float>(expected.view()), s,
                                     [&](index_t, index_t, index_t, double x) { e.push_back(x); });
            CHECK(relative_rms(a, e) <= 2e-3);
        }
        CHECK(actual.red_zone_intact());
        // and on from the same bits
        actual.memory = expected.memory;
        k.copy_from(k_e), u.copy_from(u_e), g.copy_from(g_e);
    }
}
