// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Saved slots: what comes back is what was saved, whatever is pending and whatever arena it comes
/// back to; what was cut, altered or meant for another model is refused, and the slot stays as it
/// was. (Other engines' saves lose updates that are not folded yet, abort while a rollback is
/// pending, or cannot be told from another model's.)
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

LayerConfig tiny() { return small_config(1, 2, 4, 3, 5); }

StateSlotsOptions options(index_t rollback, DType state = DType::f32) {
    return {.slots = 2, .layers = 2, .state = state, .rollback = rollback};
}

/// Steps of both layers of slot `slot`: the same tokens for the same seed.
struct Engine {
    RandomLayer weights{tiny(), 3};
    DeltaNetLayer<LayerBackend<>, ReferenceLinear> layer{tiny(), weights.split<ReferenceLinear>()};

    std::vector<float> step(StateSlots& slots, index_t n, std::uint32_t seed,
                            Start start = Start::resume, std::span<const index_t> parents = {},
                            index_t slot = 0) {
        const std::vector<float> x = Random(seed).normals(n * 5);
        Batch batch;
        batch.add({.slot = slot, .n_tokens = n, .start = start, .parents = parents});
        std::vector<float> y = run(layer, batch, x, slots, 0);
        const std::vector<float> second = run(layer, batch, x, slots, 1);
        y.insert(y.end(), second.begin(), second.end());
        return y;
    }
};

/// The recurrent state that slot 0 stands for.
std::vector<float> exported(const StateSlots& slots) {
    const LayerConfig c = tiny();
    std::vector<float> state(static_cast<std::size_t>(c.n_heads_v * c.d_k * c.d_v));
    export_recurrent(slots, 0, 0, {state.data(), {c.n_heads_v, c.d_k, c.d_v}}, StateOrder::k_first);
    return state;
}

/// Everything that a slot holds: its bytes, of one arena.
std::vector<std::byte> bytes_of(const StateSlots& slots, index_t slot) {
    return save_slot(slots, slot);
}

}  // namespace

// Field rows 31 to 33: saving while something is pending.
TEST_CASE("a saved slot comes back with what is pending, at every moment", "[state_blob]") {
    Engine engine;
    for (const DType state : {DType::f32, DType::bf16, DType::f16, DType::i8}) {
        StateSlots slots(tiny(), options(6, state));
        engine.step(slots, 9, 1, Start::fresh);
        for (const index_t n : {0, 1, 4, 3, 7}) {
            if (n > 0) engine.step(slots, n, static_cast<std::uint32_t>(10 + n));
            const std::vector<std::byte> blob = save_slot(slots, 0, 42);
            CHECK(static_cast<index_t>(blob.size()) == saved_slot_bytes(slots, 0));
            const StateBlobInfo info = inspect_saved_slot(blob);
            CHECK(info.tag == 42);
            CHECK(info.position == slots.position(0));
            CHECK(info.pending == slots.pending(0));
            CHECK(info.state == state);
            StateSlots other(tiny(), options(6, state));
            load_slot(other, 1, blob, 42);
            CHECK(bytes_of(other, 1) == bytes_of(slots, 0));
            // Rollback still works, and what follows has the same bits.
            const index_t m = std::min<index_t>(2, slots.pending(0));
            slots.rollback(0, m);
            other.rollback(1, m);
            CHECK(bit_equal(engine.step(slots, 2, 50),
                            engine.step(other, 2, 50, Start::resume, {}, 1)));
        }
    }
}

TEST_CASE("a saved slot may be loaded with another rollback or storage type", "[state_blob]") {
    Engine engine;
    StateSlots slots(tiny(), options(6));
    engine.step(slots, 9, 1, Start::fresh);
    engine.step(slots, 5, 2);
    const std::vector<std::byte> blob = save_slot(slots, 0);
    const std::vector<float> expected = engine.step(slots, 1, 3);
    for (const index_t rollback : {0, 2, 5, 32}) {
        for (const DType state : {DType::f32, DType::bf16, DType::f16, DType::i8}) {
            StateSlots other(tiny(), options(rollback, state));
            load_slot(other, 0, blob);
            CHECK(other.position(0) == 14);
            CHECK(other.pending(0) == std::min<index_t>(rollback, 5));
            const double bound = state == DType::f32    ? 2e-6
                                 : state == DType::bf16 ? 0x1p-7
                                 : state == DType::f16  ? 0x1p-10
                                                        : 2.0 / 127;
            CAPTURE(rollback, name_of(state));
            CHECK(relative_rms(engine.step(other, 1, 3), expected) <= bound);
        }
    }
}

TEST_CASE("an int8 slot is saved as it is, and loaded as any type", "[state_blob]") {
    Engine engine;
    StateSlots slots(tiny(), options(3, DType::i8));
    engine.step(slots, 9, 1, Start::fresh);
    engine.step(slots, 2, 2);
    const std::vector<std::byte> blob = save_slot(slots, 0);
    const std::vector<float> expected = exported(slots);
    for (const index_t rollback : {0, 1, 3}) {
        StateSlots wide(tiny(), options(rollback));
        load_slot(wide, 0, blob);
        CHECK(relative_rms(exported(wide), expected) <= 2e-7);
        StateSlots same(tiny(), options(rollback, DType::i8));
        load_slot(same, 0, blob);
        CHECK(relative_rms(exported(same), expected) <= 1.0 / 127 / 15);
    }
}

TEST_CASE("a slot with an open tree can be saved", "[state_blob]") {
    Engine engine;
    StateSlots slots(tiny(), options(6));
    const std::vector<index_t> parents{-1, 0, 0, 2};
    engine.step(slots, 9, 1, Start::fresh);
    engine.step(slots, 4, 2, Start::resume, parents);
    const std::vector<std::byte> blob = save_slot(slots, 0);
    StateSlots other(tiny(), options(4));
    load_slot(other, 0, blob);
    const std::vector<index_t> path{0, 2, 3};
    slots.accept(0, path);
    other.accept(0, path);
    CHECK(slots.position(0) == 12);
    CHECK(other.position(0) == 12);
    CHECK(relative_rms(engine.step(other, 1, 3), engine.step(slots, 1, 3)) <= 2e-6);

    StateSlots small(tiny(), options(3));
    CHECK(
        message_of([&] { load_slot(small, 0, blob); }) ==
        "load_slot: blob: expected a tree of at most 3 nodes, the rollback of the slots, found 4");
}

TEST_CASE("a blob with a byte missing or changed anywhere is refused and changes nothing",
          "[state_blob]") {
    Engine engine;
    StateSlots slots(tiny(), options(4, DType::bf16));
    engine.step(slots, 9, 1, Start::fresh);
    engine.step(slots, 3, 2);
    std::vector<std::byte> blob = save_slot(slots, 0);
    engine.step(slots, 5, 3, Start::fresh, {}, 1);
    const std::vector<std::byte> before = bytes_of(slots, 1);
    int accepted = 0;
    for (std::size_t n = 0; n < blob.size(); ++n) {
        try {
            load_slot(slots, 1, std::span(blob).first(n));
            ++accepted;
        } catch (const Error&) {
        }
    }
    for (std::byte& byte : blob) {
        for (const int bit : {0, 3, 7}) {
            byte ^= static_cast<std::byte>(1 << bit);
            try {
                load_slot(slots, 1, blob);
                ++accepted;
            } catch (const Error&) {
            }
            byte ^= static_cast<std::byte>(1 << bit);
        }
    }
    CHECK(accepted == 0);
    CHECK(bytes_of(slots, 1) == before);
    load_slot(slots, 1, blob);  // and it was a good one
    CHECK(bytes_of(slots, 1) == bytes_of(slots, 0));
}

TEST_CASE("load_slot and save_slot say what is wrong", "[state_blob][errors]") {
    Engine engine;
    StateSlots slots(tiny(), options(4));
    engine.step(slots, 9, 1, Start::fresh);
    std::vector<std::byte> blob = save_slot(slots, 0, 5);
    const auto load = [&](StateSlots& to, index_t slot, std::uint64_t tag) {
        return message_of([&] { load_slot(to, slot, blob, tag); });
    };
    CHECK(load(slots, 2, 5) == "load_slot: slot: expected 0 to 1, found 2");
    CHECK(load(slots, 0, 6) == "load_slot: blob: expected tag 6, found tag 5");
    StateSlots wider(small_config(1, 2, 4, 5, 5), options(4));
    CHECK(load(wider, 0, 5) ==
          "load_slot: blob: expected [layers, H_k, H_v, d_k, d_v, W - 1] = [2, 1, 2, 4, 5, 3], "
          "grouped heads, found [layers, H_k, H_v, d_k, d_v, W - 1] = [2, 1, 2, 4, 3, 3], grouped "
          "heads");
    LayerConfig tiled = tiny();
    tiled.head_map = HeadMap::tiled;
    StateSlots other_heads(tiled, options(4));
    CHECK(load(other_heads, 0, 5).find("tiled heads, found") != std::string::npos);
    CHECK(message_of([&] { load_slot(slots, 0, std::span(blob).first(100)); }) ==
          "load_slot: blob: expected at least 128 bytes, found 100 bytes");
    CHECK(message_of([&] {
              load_slot(slots, 0, std::span(blob).first(136));
          }).find("as it says itself, found 136 bytes") != std::string::npos);
    std::vector<std::byte> text(200, std::byte{'x'});
    CHECK(
        message_of([&] { load_slot(slots, 0, text); }) ==
        "load_slot: blob: expected a saved slot, which begins with DELTANET, found something else");
    blob[8] = std::byte{9};
    CHECK(load(slots, 0, 5) == "load_slot: blob: expected version 1, found version 9");
    blob[8] = std::byte{1};
    blob.back() ^= std::byte{1};
    CHECK(
        load(slots, 0, 5) ==
        "load_slot: blob: expected a checksum that fits its bytes, found another one: the blob was "
        "altered");
    CHECK(message_of([&] { save_slot(slots, 0, std::span(blob).first(8), 0); }) ==
          detail::concat("save_slot: to: expected ", blob.size(), " bytes, found 8 bytes"));

    // Between the layers of a step the slot is not one state.
    const std::vector<float> x = Random(4).normals(5);
    static_cast<void>(run(engine.layer, one(1, Start::resume), x, slots, 0));
    CHECK(message_of([&] { static_cast<void>(save_slot(slots, 0)); }) ==
          "save_slot: slot 0: expected all layers at the same token, found layer 0 at 10 with 1 "
          "pending, layer 1 at 9 with 0 pending");
}
