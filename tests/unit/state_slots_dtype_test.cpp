// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Arenas whose recurrent states are stored in 16 bits: sizes, places, slot operations, exchange
/// with float32, and the error for asking for another element type.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/models.hpp>
#include <deltanet/state_exchange.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// conv_dim 2*1*3 + 3*5 = 21, 3 taps: 63 floats; recurrent 3*3*5 = 45 elements, 23 floats.
LayerConfig small() {
    LayerConfig config;
    config.hidden = 8;
    config.n_heads_k = 1;
    config.n_heads_v = 3;
    config.d_k = 3;
    config.d_v = 5;
    return config;
}
constexpr index_t kConv = 63, kElements = 45, kRow = kConv + 23;

template <class S>
std::uintptr_t address(const S* p) {
    return reinterpret_cast<std::uintptr_t>(p);
}

template <class S>
StateSlotsOptions stored_as(index_t slots, index_t layers, index_t slot_stride = 0) {
    return {.slots = slots, .layers = layers, .slot_stride = slot_stride, .state = dtype_v<S>};
}

}  // namespace

TEMPLATE_TEST_CASE("a 16-bit state takes half the memory of a float one", "[state_slots]", bf16,
                   f16) {
    using S = TestType;
    const LayerConfig model = qwen3_next_80b_a3b();
    constexpr index_t conv = 3 * 8192 * 4, recurrent = 32 * 128 * 128 * 4;
    CHECK(StateSlots::bytes_per_slot(model, 36, dtype_v<S>) == 36 * (conv + recurrent / 2));
    CHECK(StateSlots::bytes_per_slot(model, 36) == 36 * (conv + recurrent));
    CHECK(StateSlots::row_floats(small(), dtype_v<S>) == kRow);  // an odd number, rounded up
    CHECK(StateSlots::floats_needed(small(), stored_as<S>(2, 3, 90)) == 5 * 90 + kRow);
    CHECK(StateSlots(small(), stored_as<S>(1, 1)).state_dtype() == dtype_v<S>);
    CHECK(StateSlots(small(), {}).state_dtype() == DType::f32);
}

TEMPLATE_TEST_CASE("16-bit states stand behind the convolution's", "[state_slots]", bf16, f16) {
    using S = TestType;
    const index_t stride = GENERATE(index_t{0}, kRow, index_t{101});
    const index_t expected_stride = stride == 0 ? 96 : stride;
    std::vector<float> memory(2000);
    const StateSlots slots(small(), stored_as<S>(3, 2, stride), memory);
    for (index_t l = 0; l < 2; ++l) {
        const View<S, 4> states = slots.template recurrent<S>(l);
        CHECK(states.shape() == Shape<4>{3, 3, 3, 5});
        CHECK(states.strides() == Shape<4>{2 * expected_stride, 15, 5, 1});
        for (index_t s = 0; s < 3; ++s) {
            const float* const row = memory.data() + (l * 3 + s) * expected_stride;
            CHECK(slots.conv(l).ptr(s) == row);
            CHECK(address(states.ptr(s)) == address(row + kConv));
            CHECK(address(states.ptr(s, 2, 2, 4)) == address(row + kConv) + 2 * (kElements - 1));
        }
        slots.recurrent_state(l).visit([&](const auto& any) {
            CHECK(address(any.data()) == address(states.data()));
            CHECK(any.strides() == states.strides());
            CHECK(sizeof(*any.data()) == 2);
        });
    }
}

TEMPLATE_TEST_CASE("reset and copy of 16-bit states reach one slot in all layers", "[state_slots]",
                   bf16, f16) {
    using S = TestType;
    std::vector<float> memory(3 * 2 * 100, 7.0F);
    StateSlots slots(small(), stored_as<S>(3, 2, 100), memory);
    const auto fill = [&](index_t slot, float value) {
        for (index_t l = 0; l < 2; ++l) {
            for (index_t h = 0; h < 3; ++h) {
                for (index_t i = 0; i < 15; ++i) {
                    slots.template recurrent<S>(l)(slot, h, i / 5, i % 5) =
                        from_float<S>(value + static_cast<float>(l));
                }
            }
        }
    };
    const auto has = [&](index_t slot, float value, float step) {
        bool same = true;
        for (index_t l = 0; l < 2; ++l) {
            detail::for_each_element(
                slots.recurrent_state(l), slot, [&](index_t, index_t, index_t, double s) {
                    same = same && s == static_cast<double>(value + step * static_cast<float>(l));
                });
        }
        return same;
    };
    for (index_t s = 0; s < 3; ++s) fill(s, static_cast<float>(10 * (s + 1)));
    slots.copy(0, 2);
    CHECK(has(0, 10, 1));
    CHECK(has(1, 20, 1));
    CHECK(has(2, 10, 1));
    slots.reset(0);
    CHECK(has(0, 0, 0));
    CHECK(has(1, 20, 1));
    CHECK(has(2, 10, 1));
    for (index_t row = 0; row < 6; ++row) {  // nothing behind a row was touched
        for (index_t i = kRow; i < 100; ++i)
            CHECK(memory[static_cast<std::size_t>(row * 100 + i)] == 7.0F);
    }
}

TEMPLATE_TEST_CASE("import rounds a 16-bit state once, export is exact", "[state_exchange]", bf16,
                   f16) {
    using S = TestType;
    const StateOrder order = GENERATE(StateOrder::k_first, StateOrder::v_first);
    StateSlots slots(small(), stored_as<S>(2, 2));
    std::vector<float> given;
    for (index_t i = 0; i < kElements; ++i)
        given.push_back(1.0F / static_cast<float>(i + 3) - 0.1F);
    given[7] = std::numeric_limits<float>::infinity();
    const Shape<3> shape = order == StateOrder::k_first ? Shape<3>{3, 3, 5} : Shape<3>{3, 5, 3};
    import_recurrent(slots, 1, 1, View<const float, 3>(given.data(), shape), order);
    std::vector<float> back(given.size(), -1.0F);
    export_recurrent(slots, 1, 1, View<float, 3>(back.data(), shape), order);
    for (std::size_t i = 0; i < given.size(); ++i)
        CHECK(back[i] == to_float(from_float<S>(given[i])));
    const View<S, 4> states = slots.template recurrent<S>(1);
    CHECK(to_float(states(1, 2, 1, 3)) ==
          back[order == StateOrder::k_first ? 2 * 15 + 1 * 5 + 3 : 2 * 15 + 3 * 3 + 1]);
    export_recurrent(slots, 0, 1, View<float, 3>(back.data(), shape), order);
    CHECK(back == std::vector<float>(given.size(), 0.0F));
}

TEST_CASE("states are had as what they are stored as, and as nothing else",
          "[state_slots][errors]") {
    const StateSlots narrow(small(), stored_as<bf16>(1, 1));
    CHECK(message_of([&] { static_cast<void>(narrow.recurrent(0)); }) ==
          "StateSlots::recurrent: S: expected the element type of bf16, found f32");
    CHECK(message_of([&] { static_cast<void>(narrow.recurrent<f16>(0)); }) ==
          "StateSlots::recurrent: S: expected the element type of bf16, found f16");
    CHECK(message_of([&] { static_cast<void>(narrow.recurrent_state(1)); }) ==
          "StateSlots::recurrent_state: layer: expected 0 to 0, found 1");
    const StateSlots wide(small(), {});
    CHECK(message_of([&] { static_cast<void>(wide.recurrent<bf16>(0)); }) ==
          "StateSlots::recurrent: S: expected the element type of f32, found bf16");
    CHECK(message_of([&] { StateSlots slots(small(), {.state = static_cast<DType>(7)}); }) ==
          "StateSlots: state: expected a DType, found 7");
    std::vector<float> memory(static_cast<std::size_t>(kRow - 1));
    CHECK(message_of([&] { StateSlots slots(small(), stored_as<bf16>(1, 1), memory); }) ==
          "StateSlots: memory: expected at least 86 floats, found 85 floats");
    CHECK(message_of([&] { StateSlots slots(small(), stored_as<bf16>(2, 1, kRow - 1)); }) ==
          "StateSlots: slot_stride: expected at least 86, found 85");
}
