// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Snapshots on the way of a prompt: what lands in the other slot is what reading only so many
/// tokens gives, the sequence itself has the same bits as without, and the slot knows how many
/// tokens it stands for. (Elsewhere a snapshot's tokens and its state belonged to different
/// lengths, or every chunk was copied to have one.)
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Layer = DeltaNetLayer<LayerBackend<>, ReferenceLinear>;

struct Fixture {
    LayerConfig config = small_config();
    RandomLayer weights{config, 11};
    Layer layer{config, weights.split<ReferenceLinear>()};
    std::vector<float> x = Random(12).normals(300 * config.hidden);

    [[nodiscard]] std::vector<float> first(index_t n) const {
        return rows_of(x, config.hidden, 0, n);
    }
};

}  // namespace

// Field rows 14 and 28: states at chosen tokens.
TEST_CASE("snapshots at multiples of 64 cost no bit and are a run that ends there") {
    Fixture f;
    const index_t rollback = GENERATE(0, 8);
    const StateSlotsOptions options{.slots = 5, .rollback = rollback};
    StateSlots with(f.config, options), without(f.config, options);
    const Snapshot snapshots[] = {{64, 1}, {64, 2}, {192, 3}, {300, 4}};
    Batch batch;
    batch.add({.slot = 0, .n_tokens = 300, .start = Start::fresh, .snapshots = snapshots});
    const std::vector<float> y = run(f.layer, batch, f.x, with);
    CHECK(bit_equal(y, run(f.layer, one(300), f.x, without)));
    CHECK(save_slot(with, 0) == save_slot(without, 0));
    for (const Snapshot& s : snapshots) {
        static_cast<void>(run(f.layer, one(s.n_tokens), f.first(s.n_tokens), without));
        CHECK(with.position(s.slot) == s.n_tokens);
        CHECK(save_slot(with, s.slot) == save_slot(without, 0));
    }
}

TEST_CASE("snapshots anywhere, of several sequences, and among tokens that stay pending") {
    Fixture f;
    const StateSlotsOptions options{.slots = 8, .rollback = 8};
    StateSlots slots(f.config, options), alone(f.config, options);
    const Snapshot long_one[] = {{1, 3}, {70, 4}};
    const Snapshot short_one[] = {{2, 5}, {5, 6}};
    Batch batch;
    batch.add({.slot = 0, .n_tokens = 100, .start = Start::fresh, .snapshots = long_one})
        .add({.slot = 1, .n_tokens = 1})
        .add({.slot = 2, .n_tokens = 6, .start = Start::fresh, .snapshots = short_one});
    const std::vector<float> y = run(f.layer, batch, f.first(107), slots);
    const auto check = [&](index_t slot, index_t first, index_t n, index_t pending) {
        static_cast<void>(run(f.layer, one(n), rows_of(f.x, f.config.hidden, first, n), alone));
        CHECK(slots.position(slot) == n);
        CHECK(slots.pending(slot) == pending);
        std::vector<float> a(static_cast<std::size_t>(4 * 16 * 24)), b(a.size());
        export_recurrent(slots, slot, 0, {a.data(), {4, 16, 24}}, StateOrder::k_first);
        export_recurrent(alone, 0, 0, {b.data(), {4, 16, 24}}, StateOrder::k_first);
        CHECK(relative_rms(a, b) <= 1e-5);
        // The convolution's inputs and what is pending are the same numbers: one more token shows.
        const std::vector<float> next = rows_of(f.x, f.config.hidden, 200, 1);
        CHECK(relative_rms(run(f.layer, one(1, Start::resume, slot), next, slots),
                           run(f.layer, one(1, Start::resume), next, alone)) <= 1e-5);
    };
    check(0, 0, 100, 0);
    check(3, 0, 1, 1);
    check(4, 0, 70, 0);
    check(2, 101, 6, 6);
    check(5, 101, 2, 2);
    check(6, 101, 5, 5);
}

TEST_CASE("snapshots in slots of another arena, over a buffer of the caller's") {
    Fixture f;
    const DType state = GENERATE(DType::f32, DType::bf16, DType::i8);
    const StateSlotsOptions options{.slots = 2, .layers = 2, .state = state, .rollback = 4};
    StateSlots inside(f.config, options), outside(f.config, options);
    const StateSlotsOptions one_slot{.slots = 1, .layers = 2, .state = state, .rollback = 4};
    std::vector<float> buffer(
        static_cast<std::size_t>(StateSlots::floats_needed(f.config, one_slot)), -3.0F);
    StateSlots kept(f.config, one_slot, buffer);
    const Snapshot to_slot[] = {{70, 1}};
    const Snapshot to_buffer[] = {{70, 0, &kept}};  // slot 0 there, while 0 here is the sequence's
    const auto step = [&](StateSlots& slots, std::span<const Snapshot> snapshots, index_t n,
                          Start start) {
        Batch batch;
        batch.add({.slot = 0, .n_tokens = n, .start = start, .snapshots = snapshots});
        std::vector<float> y;
        for (index_t l = 0; l < 2; ++l) y = run(f.layer, batch, f.first(n), slots, l);
        return y;
    };
    CHECK(bit_equal(step(outside, to_buffer, 100, Start::fresh),
                    step(inside, to_slot, 100, Start::fresh)));
    CHECK(kept.position(0) == 70);
    CHECK(save_slot(kept, 0) == save_slot(inside, 1));
    CHECK(save_slot(outside, 0) == save_slot(inside, 0));
    // among tokens that stay pending
    const Snapshot slot_on[] = {{2, 1}};
    const Snapshot buffer_on[] = {{2, 0, &kept}};
    CHECK(bit_equal(step(outside, buffer_on, 3, Start::resume),
                    step(inside, slot_on, 3, Start::resume)));
    CHECK(kept.pending(0) == 2);
    CHECK(save_slot(kept, 0) == save_slot(inside, 1));
    load_slot(outside, 1, save_slot(kept, 0));
    CHECK(save_slot(outside, 1) == save_slot(inside, 1));
}

TEST_CASE("snapshots in arenas that differ, or twice in one place, are refused") {
    Fixture f;
    StateSlots slots(f.config, {.slots = 2, .rollback = 4});
    StateSlots wide(f.config, {.slots = 1, .rollback = 8}), other(f.config, {.rollback = 4});
    const auto refused = [&](std::span<const Snapshot> snapshots) {
        Batch batch;
        batch.add({.slot = 0, .n_tokens = 9, .start = Start::fresh, .snapshots = snapshots});
        return message_of([&] { static_cast<void>(run(f.layer, batch, f.first(9), slots)); });
    };
    const Snapshot to_wide[] = {{5, 0, &wide}};
    CHECK(refused(to_wide) ==
          "DeltaNetLayer::forward: sequences[0].snapshots[0].arena: expected slots like those of "
          "the step: 1 layers, f32 state, rollback 4, the same shapes, found 1 layers, f32 state, "
          "rollback 8");
    const Snapshot twice[] = {{5, 0, &other}, {6, 0, &other}};
    CHECK(refused(twice) ==
          "DeltaNetLayer::forward: sequences[0].snapshots[0].slot: expected a slot that nothing "
          "else in the batch uses, found slot 0");
    const Snapshot beyond[] = {{5, 1, &other}};
    CHECK(refused(beyond) ==
          "DeltaNetLayer::forward: sequences[0].snapshots[0].slot: expected 0 to 0, found 1");
    CHECK(slots.position(0) == 0);
}

TEST_CASE("snapshots that cannot be are refused before anything is written") {
    Fixture f;
    Batch batch;
    const Snapshot late[] = {{11, 1}}, early[] = {{0, 1}}, falling[] = {{5, 1}, {4, 2}};
    const auto add = [&](std::span<const Snapshot> snapshots) {
        return message_of([&] { batch.add({.n_tokens = 10, .snapshots = snapshots}); });
    };
    CHECK(add(late) == "Batch::add: snapshots[0].n_tokens: expected 1 to 10, ascending, found 11");
    CHECK(add(early) == "Batch::add: snapshots[0].n_tokens: expected 1 to 10, ascending, found 0");
    CHECK(add(falling) ==
          "Batch::add: snapshots[1].n_tokens: expected 5 to 10, ascending, found 4");
    const std::vector<index_t> parents{-1, 0};
    const Snapshot two[] = {{2, 1}};
    CHECK(
        message_of([&] { batch.add({.n_tokens = 2, .parents = parents, .snapshots = two}); }) ==
        "Batch::add: snapshots: expected a sequence that is a chain and no padding, found a tree");

    StateSlots slots(f.config, {.slots = 3});
    const auto forward = [&](std::span<const Snapshot> snapshots) {
        Batch b;
        b.add({.slot = 0, .n_tokens = 10, .snapshots = snapshots}).add({.slot = 1});
        return message_of([&] { static_cast<void>(run(f.layer, b, f.first(11), slots)); });
    };
    const Snapshot outside[] = {{3, 3}}, own[] = {{3, 0}}, used[] = {{3, 1}},
                   twice[] = {{3, 2}, {4, 2}};
    const std::string where = "DeltaNetLayer::forward: sequences[0].snapshots[0].slot: expected ";
    CHECK(forward(outside) == where + "0 to 2, found 3");
    CHECK(forward(own) == where + "a slot that nothing else in the batch uses, found slot 0");
    CHECK(forward(used) == where + "a slot that nothing else in the batch uses, found slot 1");
    CHECK(forward(twice) == where + "a slot that nothing else in the batch uses, found slot 2");
    CHECK(slots.position(0) == 0);
}
