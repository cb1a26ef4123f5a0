// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// States in and out in the layouts of other programs, element by element against index formulas.
/// d_k and d_v differ, so that a wrong order cannot hide.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/state_exchange.hpp>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr index_t kHeads = 4, kDk = 3, kDv = 5;
constexpr index_t kChannels = 2 * 2 * kDk + kHeads * kDv;  // 32
constexpr index_t kTaps = 3;
constexpr index_t kSlots = 3, kLayers = 2, kSlot = 1, kLayer = 1;

LayerConfig small() {
    LayerConfig config;
    config.hidden = 8;
    config.n_heads_k = 2;
    config.n_heads_v = kHeads;
    config.d_k = kDk;
    config.d_v = kDv;
    return config;
}

/// Slots over memory in which every float differs.
struct Fixture {
    std::vector<float> memory = std::vector<float>(static_cast<std::size_t>(
        StateSlots::floats_needed(small(), {.slots = kSlots, .layers = kLayers})));
    StateSlots slots{small(), {.slots = kSlots, .layers = kLayers}, memory};

    Fixture() { std::iota(memory.begin(), memory.end(), 1.0F); }
    [[nodiscard]] float conv(index_t t, index_t c) const { return slots.conv(kLayer)(kSlot, t, c); }
    [[nodiscard]] float recurrent(index_t h, index_t i, index_t j) const {
        return slots.recurrent(kLayer)(kSlot, h, i, j);
    }
};

std::vector<float> counting(index_t n, float first) {
    std::vector<float> values(static_cast<std::size_t>(n));
    std::iota(values.begin(), values.end(), first);
    return values;
}

float& at(std::vector<float>& values, index_t i) { return values.at(static_cast<std::size_t>(i)); }

/// Everything outside the row of kSlot in kLayer is as it was.
void check_elsewhere(const Fixture& fixture, std::vector<float> before) {
    const auto row =
        static_cast<std::size_t>(fixture.slots.conv(kLayer).ptr(kSlot) - fixture.memory.data());
    const auto n = static_cast<std::size_t>(StateSlots::row_floats(small()));
    for (std::size_t i = row; i < row + n; ++i) before[i] = fixture.memory[i];
    CHECK(bit_equal(fixture.memory, before));
}

}  // namespace

TEST_CASE("convolution state of W - 1 columns channel by channel", "[state_exchange]") {
    Fixture fixture;
    std::vector<float> external = counting(kChannels * kTaps, 5000.0F);
    const std::vector<float> given = external;
    const std::vector<float> before = fixture.memory;
    import_conv(fixture.slots, kSlot, kLayer, View<float, 2>(external.data(), {kChannels, kTaps}));
    for (index_t c = 0; c < kChannels; ++c) {
        for (index_t t = 0; t < kTaps; ++t)
            CHECK(fixture.conv(t, c) == at(external, c * kTaps + t));
    }
    check_elsewhere(fixture, before);
    std::fill(external.begin(), external.end(), -1.0F);
    export_conv(fixture.slots, kSlot, kLayer, {external.data(), {kChannels, kTaps}});
    CHECK(bit_equal(external, given));
}

TEST_CASE("convolution state of W columns: the first is not read and comes out as 0",
          "[state_exchange]") {
    Fixture fixture;
    std::vector<float> external = counting(kChannels * (kTaps + 1), 5000.0F);
    for (index_t c = 0; c < kChannels; ++c)
        at(external, c * 4) = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> before = fixture.memory;
    import_conv(fixture.slots, kSlot, kLayer,
                View<float, 2>(external.data(), {kChannels, kTaps + 1}));
    for (index_t c = 0; c < kChannels; ++c) {
        for (index_t t = 0; t < kTaps; ++t)
            CHECK(fixture.conv(t, c) == at(external, c * 4 + t + 1));
    }
    check_elsewhere(fixture, before);
    std::vector<float> expected = external;
    for (index_t c = 0; c < kChannels; ++c) at(expected, c * 4) = 0.0F;
    export_conv(fixture.slots, kSlot, kLayer, {external.data(), {kChannels, kTaps + 1}});
    CHECK(bit_equal(external, expected));
}

TEST_CASE("convolution state tap by tap is the library's own order", "[state_exchange]") {
    Fixture fixture;
    std::vector<float> external(kChannels * kTaps);
    export_conv(fixture.slots, kSlot, kLayer,
                {external.data(), {kChannels, kTaps}, {1, kChannels}});
    CHECK(bit_equal(external, elements(fixture.slots.conv(kLayer)[kSlot])));
}

TEST_CASE("caches that keep q and k and v apart are three calls", "[state_exchange]") {
    Fixture fixture;
    const std::vector<float> before = fixture.memory;
    std::vector<float> q = counting(6 * 4, 1000.0F);
    std::vector<float> k = counting(6 * 4, 2000.0F);
    std::vector<float> v = counting(20 * 4, 3000.0F);
    import_conv(fixture.slots, kSlot, kLayer, View<float, 2>(q.data(), {6, 4}), 0);
    import_conv(fixture.slots, kSlot, kLayer, View<float, 2>(k.data(), {6, 4}), 6);
    import_conv(fixture.slots, kSlot, kLayer, View<float, 2>(v.data(), {20, 4}), 12);
    for (index_t t = 0; t < kTaps; ++t) {
        for (index_t c = 0; c < 6; ++c) CHECK(fixture.conv(t, c) == at(q, c * 4 + t + 1));
        for (index_t c = 0; c < 6; ++c) CHECK(fixture.conv(t, 6 + c) == at(k, c * 4 + t + 1));
        for (index_t c = 0; c < 20; ++c) CHECK(fixture.conv(t, 12 + c) == at(v, c * 4 + t + 1));
    }
    check_elsewhere(fixture, before);
    CHECK(fixture.recurrent(0, 0, 0) ==
          before[static_cast<std::size_t>(fixture.slots.recurrent(kLayer).ptr(kSlot) -
                                          fixture.memory.data())]);
    std::vector<float> back(20 * 3);
    export_conv(fixture.slots, kSlot, kLayer, {back.data(), {20, 3}}, 12);
    for (index_t c = 0; c < 20; ++c) {
        for (index_t t = 0; t < 3; ++t) CHECK(at(back, c * 3 + t) == at(v, c * 4 + t + 1));
    }
}

TEST_CASE("recurrent state with the key dimension first and with the value dimension first",
          "[state_exchange]") {
    for (const StateOrder order : {StateOrder::k_first, StateOrder::v_first}) {
        const bool k_first = order == StateOrder::k_first;
        const Shape<3> shape = k_first ? Shape<3>{kHeads, kDk, kDv} : Shape<3>{kHeads, kDv, kDk};
        Fixture fixture;
        const std::vector<float> before = fixture.memory;
        std::vector<float> external = counting(kHeads * kDk * kDv, 7000.0F);
        const std::vector<float> given = external;
        import_recurrent(fixture.slots, kSlot, kLayer, View<float, 3>(external.data(), shape),
                         order);
        for (index_t h = 0; h < kHeads; ++h) {
            for (index_t i = 0; i < kDk; ++i) {
                for (index_t j = 0; j < kDv; ++j) {
                    const index_t offset = h * kDk * kDv + (k_first ? i * kDv + j : j * kDk + i);
                    CHECK(fixture.recurrent(h, i, j) == at(external, offset));
                }
            }
        }
        check_elsewhere(fixture, before);
        std::fill(external.begin(), external.end(), -1.0F);
        export_recurrent(fixture.slots, kSlot, kLayer, {external.data(), shape}, order);
        CHECK(bit_equal(external, given));
    }
}

TEST_CASE("v_first is the transpose of k_first head by head", "[state_exchange]") {
    const Fixture fixture;
    std::vector<float> k_first(kHeads * kDk * kDv);
    std::vector<float> v_first = k_first;
    export_recurrent(fixture.slots, kSlot, kLayer, {k_first.data(), {kHeads, kDk, kDv}},
                     StateOrder::k_first);
    export_recurrent(fixture.slots, kSlot, kLayer, {v_first.data(), {kHeads, kDv, kDk}},
                     StateOrder::v_first);
    for (index_t h = 0; h < kHeads; ++h) {
        for (index_t i = 0; i < kDk; ++i) {
            for (index_t j = 0; j < kDv; ++j) {
                CHECK(at(k_first, (h * kDk + i) * kDv + j) == at(v_first, (h * kDv + j) * kDk + i));
            }
        }
    }
}

TEST_CASE("a row of ik_llama.cpp: channels by taps and then heads by key by value",
          "[state_exchange]") {
    // conv element (t, c) at c (W-1) + t; recurrent element (h, i, j) at (W-1) conv_dim + h d^2 + i
    // d + j
    LayerConfig config = small();
    config.d_v = config.d_k = 4;  // that program knows square states only
    const index_t conv_dim = config.conv_dim(), d = 4;
    StateSlots slots(config, {.slots = 2});
    std::vector<float> row = counting(StateSlots::row_floats(config), 1.0F);
    import_conv(slots, 1, 0, View<float, 2>(row.data(), {conv_dim, kTaps}));
    import_recurrent(slots, 1, 0, View<float, 3>(row.data() + kTaps * conv_dim, {kHeads, d, d}),
                     StateOrder::k_first);
    for (index_t c = 0; c < conv_dim; ++c) {
        for (index_t t = 0; t < kTaps; ++t) CHECK(slots.conv(0)(1, t, c) == at(row, c * kTaps + t));
    }
    for (index_t h = 0; h < kHeads; ++h) {
        for (index_t i = 0; i < d; ++i) {
            for (index_t j = 0; j < d; ++j) {
                CHECK(slots.recurrent(0)(1, h, i, j) ==
                      at(row, kTaps * conv_dim + h * d * d + i * d + j));
            }
        }
    }
}

TEST_CASE("exports write between strides nothing", "[state_exchange]") {
    const Fixture fixture;
    std::vector<float> external(2000, -7.0F);
    const View<float, 3> view(external.data() + 3, {kHeads, kDk, kDv}, {100, 20, 2});
    export_recurrent(fixture.slots, kSlot, kLayer, view, StateOrder::k_first);
    index_t written = 0;
    for (const float x : external) written += x != -7.0F ? 1 : 0;
    CHECK(written == kHeads * kDk * kDv);
    CHECK(bit_equal(elements(view), elements(fixture.slots.recurrent(kLayer)[kSlot])));
}

TEST_CASE("exchanges that do not fit are refused and nothing is written",
          "[state_exchange][errors]") {
    Fixture fixture;
    const std::vector<float> before = fixture.memory;
    std::vector<float> external(1000, -7.0F);
    float* const p = external.data();
    const auto conv = [&](index_t slot, index_t layer, View<float, 2> view, index_t first,
                          const std::string& text) {
        CHECK(message_of([&] { import_conv(fixture.slots, slot, layer, view, first); }) ==
              "import_conv" + text);
        CHECK(message_of([&] { export_conv(fixture.slots, slot, layer, view, first); }) ==
              "export_conv" + text);
    };
    conv(3, 0, {p, {32, 3}}, 0, ": slot: expected 0 to 2, found 3");
    conv(0, -1, {p, {32, 3}}, 0, ": layer: expected 0 to 1, found -1");
    conv(0, 0, {p, {32, 2}}, 0, ": external: expected 3 or 4 columns, found 2");
    conv(0, 0, {p, {32, 5}}, 0, ": external: expected 3 or 4 columns, found 5");
    conv(0, 0, {p, {33, 3}}, 0, ": external: expected channels inside [0, 32), found [0, 33)");
    conv(0, 0, {p, {6, 3}}, 27, ": external: expected channels inside [0, 32), found [27, 33)");
    conv(0, 0, {p, {6, 3}}, -1, ": external: expected channels inside [0, 32), found [-1, 5)");
    conv(0, 0, {nullptr, {6, 3}}, 0,
         ": external: expected data for shape [6, 3], found a null pointer");
    const auto recurrent = [&](index_t slot, index_t layer, View<float, 3> view, StateOrder order,
                               const std::string& text) {
        CHECK(message_of([&] { import_recurrent(fixture.slots, slot, layer, view, order); }) ==
              "import_recurrent" + text);
        CHECK(message_of([&] { export_recurrent(fixture.slots, slot, layer, view, order); }) ==
              "export_recurrent" + text);
    };
    recurrent(-1, 0, {p, {4, 3, 5}}, StateOrder::k_first, ": slot: expected 0 to 2, found -1");
    recurrent(0, 2, {p, {4, 3, 5}}, StateOrder::k_first, ": layer: expected 0 to 1, found 2");
    recurrent(0, 0, {p, {4, 5, 3}}, StateOrder::k_first,
              ": external: expected shape [4, 3, 5], found shape [4, 5, 3]");
    recurrent(0, 0, {p, {4, 3, 5}}, StateOrder::v_first,
              ": external: expected shape [4, 5, 3], found shape [4, 3, 5]");
    recurrent(0, 0, {nullptr, {4, 3, 5}}, StateOrder::k_first,
              ": external: expected data for shape [4, 3, 5], found a null pointer");
    const std::string sharing =
        ": external: expected strides under which no two indices share an element, found shape ";
    CHECK(message_of([&] {
              export_conv(fixture.slots, 0, 0, {p, {32, 3}, {2, 1}});
          }) == "export_conv" + sharing + "[32, 3] with strides [2, 1]");
    CHECK(
        message_of([&] {
            export_recurrent(fixture.slots, 0, 0, {p, {4, 3, 5}, {15, 5, 0}}, StateOrder::k_first);
        }) == "export_recurrent" + sharing + "[4, 3, 5] with strides [15, 5, 0]");
    CHECK(bit_equal(fixture.memory, before));
    CHECK(external == std::vector<float>(1000, -7.0F));
}
