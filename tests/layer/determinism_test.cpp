// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// `LayerConfig::deterministic`: the bits of a sequence's outputs and state do not depend on the
/// batch around it, the threads, or where its tokens were cut at positions that are multiples
/// of 64.
// Field row 40: a decode row that changes its kernel when a prompt arrives.
#include "cpu/fixtures.hpp"
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/state_blob.hpp>

#include <memory>

using namespace deltanet;
using namespace deltanet::test;

namespace {

struct Determinism {
    explicit Determinism(ScanCompute compute = ScanCompute::f32) : config(small_config()) {
        config.deterministic = true;
        config.scan_compute = compute;
        config.pre_norm = PreNorm::one_plus;
        config.residual = true;
        random = std::make_unique<RandomLayer>(config);
        layer = std::make_unique<DeltaNetLayer<LayerBackend<>>>(config, random->split());
    }
    [[nodiscard]] std::vector<float> tokens(index_t n, std::uint32_t seed) const {
        return Random(seed).normals(n * config.hidden);
    }
    [[nodiscard]] std::vector<float> rows(const std::vector<float>& x, index_t first,
                                          index_t n) const {
        return rows_of(x, config.hidden, first, n);
    }
    LayerConfig config;
    std::unique_ptr<RandomLayer> random;
    std::unique_ptr<DeltaNetLayer<LayerBackend<>>> layer;
};

/// Everything that a slot holds, as bytes.
std::vector<std::byte> bytes_of(const StateSlots& slots, index_t slot) {
    return save_slot(slots, slot);
}

/// The prompt in calls that end at `cuts`, alone or with other sequences that come and go.
template <class Layer>
std::vector<float> prefill(const Determinism& f, Layer& layer, const std::vector<float>& x,
                           const std::vector<index_t>& cuts, bool company, StateSlots& slots) {
    std::vector<float> y;
    index_t first = 0;
    std::uint32_t round = 0;
    for (const index_t end : cuts) {
        const index_t n = end - first;
        Batch batch;
        std::vector<float> all;
        const auto other = [&](index_t slot, index_t length, Start start) {
            batch.add({.slot = slot, .n_tokens = length, .start = start});
            const std::vector<float> tokens =
                f.tokens(length, 1000 + 10 * round + static_cast<std::uint32_t>(slot));
            all.insert(all.end(), tokens.begin(), tokens.end());
        };
        index_t before = 0;
        if (company) {
            before = round % 2 == 0 ? 1 : 70;
            other(1, before, Start::fresh);
        }
        batch.add({.slot = 0, .n_tokens = n, .start = first == 0 ? Start::fresh : Start::resume});
        const std::vector<float> mine = f.rows(x, first, n);
        all.insert(all.end(), mine.begin(), mine.end());
        if (company) other(2, round % 3 == 0 ? 200 : 3, round == 0 ? Start::fresh : Start::resume);
        const std::vector<float> out = f.rows(run(layer, batch, all, slots), before, n);
        y.insert(y.end(), out.begin(), out.end());
        first = end;
        ++round;
    }
    return y;
}

}  // namespace

TEST_CASE("deterministic: any cut at multiples of 64, alone and in company") {
    const DType state = GENERATE(DType::f32, DType::bf16, DType::f16, DType::i8);
    const index_t rollback = GENERATE(0, 8);
    const auto compute = GENERATE(ScanCompute::f32, ScanCompute::bf16_emulated);
    CAPTURE(name_of(state), rollback, name_of(compute));
    const Determinism f(compute);
    const auto fresh_slots = [&] {
        return StateSlots(f.config, {.slots = 3, .state = state, .rollback = rollback});
    };
    for (const index_t n : {65, 70, 191, 193, 200, 256}) {
        CAPTURE(n);
        const std::vector<float> x = f.tokens(n, static_cast<std::uint32_t>(n));
        StateSlots whole = fresh_slots();
        const std::vector<float> expected = prefill(f, *f.layer, x, {n}, false, whole);
        for (const std::vector<index_t>& inner :
             {std::vector<index_t>{}, {64}, {128}, {64, 128}, {64, 192}, {192}}) {
            std::vector<index_t> cuts;
            for (const index_t cut : inner) {
                if (cut < n) cuts.push_back(cut);
            }
            cuts.push_back(n);
            for (const bool company : {false, true}) {
                CAPTURE(cuts, company);
                StateSlots slots = fresh_slots();
                CHECK(bit_equal(prefill(f, *f.layer, x, cuts, company, slots), expected));
                CHECK(slots.position(0) == n);
                CHECK(bytes_of(slots, 0) == bytes_of(whole, 0));
            }
        }
    }
}

TEST_CASE("deterministic: decoding and verifying from any position, alone and in company") {
    const DType state = GENERATE(DType::f32, DType::bf16, DType::i8);
    const index_t rollback = GENERATE(0, 4);
    CAPTURE(name_of(state), rollback);
    const Determinism f;
    const std::vector<index_t> cuts{37, 38, 39, 40, 60, 61, 130, 131, 134, 138, 139};
    const std::vector<float> x = f.tokens(cuts.back(), 5);
    StateSlots alone(f.config, {.slots = 3, .state = state, .rollback = rollback});
    StateSlots crowd(f.config, {.slots = 3, .state = state, .rollback = rollback});
    CHECK(bit_equal(prefill(f, *f.layer, x, cuts, false, alone),
                    prefill(f, *f.layer, x, cuts, true, crowd)));
    CHECK(bytes_of(alone, 0) == bytes_of(crowd, 0));
    CHECK(alone.position(0) == cuts.back());

    // a prompt that goes on from a position off the grid
    StateSlots whole(f.config, {.slots = 3, .state = state, .rollback = rollback});
    const std::vector<float> expected = prefill(f, *f.layer, x, {37, 139}, false, whole);
    for (const std::vector<index_t>& cut :
         {std::vector<index_t>{37, 64, 139}, {37, 128, 139}, {37, 64, 128, 139}}) {
        StateSlots parts(f.config, {.slots = 3, .state = state, .rollback = rollback});
        CHECK(bit_equal(prefill(f, *f.layer, x, cut, true, parts), expected));
        CHECK(bytes_of(parts, 0) == bytes_of(whole, 0));
    }
}

TEST_CASE("deterministic: any number of workers, in any order") {
    const Determinism f;
    const std::vector<float> x = f.tokens(200, 6);
    StateSlots slots(f.config, {.slots = 3});
    const std::vector<float> expected = prefill(f, *f.layer, x, {200}, false, slots);
    for (const index_t workers : {1, 2, 5, 64}) {
        DeltaNetLayer<LayerBackend<BackwardExecutor>> layer(
            f.config, f.random->split(), LayerBackend<BackwardExecutor>(BackwardExecutor{workers}));
        StateSlots other(f.config, {.slots = 3});
        CHECK(bit_equal(prefill(f, layer, x, {64, 200}, true, other), expected));
        CHECK(bytes_of(other, 0) == bytes_of(slots, 0));
    }
}

TEST_CASE(
    "deterministic: one selected output, a snapshot on the grid, and what is close to it all") {
    Determinism f;
    const std::vector<float> x = f.tokens(150, 7);
    StateSlots slots(f.config, {.slots = 3});
    const std::vector<float> expected = prefill(f, *f.layer, x, {150}, false, slots);

    Batch batch = one(150);
    const index_t last[] = {149};
    batch.select_outputs(last);
    StateSlots selected(f.config, {.slots = 3});
    CHECK(bit_equal(run(*f.layer, batch, x, selected), f.rows(expected, 149, 1)));

    const Snapshot snapshot[] = {{64, 1}, {128, 2}};
    Batch with_snapshots;
    with_snapshots.add({.slot = 0, .n_tokens = 150, .start = Start::fresh, .snapshots = snapshot});
    StateSlots snapped(f.config, {.slots = 3});
    CHECK(bit_equal(run(*f.layer, with_snapshots, x, snapped), expected));
    for (const Snapshot& s : snapshot) {
        StateSlots there(f.config, {.slots = 1});
        static_cast<void>(
            prefill(f, *f.layer, f.rows(x, 0, s.n_tokens), {s.n_tokens}, false, there));
        CHECK(bytes_of(snapped, s.slot) == bytes_of(there, 0));
    }

    LayerConfig plain = f.config;
    plain.deterministic = false;
    DeltaNetLayer<LayerBackend<>> layer(plain, f.random->split());
    StateSlots other(plain, {.slots = 3});
    // the same formulas in another order: some tens of float32 roundings of 6e-8
    CHECK(relative_rms(prefill(f, layer, x, {150}, false, other), expected) < 3e-6);
}
