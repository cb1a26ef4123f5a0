// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// States stored in 16 bits. One call reads them exactly, computes as with float states, and rounds
/// what it writes once: its outputs keep the bounds of float states, and every element of its state
/// lies within half a unit in the last place, or that bound, of the oracle's.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Half a unit in the last place over the value: 2^-(significant bits).
template <class S>
constexpr double half_ulp = std::is_same_v<S, bf16> ? 0x1p-8 : 0x1p-11;

/// A delta-rule problem whose states lie in a second tensor, stored as S, padded and misaligned.
template <class S>
struct StoredProblem {
    using Sizes = DeltaProblem<float>::Sizes;

    explicit StoredProblem(const Sizes& s, std::mt19937& generator, index_t pad = 0)
        : problem(s, pad, pad),
          strides{s.n_heads_k * s.heads_per_group * s.d_k * (s.d_v + pad) + 7,
                  s.d_k * (s.d_v + pad), s.d_v + pad, 1},
          shape{s.n_slots, s.n_heads_k * s.heads_per_group, s.d_k, s.d_v},
          memory(static_cast<std::size_t>(s.n_slots * strides[0] + 2 * kMargin), kRedZone) {
        problem.random(generator);
        const std::vector<float> values = problem.state.values();
        std::size_t n = 0;
        each([&](S& x) { x = from_float<S>(values[n++]); });
        take_back();
    }

    [[nodiscard]] View<S, 4> view() { return {memory.data() + kMargin, shape, strides}; }
    template <class F>
    void each(F&& f) {
        for (index_t s = 0; s < shape[0]; ++s) {
            for (index_t h = 0; h < shape[1]; ++h) {
                for (index_t i = 0; i < shape[2]; ++i) {
                    for (index_t j = 0; j < shape[3]; ++j) f(view()(s, h, i, j));
                }
            }
        }
    }
    /// The float tensor of the problem holds what is stored.
    void take_back() {
        std::vector<float> values;
        each([&](S& x) { values.push_back(to_float(x)); });
        std::size_t n = 0;
        problem.state.for_each([&](float& x) { x = values[n++]; });
    }
    [[nodiscard]] DeltaRuleArgs<float> args(std::span<const SequenceSpan> sequences, ScanMode mode,
                                            HeadMap map = HeadMap::grouped) {
        DeltaRuleArgs<float> a = problem.args(sequences, mode, map);
        a.state = view();
        return a;
    }
    [[nodiscard]] bool red_zone_intact() {
        std::vector<bool> inside(memory.size(), false);
        each([&](S& x) { inside[static_cast<std::size_t>(&x - memory.data())] = true; });
        for (std::size_t i = 0; i < memory.size(); ++i) {
            if (!inside[i] && memory[i].bits != kRedZone.bits) return false;
        }
        return true;
    }

    static constexpr index_t kMargin = 32;
    static constexpr S kRedZone{0x7FE9};  // a NaN of both formats
    DeltaProblem<float> problem;
    Shape<4> strides, shape;
    std::vector<S> memory;
};

template <class S>
void compare(const typename StoredProblem<S>::Sizes& sizes, std::mt19937& generator, ScanMode mode,
             Start start, index_t pad) {
    StoredProblem<S> actual(sizes, generator, pad);
    DeltaProblem<double> expected({sizes.n_tokens, sizes.n_heads_k, sizes.heads_per_group,
                                   sizes.d_k, sizes.d_v, sizes.n_slots});
    expected.copy_inputs(actual.problem);
    expected.state.copy_from(actual.problem.state);
    if (start == Start::fresh) actual.each([](S& s) { s = StoredProblem<S>::kRedZone; });
    const SequenceSpan sequence{0, sizes.n_tokens, 0, start};
    TestBackend backend;
    ReferenceBackend reference;
    run_delta_rule(backend, actual.args({&sequence, 1}, mode));
    delta_rule(reference, expected.args({&sequence, 1}, ScanMode::recurrent), {});
    actual.take_back();
    CAPTURE(sizes.n_tokens, sizes.heads_per_group, sizes.d_k, sizes.d_v, pad);
    CAPTURE(static_cast<int>(mode), static_cast<int>(start));
    Tensor<double, 3> output({sizes.n_tokens, sizes.n_heads_k * sizes.heads_per_group, sizes.d_v});
    output.copy_from(actual.problem.output);
    const double bound = mode == ScanMode::recurrent ? 2e-6 : 5e-6;  // as for float states
    CHECK(relative_rms(output.values(), expected.output.values()) <= bound);
    std::vector<double> state;
    for (const float x : actual.problem.state.values()) state.push_back(static_cast<double>(x));
    // Elements are about 1 at most; f16 has subnormals below 2^-14.
    check_elements(state, expected.state.values(), half_ulp<S> * 1.001, 1e-5);
    CHECK(actual.red_zone_intact());
    CHECK(actual.problem.output.red_zone_intact());
}

}  // namespace

TEMPLATE_TEST_CASE("16-bit states: outputs as with float, states rounded once, at every length",
                   "[delta_rule]", bf16, f16) {
    using S = TestType;
    std::mt19937 generator(71);
    for (index_t n_tokens = 0; n_tokens <= 70; ++n_tokens) {
        for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
            for (const Start start : {Start::resume, Start::fresh})
                compare<S>({n_tokens, 1, 2, 24, 40}, generator, mode, start, 0);
        }
    }
}

TEMPLATE_TEST_CASE("16-bit states of every width, stride and alignment", "[delta_rule]", bf16,
                   f16) {
    using S = TestType;
    std::mt19937 generator(72);
    for (const index_t d_v : counts_around(n_lanes<float>)) {
        for (const index_t n_tokens : {1, 3, 20}) {
            for (const index_t pad : {0, 3}) {
                compare<S>({n_tokens, 1, 2, 19, d_v}, generator, ScanMode::automatic, Start::resume,
                           pad);
            }
        }
    }
    for (const index_t n_tokens : {1, 40}) {
        compare<S>({n_tokens, 1, 2, 128, 128}, generator, ScanMode::automatic, Start::resume, 0);
        compare<S>({n_tokens, 1, 1, 96, 192}, generator, ScanMode::automatic, Start::fresh, 0);
    }
}

TEMPLATE_TEST_CASE("16-bit states: a batch is its sequences one by one, whatever the tasks",
                   "[delta_rule]", bf16, f16) {
    using S = TestType;
    const StoredProblem<float>::Sizes sizes{60, 2, 2, 24, 72, 6};
    const std::vector<SequenceSpan> sequences{{0, 40, 3, Start::fresh},
                                              {40, 1, 0, Start::resume},
                                              {41, 4, 5, Start::resume},
                                              {45, 0, 1, Start::fresh},
                                              {45, 15, 2, Start::resume}};
    std::mt19937 generator(73);
    StoredProblem<S> together(sizes, generator);
    generator.seed(73);
    StoredProblem<S> backwards(sizes, generator);
    generator.seed(73);
    StoredProblem<S> alone(sizes, generator);
    TestBackend backend;
    BackwardBackend backward;
    run_delta_rule(backend, together.args(sequences, ScanMode::automatic));
    run_delta_rule(backward, backwards.args(sequences, ScanMode::automatic));
    for (const SequenceSpan& sequence : sequences)
        run_delta_rule(backend, alone.args({&sequence, 1}, ScanMode::automatic));
    for (StoredProblem<S>* problem : {&together, &backwards, &alone}) problem->take_back();
    CHECK(bit_equal(together.problem.output.values(), alone.problem.output.values()));
    CHECK(bit_equal(together.problem.state.values(), alone.problem.state.values()));
    CHECK(bit_equal(backwards.problem.output.values(), alone.problem.output.values()));
    CHECK(bit_equal(backwards.problem.state.values(), alone.problem.state.values()));
}

TEMPLATE_TEST_CASE("16-bit states: the reference backend does the same", "[delta_rule]", bf16,
                   f16) {
    using S = TestType;
    std::mt19937 generator(74);
    for (const index_t n_tokens : {1, 30}) {
        StoredProblem<S> actual({n_tokens, 1, 2, 24, 40}, generator);
        StoredProblem<S> expected({n_tokens, 1, 2, 24, 40}, generator);
        expected.problem.copy_from(actual.problem);
        expected.memory = actual.memory;
        const SequenceSpan sequence{0, n_tokens, 0, Start::resume};
        TestBackend backend;
        ReferenceBackend reference;
        run_delta_rule(backend, actual.args({&sequence, 1}, ScanMode::automatic));
        delta_rule(reference, expected.args({&sequence, 1}, ScanMode::automatic), {});
        actual.take_back();
        expected.take_back();
        check_elements(actual.problem.state.values(), expected.problem.state.values(),
                       2 * half_ulp<S>, 1e-5);
        CHECK(relative_rms(actual.problem.output.values(), expected.problem.output.values()) <=
              5e-6);
    }
}
