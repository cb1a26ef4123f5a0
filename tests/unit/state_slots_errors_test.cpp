// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Every mistake that state slots refuse, with the whole message.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/state_slots.hpp>

#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

const std::string kNothing = "nothing was thrown";

LayerConfig small() {  // a row of 156 floats
    LayerConfig config;
    config.hidden = 8;
    config.n_heads_k = 2;
    config.n_heads_v = 4;
    config.d_k = 3;
    config.d_v = 5;
    return config;
}

std::string refusal(const StateSlotsOptions& options) {
    const std::string own = message_of([&] { StateSlots slots(small(), options); });
    std::vector<float> memory(10'000);
    CHECK(message_of([&] { StateSlots slots(small(), options, memory); }) ==
          own);  // the same words
    CHECK(message_of([&] { static_cast<void>(StateSlots::floats_needed(small(), options)); }) ==
          own);
    return own;
}

}  // namespace

TEST_CASE("bad counts and strides", "[state_slots][errors]") {
    CHECK(refusal({}) == kNothing);
    CHECK(refusal({.slots = 0}) == "StateSlots: slots: expected at least 1, found 0");
    CHECK(refusal({.slots = -3}) == "StateSlots: slots: expected at least 1, found -3");
    CHECK(refusal({.layers = 0}) == "StateSlots: layers: expected at least 1, found 0");
    CHECK(refusal({.slot_stride = 155}) ==
          "StateSlots: slot_stride: expected at least 156, found 155");
    CHECK(refusal({.slot_stride = 156}) == kNothing);
    CHECK(refusal({.slot_stride = -200}) ==
          "StateSlots: slot_stride: expected at least 156, found -200");
}

TEST_CASE("strides under which rows would overlap", "[state_slots][errors]") {
    const auto overlap = [](const std::string& strides) {
        return "StateSlots: layer_stride: expected strides under which no two indices share an "
               "element, found shape "
               "[2, 3, 156] with strides " +
               strides;
    };
    CHECK(refusal({.slots = 3, .layers = 2, .slot_stride = 160, .layer_stride = 475}) ==
          overlap("[475, 160, 1]"));
    CHECK(refusal({.slots = 3, .layers = 2, .slot_stride = 160, .layer_stride = 476}) == kNothing);
    CHECK(refusal({.slots = 3, .layers = 2, .slot_stride = 300, .layer_stride = 150}) ==
          overlap("[150, 300, 1]"));
    CHECK(refusal({.slots = 3, .layers = 2, .slot_stride = 311, .layer_stride = 156}) ==
          overlap("[156, 311, 1]"));
    CHECK(refusal({.slots = 3, .layers = 2, .slot_stride = 312, .layer_stride = 156}) == kNothing);
    CHECK(refusal({.slots = 3, .layers = 2, .slot_stride = 160, .layer_stride = -480}) ==
          overlap("[-480, 160, 1]"));
}

TEST_CASE("memory that is too small or not there", "[state_slots][errors]") {
    const StateSlotsOptions options{.slots = 2, .layers = 2, .slot_stride = 160};
    std::vector<float> memory(3 * 160 + 156);
    const auto with = [&](std::span<float> span) {
        return message_of([&] { StateSlots slots(small(), options, span); });
    };
    CHECK(with(memory) == kNothing);
    CHECK(with(std::span<float>(memory).first(635)) ==
          "StateSlots: memory: expected at least 636 floats, found 635 floats");
    CHECK(with({}) == "StateSlots: memory: expected at least 636 floats, found a null pointer");
}

TEST_CASE("layers that are not there", "[state_slots][errors]") {
    std::vector<float> memory(1000);
    float* const layers[] = {memory.data(), nullptr};
    CHECK(message_of([&] {
              StateSlots slots(small(), {.slots = 2}, std::span<float* const>(layers));
          }) == "StateSlots: layers[1]: expected memory, found a null pointer");
    CHECK(message_of([&] { StateSlots slots(small(), {.slots = 2}, std::span<float* const>()); }) ==
          "StateSlots: layers: expected at least 1, found 0");
    CHECK(message_of([&] {
              StateSlots slots(small(), {.slots = 2, .slot_stride = 10},
                               std::span<float* const>(layers, 1));
          }) == "StateSlots: slot_stride: expected at least 156, found 10");
}

TEST_CASE("a configuration that is wrong", "[state_slots][errors]") {
    LayerConfig config = small();
    config.conv_width = 1;
    const std::string text = "LayerConfig::validate: conv_width: expected 2 to 8, found 1";
    std::vector<float> memory(1000);
    CHECK(message_of([&] { StateSlots slots(config, {}); }) == text);
    CHECK(message_of([&] { StateSlots slots(config, {}, memory); }) == text);
}

TEST_CASE("slots and layers out of range", "[state_slots][errors]") {
    std::vector<float> memory(1000, 3.0F);
    const std::vector<float> before = memory;
    StateSlots slots(small(), {.slots = 3, .layers = 2}, memory);
    for (const index_t wrong : {-1, 3}) {
        const std::string found = detail::concat(": expected 0 to 2, found ", wrong);
        CHECK(message_of([&] { slots.reset(wrong); }) == "StateSlots::reset: slot" + found);
        CHECK(message_of([&] { slots.copy(wrong, 0); }) == "StateSlots::copy: from" + found);
        CHECK(message_of([&] { slots.copy(0, wrong); }) == "StateSlots::copy: to" + found);
        CHECK(message_of([&] { slots.check_slot("f", "x", wrong); }) == "f: x" + found);
    }
    for (const index_t wrong : {-1, 2}) {
        const std::string found = detail::concat(": layer: expected 0 to 1, found ", wrong);
        CHECK(message_of([&] { static_cast<void>(slots.conv(wrong)); }) ==
              "StateSlots::conv" + found);
        CHECK(message_of([&] { static_cast<void>(slots.recurrent(wrong)); }) ==
              "StateSlots::recurrent" + found);
        CHECK(message_of([&] { slots.check_layer("f", wrong); }) == "f" + found);
    }
    CHECK(message_of([&] { slots.check_slot("f", "x", 2); }) == kNothing);
    CHECK(message_of([&] { slots.check_layer("f", 1); }) == kNothing);
    CHECK(bit_equal(memory, before));
}

TEST_CASE("fork and swap say what is wrong before they write", "[state_slots][errors]") {
    StateSlots slots(small(), {.slots = 3});
    slots.recurrent(0)(0, 0, 0, 0) = 1.0F;
    const index_t to[] = {1, 3};
    CHECK(message_of([&] { slots.fork(0, to); }) ==
          "StateSlots::fork: to[1]: expected 0 to 2, found 3");
    CHECK(slots.recurrent(0)(1, 0, 0, 0) == 0.0F);
    CHECK(message_of([&] { slots.fork(-1, to); }) ==
          "StateSlots::fork: from: expected 0 to 2, found -1");
    CHECK(message_of([&] { slots.swap(0, 3); }) == "StateSlots::swap: b: expected 0 to 2, found 3");
    slots.swap(0, 2);
    CHECK(slots.recurrent(0)(0, 0, 0, 0) == 0.0F);
    CHECK(slots.recurrent(0)(2, 0, 0, 0) == 1.0F);
}

TEST_CASE("an arena of another shape is refused", "[state_slots][errors]") {
    const StateSlots slots(small(), {});
    const auto refused = [&](const LayerConfig& config) {
        return message_of([&] { slots.check_matches("forward", config); });
    };
    CHECK(refused(small()) == kNothing);
    LayerConfig same = small();  // what the state does not depend on
    same.hidden = 99;
    same.gate = OutputGate::none;
    CHECK(refused(same) == kNothing);

    LayerConfig heads = small();
    heads.n_heads_v = 2;
    CHECK(refused(heads) ==
          "forward: slots: expected state of [H_v, d_k, d_v, conv_dim] = [2, 3, 5, 22] and 3 conv "
          "taps, found "
          "[4, 3, 5, 32] and 3");
    LayerConfig taps = small();
    taps.conv_width = 3;
    CHECK(refused(taps) ==
          "forward: slots: expected state of [H_v, d_k, d_v, conv_dim] = [4, 3, 5, 32] and 2 conv "
          "taps, found "
          "[4, 3, 5, 32] and 3");
    LayerConfig exchanged = small();  // the same number of floats in the recurrent part
    exchanged.d_k = 5;
    exchanged.d_v = 3;
    CHECK(refused(exchanged) ==
          "forward: slots: expected state of [H_v, d_k, d_v, conv_dim] = [4, 5, 3, 32] and 3 conv "
          "taps, found "
          "[4, 3, 5, 32] and 3");
    LayerConfig key_heads = small();  // shows in the convolution alone
    key_heads.n_heads_k = 4;
    CHECK(refused(key_heads) ==
          "forward: slots: expected state of [H_v, d_k, d_v, conv_dim] = [4, 3, 5, 44] and 3 conv "
          "taps, found "
          "[4, 3, 5, 32] and 3");
}

// Field row 44: no middle part can be forgotten.
TEST_CASE("rollback, accept and flush say what is wrong", "[state_slots][errors]") {
    CHECK(message_of([] { StateSlots(small(), {.slots = 1, .rollback = 33}); }) ==
          "StateSlots: rollback: expected 0 to 32, found 33");
    StateSlots slots(small(), {.slots = 2, .layers = 2, .rollback = 4});
    const auto advance = [&](index_t layer, const SequenceSpan& span) {
        const SequenceSpan found = slots.with_pending(layer, span);
        slots.advance(layer, found, pending_step(found, slots.max_rollback()).after);
    };
    for (const index_t layer : {0, 1}) advance(layer, {0, 3, 1});
    CHECK(slots.position(1) == 3);
    CHECK(slots.pending(1) == 3);
    CHECK(message_of([&] { slots.rollback(2, 0); }) ==
          "StateSlots::rollback: slot: expected 0 to 1, found 2");
    CHECK(
        message_of([&] { slots.rollback(1, 4); }) ==
        "StateSlots::rollback: n_tokens: expected 0 to 3, as many as are pending in slot 1, found "
        "4");
    CHECK(
        message_of([&] { slots.rollback(1, -1); }) ==
        "StateSlots::rollback: n_tokens: expected 0 to 3, as many as are pending in slot 1, found "
        "-1");
    const std::vector<index_t> none;
    CHECK(
        message_of([&] { slots.accept(1, none); }) ==
        "StateSlots::accept: slot: expected a slot whose last step was a tree, found slot 1, where "
        "none is open");
    advance(0, {0, 1, 1});
    CHECK(message_of([&] { slots.rollback(1, 1); }) ==
          "StateSlots::rollback: slot 1: expected all layers at the same token, found layer 0 at 4 "
          "with 4 pending, layer 1 at 3 with 3 pending");
    advance(1, {0, 1, 1});
    slots.rollback(1, 3);
    CHECK(slots.position(1) == 1);

    const std::vector<index_t> parents{-1, 0, 0};
    for (const index_t layer : {0, 1}) advance(layer, {0, 3, 1, Start::resume, 0, parents});
    CHECK(slots.position(1) == 1);
    CHECK(slots.pending(1) == 4);
    CHECK(message_of([&] { slots.rollback(1, 2); }) ==
          "StateSlots::rollback: n_tokens: expected all 3 nodes of the tree in slot 1, or accept() "
          "of "
          "some, found 2");
    CHECK(
        message_of([&] { slots.flush(1); }) ==
        "StateSlots::flush: slot: expected no tree, or one of which a path is accepted, found slot "
        "1 with a tree of 3 nodes");
    const std::vector<index_t> outside{0, 3}, skips{1};
    CHECK(message_of([&] { slots.accept(1, outside); }) ==
          "StateSlots::accept: path[1]: expected 0 to 2, found 3");
    CHECK(
        message_of([&] { slots.accept(1, skips); }) ==
        "StateSlots::accept: path[0]: expected a node whose parent is -1, found 1, whose parent is "
        "0");
    const std::vector<index_t> path{0, 2};
    slots.accept(1, path);
    CHECK(slots.position(1) == 3);
    CHECK(slots.pending(1) == 3);
}
