// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Pending updates on the device: programs of steps, rollbacks and trees against the oracle.
#include "cuda/delta_slots.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

std::vector<index_t> random_tree(std::mt19937& random, index_t n) {
    std::vector<index_t> parents;
    for (index_t t = 0; t < n; ++t) parents.push_back(random_index(random, t + 1) - 1);
    return parents;
}

template <class S>
void rollback(DeltaSlots<S>& slots, index_t slot, index_t n) {
    slots.pending[static_cast<std::size_t>(slot)] -= n;
}

}  // namespace

TEMPLATE_TEST_CASE("pending updates: random steps, rollbacks and trees", "", float, bf16, f16, i8) {
    for (const index_t capacity : {1, 2, 5, 8, 17, 32}) {
        if (!std::is_same_v<TestType, float> && capacity % 2 != 0) continue;
        std::mt19937 random(static_cast<std::uint32_t>(250 + capacity));
        DeltaSlots<TestType> slots({.n_heads_k = 2,
                                    .r = 2,
                                    .d_k = 20,
                                    .d_v = 24,
                                    .n_slots = 3,
                                    .capacity = capacity,
                                    .map = capacity % 2 == 0 ? HeadMap::tiled : HeadMap::grouped},
                                   251);
        for (int round = 0; round < 6; ++round) {
            std::vector<SequenceSpan> sequences;
            std::vector<std::vector<index_t>> trees(3);
            index_t token = 0;
            for (index_t slot = 0; slot < 3; ++slot) {
                const index_t n = random_index(random, capacity + 3);
                SequenceSpan sequence{token, n, slot,
                                      random() % 7 == 0 ? Start::fresh : Start::resume};
                if (n > 1 && n <= capacity && random() % 3 == 0) {
                    trees[static_cast<std::size_t>(slot)] = random_tree(random, n);
                    sequence.parents = trees[static_cast<std::size_t>(slot)];
                }
                sequences.push_back(sequence);
                token += n + 1;
            }
            sequences.push_back({token, 2, -1});
            CAPTURE(capacity, round);
            slots.step(sequences, token + 3);
            for (index_t slot = 0; slot < 3; ++slot) {
                const SequenceSpan& s = sequences[static_cast<std::size_t>(slot)];
                const index_t n = slots.pending[static_cast<std::size_t>(slot)];
                rollback(slots, slot, s.parents.empty() ? random_index(random, n + 1) : s.n_tokens);
            }
        }
    }
}

TEST_CASE("pending updates: published head sizes, group sizes, both head maps, strides") {
    struct {
        index_t d_k, d_v, r;
        HeadMap map;
    } const cases[] = {
        {64, 64, 3, HeadMap::tiled},     {64, 64, 4, HeadMap::grouped},
        {128, 128, 2, HeadMap::grouped}, {128, 128, 2, HeadMap::tiled},
        {96, 192, 1, HeadMap::grouped},  {192, 96, 1, HeadMap::grouped},
        {256, 256, 1, HeadMap::tiled},   {33, 17, 2, HeadMap::grouped},
    };
    for (const auto& c : cases) {
        for (const index_t misalign : {0, 1}) {
            if (misalign == 1 && c.d_k > 96) continue;
            DeltaSlots<float> slots({.n_heads_k = 2,
                                     .r = c.r,
                                     .d_k = c.d_k,
                                     .d_v = c.d_v,
                                     .capacity = 4,
                                     .map = c.map,
                                     .padding = misalign,
                                     .misalign = misalign},
                                    252);
            CAPTURE(c.d_k, c.d_v, c.r, misalign);
            for (const index_t n : {1, 3, 2}) slots.step({{0, n, 0}}, n);  // the last one folds
        }
    }
}

TEMPLATE_TEST_CASE("pending updates: chains and trees of wide heads", "", float, bf16, f16, i8) {
    const std::vector<index_t> parents = {-1, 0, 0, 1};
    for (const index_t d_k : {64, 128, 256}) {
        DeltaSlots<TestType> slots({.r = 2, .d_k = d_k, .d_v = 24, .capacity = 6}, 257);
        CAPTURE(d_k);
        slots.step({{0, 2, 0}}, 2);
        SequenceSpan tree{0, 4, 0};
        tree.parents = parents;
        slots.step({tree}, 4);
        rollback(slots, 0, 4);
        slots.step({{0, 5, 0}}, 5);  // folds
    }
}

TEST_CASE("pending updates: the most tokens and the largest heads at once") {
    DeltaSlots<float> slots({.d_k = 256, .d_v = 32, .capacity = 32}, 253);
    slots.step({{0, 20, 0}}, 20);
    slots.step({{0, 32, 0}}, 32);
    CHECK(slots.pending[0] == 32);
    slots.step({{0, 33, 0}}, 33);
    CHECK(slots.pending[0] == 0);
}

TEMPLATE_TEST_CASE("pending updates: a state is written when updates are folded, or fresh", "",
                   float, bf16, i8) {
    DeltaSlots<TestType> slots({.d_k = 32, .d_v = 32, .n_slots = 2, .capacity = 4}, 254);
    const auto n = static_cast<std::size_t>(slot_elements<TestType>(slots.state_shape()));
    const auto is_unchanged = [&](const std::vector<TestType>& before, std::size_t slot) {
        return std::memcmp(before.data() + slot * n, slots.device.state.data() + slot * n,
                           n * sizeof(TestType)) == 0;
    };
    const std::vector<TestType> before = slots.device.state;
    slots.step({{0, 4, 0}, {4, 2, 1}}, 6);
    CHECK(is_unchanged(before, 0));
    CHECK(is_unchanged(before, 1));
    slots.step({{0, 1, 0}, {1, 1, 1}}, 2);
    CHECK_FALSE(is_unchanged(before, 0));
    CHECK(is_unchanged(before, 1));
    slots.step({{0, 1, 1, Start::fresh}}, 1);
    const std::vector<double> values = slots.states();
    for (std::size_t i = values.size() / 2; i < values.size(); ++i) REQUIRE(values[i] == 0.0);
}

TEMPLATE_TEST_CASE("pending updates: folded outside of a step", "", float, bf16, f16, i8) {
    DeltaSlots<TestType> slots(
        {.n_heads_k = 2, .r = 2, .d_k = 40, .d_v = 24, .n_slots = 2, .capacity = 7}, 255);
    slots.step({{0, 5, 0}, {5, 7, 1}}, 12);
    slots.fold(1);
    slots.fold(0);
    slots.fold(0);  // nothing is left
    slots.step({{0, 2, 0}, {2, 3, 1}}, 5);
}

TEMPLATE_TEST_CASE("pending updates: folding in a step has the bits of folding before it", "",
                   float, bf16, f16, i8) {
    const DeltaSizes sizes{.r = 2, .d_k = 40, .d_v = 24, .capacity = 5};
    DeltaSlots<TestType> together(sizes, 257), apart(sizes, 257);
    for (DeltaSlots<TestType>* slots : {&together, &apart}) {
        slots->step({{0, 4, 0}}, 4);
        if (slots == &apart) slots->fold(0);
        slots->step({{0, 3, 0}}, 3);
    }
    CHECK(bit_equal(together.output, apart.output));
    CHECK(bit_equal(together.device.u, apart.device.u));
    CHECK(std::memcmp(together.device.state.data(), apart.device.state.data(),
                      apart.device.state.size() * sizeof(TestType)) == 0);
}

TEST_CASE("pending updates: what other branches of a tree hold does not matter") {
    // Node 1 has an infinite value; nodes 2 and 3 follow node 0.
    const std::vector<index_t> parents{-1, 0, 0, 2};
    constexpr index_t d = 16, n = 4;
    std::mt19937 generator(256);
    DeltaInputs inputs({.d_k = d, .d_v = d}, n, generator);
    inputs.v.view()(1, 0, 3) = std::numeric_limits<float>::infinity();
    const SequenceSpan sequence{0, n, 0, Start::fresh, 0, parents};
    const auto output = for_each_schedule([&] {
        DeviceTensor<float, 3> q({n, 1, d}, inputs.q.values()), k({n, 1, d}, inputs.k.values());
        DeviceTensor<float, 3> v({n, 1, d}, inputs.v.values()), o({n, 1, d});
        DeviceTensor<float, 2> g({n, 1}, inputs.decay_log.values());
        DeviceTensor<float, 2> beta({n, 1}, inputs.beta.values());
        DeviceTensor<float, 4> state({1, 1, d, d}), pending_k({1, n, 1, d}), u({1, n, 1, d});
        DeviceTensor<float, 3> logs({1, n, 1});
        cuda::delta_rule({.q = q.cview(),
                          .k = k.cview(),
                          .v = v.cview(),
                          .decay_log = g.cview(),
                          .beta = beta.cview(),
                          .state = state.view(),
                          .output = o.view(),
                          .sequences = {&sequence, 1},
                          .pending = {pending_k.view(), u.view(), logs.view()}},
                         {}, nullptr);
        return o.download();
    });
    for (std::size_t i = 0; i < output.size(); ++i) {
        if (i / d != 1) CHECK(std::isfinite(output[i]));
    }
}
