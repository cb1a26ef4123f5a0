// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// State slots: where every element stands for own and caller's memory in every arrangement, and
/// that reset and copy reach all layers of one slot and nothing else.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/models.hpp>
#include <deltanet/state_slots.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// conv_dim 2*2*3 + 4*5 = 32, 3 taps; recurrent 4*3*5 = 60; a row of 96 + 60 floats.
LayerConfig small() {
    LayerConfig config;
    config.hidden = 8;
    config.n_heads_k = 2;
    config.n_heads_v = 4;
    config.d_k = 3;
    config.d_v = 5;
    return config;
}
constexpr index_t kConv = 96;
constexpr index_t kRow = 156;

std::uintptr_t address(const float* p) { return reinterpret_cast<std::uintptr_t>(p); }

std::vector<float> counting(index_t n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    std::iota(values.begin(), values.end(), 1.0F);
    return values;
}

/// The rows of every slot and layer start at base + layer * layer_stride + slot * slot_stride.
void check_places(const StateSlots& slots, const std::vector<const float*>& layers,
                  index_t slot_stride) {
    for (index_t l = 0; l < slots.n_layers(); ++l) {
        const View<float, 3> conv = slots.conv(l);
        const View<float, 4> recurrent = slots.recurrent(l);
        CHECK(conv.shape() == Shape<3>{slots.n_slots(), 3, 32});
        CHECK(conv.strides() == Shape<3>{slot_stride, 32, 1});
        CHECK(recurrent.shape() == Shape<4>{slots.n_slots(), 4, 3, 5});
        CHECK(recurrent.strides() == Shape<4>{slot_stride, 15, 5, 1});
        const float* const base = layers[static_cast<std::size_t>(l)];
        CHECK(conv.data() == base);
        CHECK(recurrent.data() == base + kConv);
        for (index_t s = 0; s < slots.n_slots(); ++s) {
            CHECK(conv.ptr(s, 2, 31) == base + s * slot_stride + kConv - 1);
            CHECK(recurrent.ptr(s, 3, 2, 4) == base + s * slot_stride + kRow - 1);
        }
    }
}

/// Arrangements of 3 slots in 2 layers in memory of `floats` floats.
struct Arrangement {
    std::string name;
    StateSlotsOptions options;
    index_t slot_stride, layer_stride, floats;
};
const Arrangement kArrangements[] = {
    {"dense", {.slots = 3, .layers = 2}, 160, 480, 480 + 320 + kRow},
    {"padded slots", {.slots = 3, .layers = 2, .slot_stride = 201}, 201, 603, 603 + 402 + kRow},
    {"padded layers",
     {.slots = 3, .layers = 2, .slot_stride = kRow, .layer_stride = 1001},
     kRow,
     1001,
     1001 + 2 * kRow + kRow},
    {"layers inside slots",
     {.slots = 3, .layers = 2, .slot_stride = 400, .layer_stride = 170},
     400,
     170,
     800 + 170 + kRow},
};

}  // namespace

TEST_CASE("sizes of a slot", "[state_slots]") {
    CHECK(StateSlots::row_floats(small()) == kRow);
    CHECK(StateSlots::bytes_per_slot(small()) == 4 * kRow);
    CHECK(StateSlots::bytes_per_slot(small(), 7) == 28 * kRow);
    for (const Arrangement& a : kArrangements) {
        CAPTURE(a.name);
        CHECK(StateSlots::floats_needed(small(), a.options) == a.floats);
    }
}

TEST_CASE("own memory is aligned and zero and dense", "[state_slots]") {
    const StateSlots slots(small(), {.slots = 3, .layers = 2});
    CHECK(slots.n_slots() == 3);
    CHECK(slots.n_layers() == 2);
    CHECK(slots.conv_dim() == 32);
    CHECK(slots.conv_taps() == 3);
    CHECK(slots.n_heads_v() == 4);
    CHECK(slots.d_k() == 3);
    CHECK(slots.d_v() == 5);
    const float* const base = slots.conv(0).data();
    check_places(slots, {base, base + 480}, 160);  // rows rounded up to 64 bytes
    for (index_t l = 0; l < 2; ++l) {
        for (index_t s = 0; s < 3; ++s) CHECK(address(slots.conv(l).ptr(s)) % 64 == 0);
        for (const float x : elements(slots.conv(l))) CHECK(x == 0.0F);
        for (const float x : elements(slots.recurrent(l))) CHECK(x == 0.0F);
    }
}

TEST_CASE("own memory takes strides too", "[state_slots]") {
    for (const Arrangement& a : kArrangements) {
        const StateSlots slots(small(), a.options);
        CAPTURE(a.name);
        const float* const base = slots.conv(0).data();
        check_places(slots, {base, base + a.layer_stride}, a.slot_stride);
        const View<float, 4> last = slots.recurrent(1);
        last(2, 3, 2, 4) = 1.0F;  // inside the allocation, as the address sanitizer sees
    }
}

TEST_CASE("caller's memory is used where it lies and not cleared", "[state_slots]") {
    for (const Arrangement& a : kArrangements) {
        std::vector<float> memory = counting(a.floats);  // exactly as much as is needed
        const std::vector<float> before = memory;
        const StateSlots slots(small(), a.options, memory);
        CAPTURE(a.name);
        check_places(slots, {memory.data(), memory.data() + a.layer_stride}, a.slot_stride);
        CHECK(bit_equal(memory, before));
        CHECK(slots.recurrent(1)(2, 3, 2, 4) ==
              static_cast<float>(a.floats));  // the very last float
    }
}

TEST_CASE("layers at addresses of their own", "[state_slots]") {
    std::vector<float> first = counting(2 * 200 + kRow);
    std::vector<float> second = counting(2 * 200 + kRow);
    float* const layers[] = {second.data(), first.data()};
    StateSlots slots(small(), {.slots = 3, .layers = 99, .slot_stride = 200, .layer_stride = -1},
                     std::span<float* const>(layers));
    CHECK(slots.n_layers() == 2);
    check_places(slots, {second.data(), first.data()}, 200);
    slots.reset(2);
    for (std::vector<float>* memory : {&first, &second}) {
        std::vector<float> expected = counting(2 * 200 + kRow);
        std::fill(expected.begin() + 400, expected.end(), 0.0F);
        CHECK(bit_equal(*memory, expected));
    }
}

TEST_CASE("reset clears a slot in all layers and nothing between the rows", "[state_slots]") {
    for (const Arrangement& a : kArrangements) {
        for (index_t slot = 0; slot < 3; ++slot) {
            std::vector<float> memory = counting(a.floats + 50);
            std::vector<float> expected = memory;
            for (index_t l = 0; l < 2; ++l) {
                std::fill_n(expected.begin() + l * a.layer_stride + slot * a.slot_stride, kRow,
                            0.0F);
            }
            StateSlots slots(small(), a.options, memory);
            slots.reset(slot);
            CAPTURE(a.name, slot);
            CHECK(bit_equal(memory, expected));
        }
    }
}

TEST_CASE("reset clears NaN too", "[state_slots]") {
    std::vector<float> memory(kRow, std::numeric_limits<float>::quiet_NaN());
    StateSlots slots(small(), {.slots = 1, .layers = 1}, memory);
    slots.reset(0);
    CHECK(bit_equal(memory, std::vector<float>(kRow, 0.0F)));
}

TEST_CASE("copy makes a slot equal to another in all layers and nothing else", "[state_slots]") {
    for (const Arrangement& a : kArrangements) {
        for (index_t from = 0; from < 3; ++from) {
            for (index_t to = 0; to < 3; ++to) {
                std::vector<float> memory = counting(a.floats + 50);
                std::vector<float> expected = memory;
                for (index_t l = 0; l < 2; ++l) {
                    const auto layer = expected.begin() + l * a.layer_stride;
                    if (from != to)
                        std::copy_n(layer + from * a.slot_stride, kRow, layer + to * a.slot_stride);
                }
                StateSlots slots(small(), a.options, memory);
                slots.copy(from, to);
                CAPTURE(a.name, from, to);
                CHECK(bit_equal(memory, expected));
            }
        }
    }
}

TEST_CASE("a moved arena stands where it stood", "[state_slots]") {
    StateSlots first(small(), {.slots = 2, .layers = 2});
    const float* const place = first.recurrent(1).data();
    first.recurrent(1)(1, 0, 0, 0) = 5.0F;
    StateSlots second = std::move(first);
    CHECK(second.recurrent(1).data() == place);
    CHECK(second.recurrent(1)(1, 0, 0, 0) == 5.0F);
    second.reset(1);
    CHECK(second.recurrent(1)(1, 0, 0, 0) == 0.0F);
}

TEST_CASE("an arena on huge pages is like any other, and starts at one", "[state_slots]") {
    StateSlots slots(small(), {.slots = 2, .layers = 2, .huge_pages = true});
    CHECK(address(slots.conv(0).data()) % (2U << 20U) == 0);
    for (const float x : elements(slots.recurrent(1))) CHECK(x == 0.0F);
    slots.recurrent(1)(1, 0, 0, 0) = 5.0F;
    const StateSlots moved = std::move(slots);
    CHECK(moved.recurrent(1)(1, 0, 0, 0) == 5.0F);

    std::vector<float> memory(4000, 3.0F);
    const StateSlots yours(small(), {.slots = 2, .layers = 2, .huge_pages = true}, memory);
    CHECK(memory == std::vector<float>(4000, 3.0F));
    CHECK(yours.conv(0).data() == memory.data());
}

TEST_CASE("advice about memory changes nothing in it", "[state_slots]") {
    std::vector<char> memory(3U << 20U, 'x');
    for (const index_t offset : {0, 1, 4095, 4096}) {
        for (const index_t bytes : {0, 1, 4096, 2 << 20})
            static_cast<void>(advise_huge_pages(memory.data() + offset, bytes));
    }
    CHECK(!advise_huge_pages(memory.data(), 0));
    CHECK(memory == std::vector<char>(3U << 20U, 'x'));
}

TEST_CASE("arenas beyond 4 GiB: offsets in 64 bits", "[state_slots]") {
    // Addresses only: nothing lies there, and nothing is read or written.
    const LayerConfig config = qwen3_5_397b_a17b();
    constexpr index_t row = 3 * 12288 + 64 * 128 * 128;  // 4.1 MiB
    const StateSlotsOptions options{.slots = 2000, .layers = 45};
    const index_t floats = StateSlots::floats_needed(config, options);
    CHECK(floats == index_t{45} * 2000 * row);  // a multiple of 16: no padding
    constexpr std::uintptr_t base = 1U << 20U;
    const std::span<float> memory(reinterpret_cast<float*>(base), static_cast<std::size_t>(floats));
    const StateSlots slots(config, options, memory);
    const auto expected = [](index_t layer, index_t slot, index_t inside) {
        return base + 4 * static_cast<std::uintptr_t>((layer * 2000 + slot) * row + inside);
    };
    CHECK(address(slots.conv(0).ptr(1999)) == expected(0, 1999, 0));
    CHECK(address(slots.conv(0).ptr(1999)) - base > (std::uintptr_t{1} << 32U));
    CHECK(address(slots.conv(44).ptr(1999, 2, 12287)) == expected(44, 1999, 3 * 12288 - 1));
    CHECK(address(slots.recurrent(44).data()) == expected(44, 0, 3 * 12288));
    CHECK(address(slots.recurrent(44).ptr(1999, 63, 127, 127)) == expected(44, 1999, row - 1));
    CHECK(address(slots.recurrent(44)[1999].data()) == expected(44, 1999, 3 * 12288));

    const StateSlotsOptions interleaved{
        .slots = 2000, .layers = 45, .slot_stride = 45 * row, .layer_stride = row};
    const StateSlots other(config, interleaved, memory);
    CHECK(address(other.recurrent(44).ptr(1999, 63, 127, 127)) ==
          base + 4 * static_cast<std::uintptr_t>(floats - 1));
}
