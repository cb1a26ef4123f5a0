// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// `DeltaNetLayer<CudaBackend>` end to end against the oracle: the same layer, batches and slot
/// operations.
#include "cuda/layer_pair.hpp"

using namespace deltanet;
using namespace deltanet::test;

TEST_CASE("cuda layer: prefill, decode, verify, rollback, tree, snapshot, fork, flush") {
    const DType state = GENERATE(DType::f32, DType::bf16, DType::f16, DType::i8);
    const double bound = kFloatBound + storage_bound(state);
    static_cast<void>(for_each_schedule([&] {
        LayerPair p(pair_config(16), {.slots = 5, .state = state, .rollback = 4});
        const Snapshot snapshots[] = {{20, 3}};
        p.step({{.slot = 1, .n_tokens = 33, .start = Start::fresh, .snapshots = snapshots},
                {.slot = 0, .n_tokens = 2, .start = Start::fresh}},
               bound);
        p.compare_slots(bound);
        p.step({{.slot = 0}, {.slot = -1, .n_tokens = 2}, {.slot = 1}}, bound);
        p.step({{.slot = 1, .n_tokens = 3}}, bound);
        p.compare_slots(bound);
        p.both([](StateSlots& slots) { slots.rollback(1, 2); });
        const std::vector<index_t> parents{-1, 0, 0, 2}, path{0, 2, 3};
        p.step({{.slot = 1, .n_tokens = 4, .parents = parents}, {.slot = 3}}, bound);
        p.both([&](StateSlots& slots) { slots.accept(1, path); });
        p.compare_slots(bound);
        p.both([](StateSlots& slots) {
            slots.fork(1, std::vector<index_t>{2, 4});
            slots.flush(2);
            slots.swap(2, 3);
            slots.reset(0);
        });
        p.compare_slots(bound);
        p.step({{.slot = 4}, {.slot = 3}, {.slot = 0, .n_tokens = 3}}, bound);
        p.step({{.slot = 4, .n_tokens = 9}, {.slot = 2, .n_tokens = 1}}, bound);
        p.compare_slots(bound);
        return p.kept();
    }));
}

TEST_CASE("cuda layer: chunks on tensor cores in a mixed batch, then decode") {
    const DType state = GENERATE(DType::f32, DType::bf16, DType::i8);
    const index_t rollback = state == DType::bf16 ? 0 : 2;
    const double bound = kChunkBound + storage_bound(state);
    static_cast<void>(for_each_schedule([&] {
        LayerPair p(pair_config(64), {.slots = 3, .state = state, .rollback = rollback});
        p.step({{.slot = 0, .n_tokens = 100, .start = Start::fresh},
                {.slot = 2, .n_tokens = 2, .start = Start::fresh}},
               bound);
        p.step({{.slot = 2}, {.slot = 0}}, bound);
        p.step({{.slot = 0, .n_tokens = 70}, {.slot = 1, .n_tokens = 1}, {.slot = 2}}, bound);
        p.compare_slots(bound);
        return p.kept();
    }));
}

TEST_CASE("cuda layer: tiled heads, no residual, no gate, a wide convolution") {
    LayerConfig config = pair_config(12);
    config.head_map = HeadMap::tiled;
    config.gate = OutputGate::none;
    config.pre_norm = PreNorm::none;
    config.residual = false;
    config.conv_width = 7;
    config.d_v = 20;
    static_cast<void>(for_each_schedule([&] {
        LayerPair p(config, {.slots = 2, .rollback = 3});
        p.step({{.slot = 0, .n_tokens = 5, .start = Start::fresh}}, kFloatBound);
        p.step({{.slot = 0, .n_tokens = 2}, {.slot = 1, .n_tokens = 3}}, kFloatBound);
        p.both([](StateSlots& slots) { slots.flush(0); });  // moves 6 rows by 2
        p.step({{.slot = 0, .n_tokens = 2}, {.slot = 1, .n_tokens = 3}}, kFloatBound);
        p.compare_slots(kFloatBound);
        return p.kept();
    }));
}

TEST_CASE("cuda layer: rows in any order, padding among them, selected outputs") {
    std::vector<int> ids;
    for (int i = 0; i < 60; ++i) ids.push_back(i % 7 == 0 ? -1 : i % 3);
    static_cast<void>(for_each_schedule([&] {
        LayerPair p(pair_config(16), {.slots = 3});
        Batch batch = Batch::from_tokens(ids);
        p.step(batch, kFloatBound);
        const std::vector<index_t> rows{59, 0, 14, 3};
        batch.select_outputs(rows);
        p.step(batch, kFloatBound);
        p.compare_slots(kFloatBound);
        return p.kept();
    }));
}

TEST_CASE("cuda layer: more sequences than a launch takes") {
    static_cast<void>(for_each_schedule([&] {
        LayerPair p(pair_config(8), {.slots = 70, .rollback = 1});
        Batch batch;
        for (index_t slot = 0; slot < 70; ++slot)
            batch.add({.slot = slot, .n_tokens = 1 + slot % 2, .start = Start::fresh});
        p.step(batch, kFloatBound);
        batch.clear();
        for (index_t slot = 70; slot-- > 0;) batch.add({.slot = slot});
        p.step(batch, kFloatBound);
        p.compare_slots(kFloatBound);
        return p.kept();
    }));
}

TEST_CASE("cuda layer: a deterministic layer has the same bits however a prompt is cut") {
    LayerConfig config = pair_config(GENERATE(16, 64));
    config.deterministic = true;
    const double bound = config.d_k == 64 ? kChunkBound : kFloatBound;
    static_cast<void>(for_each_schedule([&] {
        LayerPair p(config, {.slots = 2});
        const std::vector<float> rows = rows_of(p.x, config.hidden, 0, 67);
        const std::vector<float> whole = run(p.layer, one(67), rows, p.slots);
        std::vector<float> cut =
            run(p.layer, one(64, Start::fresh, 1), rows_of(rows, config.hidden, 0, 64), p.slots);
        const std::vector<float> rest =
            run(p.layer, one(3, Start::resume, 1), rows_of(rows, config.hidden, 64, 3), p.slots);
        cut.insert(cut.end(), rest.begin(), rest.end());
        REQUIRE(bit_equal(cut, whole));
        REQUIRE(bit_equal(p.logical(p.slots, 0), p.logical(p.slots, 1)));
        REQUIRE(relative_rms(whole, run(p.oracle, one(67), rows, p.expected)) <= bound);
        // One row alone goes through the operators twice.
        p.step({{.slot = 0, .n_tokens = 1, .start = Start::fresh}}, kFloatBound);
        return p.kept();
    }));
}

TEST_CASE("cuda layer: what it cannot do is an Error") {
    LayerPair p(pair_config(16), {.slots = 1});
    CHECK(message_of([&] {
              static_cast<void>(
                  run(p.layer, one(2), rows_of(p.x, p.config.hidden, 0, 2), p.expected));
          }) ==
          "DeltaNetLayer::forward: slots: expected memory of the layer's backend, CUDA device 0, "
          "found host");
    CHECK(message_of([&] { p.memory.copy(p.x.data(), p.x.data(), 8); }) ==
          "CudaMemory::copy: cudaMemcpyAsync: invalid argument");
}
