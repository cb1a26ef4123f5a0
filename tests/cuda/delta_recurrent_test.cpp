// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The delta rule token by token, on states that every call writes.
#include "cuda/delta_slots.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

DeltaSizes recurrent(DeltaSizes s) {
    s.mode = ScanMode::recurrent;
    return s;
}

}  // namespace

TEST_CASE("delta_rule recurrent: published head sizes, group sizes, both head maps") {
    for (const HeadMap map : {HeadMap::grouped, HeadMap::tiled}) {
        for (const index_t r : {1, 2, 3, 4}) {
            DeltaSlots<float> slots(
                recurrent({.n_heads_k = 2, .r = r, .d_k = 64, .d_v = 64, .map = map}), 241);
            CAPTURE(static_cast<int>(map), r);
            slots.step({{0, 5, 0}}, 5);
        }
    }
    DeltaSlots<float> wide(recurrent({.n_heads_k = 1, .r = 2, .d_k = 128, .d_v = 128}), 242);
    wide.step({{0, 1, 0}}, 1);
    wide.step({{0, 6, 0}}, 6);
    DeltaSlots<float> olmo(recurrent({.n_heads_k = 1, .r = 1, .d_k = 96, .d_v = 192}), 243);
    olmo.step({{0, 6, 0}}, 6);
    DeltaSlots<float> widest(recurrent({.n_heads_k = 1, .r = 1, .d_k = 256, .d_v = 256}), 244);
    widest.step({{0, 3, 0}}, 3);
}

TEMPLATE_TEST_CASE("delta_rule recurrent: odd sizes, strides and alignments, states of every type",
                   "", float, bf16, f16, i8) {
    struct {
        index_t d_k, d_v;
    } const sizes[] = {{1, 1}, {7, 5}, {33, 20}, {64, 72}, {65, 16}, {130, 64}, {192, 40}};
    for (const auto& [d_k, d_v] : sizes) {
        for (const index_t misalign : {0, 1, 8}) {
            DeltaSlots<TestType> slots(recurrent({.n_heads_k = 2,
                                                  .r = 2,
                                                  .d_k = d_k,
                                                  .d_v = d_v,
                                                  .padding = misalign,
                                                  .misalign = misalign}),
                                       245);
            CAPTURE(d_k, d_v, misalign);
            slots.step({{0, 4, 0}}, 4);
        }
    }
}

TEMPLATE_TEST_CASE("delta_rule recurrent: every length around a stage, resumed and fresh", "",
                   float, bf16, i8) {
    for (const index_t n : {1, 2, 3, 4, 5, 7, 8, 9, 33, 130}) {
        DeltaSlots<TestType> slots(recurrent({.d_k = 64, .d_v = 16, .n_slots = 2}), 246);
        CAPTURE(n);
        slots.step({{0, n, 0}, {n, n, 1, Start::fresh}}, 2 * n);
    }
}

TEMPLATE_TEST_CASE("delta_rule recurrent: a decay for each key channel", "", float, bf16, f16, i8) {
    struct {
        index_t d_k, d_v;
    } const sizes[] = {{20, 33}, {64, 64}, {128, 32}, {200, 16}};
    for (const auto& [d_k, d_v] : sizes) {
        DeltaSlots<TestType> slots(
            {.n_heads_k = 2, .r = 2, .d_k = d_k, .d_v = d_v, .per_channel = true}, 247);
        CAPTURE(d_k, d_v);
        slots.step({{0, 1, 0}}, 1);
        slots.step({{0, 9, 0}}, 9);
    }
}

TEST_CASE("delta_rule recurrent: sequences with gaps, padding, fresh starts without tokens") {
    DeltaSlots<float> slots(recurrent({.n_heads_k = 1, .r = 2, .d_k = 24, .d_v = 80, .n_slots = 6}),
                            248);
    slots.step({{0, 3, 4, Start::fresh},
                {4, 2, 0},
                {7, 3, -1},
                {11, 6, 2},
                {17, 0, 1, Start::fresh},
                {17, 0, 3},
                {19, 1, 5},
                {17, 1, -1}},
               21);
    const std::size_t slot_size = 2 * 24 * 80;
    for (std::size_t i = 0; i < slot_size; ++i) REQUIRE(slots.device.state[slot_size + i] == 0.0F);
}

TEST_CASE("delta_rule recurrent: more sequences than a launch takes") {
    constexpr index_t n = 140;
    DeltaSlots<float> slots(recurrent({.d_k = 8, .d_v = 16, .n_slots = n}), 249);
    std::vector<SequenceSpan> sequences;
    for (index_t i = 0; i < n; ++i) sequences.push_back({n - 1 - i, 1, i});
    slots.step(sequences, n);
}

TEST_CASE("delta_rule: what the kernels cannot do is refused") {
    SequenceSpan sequence{0, 1, 0};
    const auto message = [&](index_t d_k, index_t d_v) {
        DeviceTensor<float, 3> k({1, 1, d_k}), v({1, 1, d_v}), output({1, 1, d_v});
        DeviceTensor<float, 2> gate({1, 1});
        DeviceTensor<float, 4> state({1, 1, d_k, d_v});
        DeltaRuleArgs<float> args{.q = k.cview(),
                                  .k = k.cview(),
                                  .v = v.cview(),
                                  .decay_log = gate.cview(),
                                  .beta = gate.cview(),
                                  .state = state.view(),
                                  .output = output.view(),
                                  .sequences = {&sequence, 1}};
        return message_of([&] { cuda::delta_rule(args, {}, nullptr); });
    };
    CHECK(message(257, 8) == "cuda::delta_rule: k: expected heads of at most 256, found 257");
    CHECK(message(8, 300) == "cuda::delta_rule: v: expected heads of at most 256, found 300");
    sequence.first_token = index_t{1} << 31;
    CHECK(message(8, 8) ==
          "cuda: tokens of a batch: expected at most 2147483647, found 2147483649");
}
