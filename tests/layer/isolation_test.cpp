// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Sequences do not see each other: whatever else is in the batch, in which order, in stale memory
/// or on other threads. These are the failures that users of inference engines report most.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/linear/dense.hpp>

#include <limits>

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Isolation {
    LayerConfig config = small_config();
    RandomLayer random{config};
    DeltaNetLayer<LayerBackend<>> layer{config, random.split()};

    [[nodiscard]] std::vector<float> prompt(index_t n, std::uint32_t seed) const {
        return Random(seed).normals(n * config.hidden);
    }
    void fill(StateSlots& slots, index_t slot, float value) const {
        const View<float, 2> conv = slots.conv(0)[slot];
        const View<float, 3> recurrent = slots.recurrent(0)[slot];
        std::fill_n(conv.data(), conv.count(), value);
        std::fill_n(recurrent.data(), recurrent.count(), value);
    }
};

}  // namespace

// Field rows 8 and 9: states mixed between sequences.
TEST_CASE("n identical prompts in one batch give n identical rows") {
    Isolation f;
    const index_t length = GENERATE(1, 2, 20, 90);
    const std::vector<float> prompt = f.prompt(length, 2);
    constexpr index_t n = 5;
    Batch batch;
    std::vector<float> x;
    for (index_t i = 0; i < n; ++i) {
        batch.add({.slot = (3 * i + 2) % 7, .n_tokens = length, .start = Start::fresh});
        x.insert(x.end(), prompt.begin(), prompt.end());
    }
    StateSlots slots(f.config, {.slots = 7});
    for (index_t s = 0; s < 7; ++s) f.fill(slots, s, kNaN);
    const std::vector<float> y = run(f.layer, batch, x, slots);
    for (index_t i = 1; i < n; ++i) {
        CHECK(bit_equal(rows_of(y, f.config.hidden, i * length, length),
                        rows_of(y, f.config.hidden, 0, length)));
        CHECK(bit_equal(state_of(slots, (3 * i + 2) % 7), state_of(slots, 2)));
    }
    // and they are the rows of the prompt alone (of two or more tokens: see EigenLinear)
    if (length == 1) return;
    StateSlots alone(f.config, {.slots = 1});
    CHECK(bit_equal(run(f.layer, one(length), prompt, alone),
                    rows_of(y, f.config.hidden, 0, length)));
    CHECK(bit_equal(state_of(alone, 0), state_of(slots, 2)));
}

TEST_CASE("DenseLinear: token by token or at once, a prompt has the same bits") {
    LayerConfig config = small_config();
    config.scan = ScanMode::recurrent;
    const RandomLayer random(config);
    DeltaNetLayer<LayerBackend<>, DenseLinear<>> layer(config, random.split<DenseLinear<>>());
    const std::vector<float> prompt = Random(7).normals(20 * config.hidden);
    StateSlots at_once(config, {.slots = 1}), one_by_one(config, {.slots = 1});
    const std::vector<float> expected = run(layer, one(20), prompt, at_once);
    for (index_t t = 0; t < 20; ++t) {
        const Start start = t == 0 ? Start::fresh : Start::resume;
        CHECK(bit_equal(run(layer, one(1, start), rows_of(prompt, config.hidden, t, 1), one_by_one),
                        rows_of(expected, config.hidden, t, 1)));
    }
    CHECK(bit_equal(state_of(at_once, 0), state_of(one_by_one, 0)));
}

TEST_CASE("rows with different gates and states stay apart") {
    Isolation f;
    constexpr index_t n = 6;
    StateSlots together(f.config, {.slots = n});
    StateSlots apart(f.config, {.slots = n});
    Batch decode;
    std::vector<float> x;
    std::vector<float> expected;
    for (index_t i = 0; i < n; ++i) {  // different prompts, one slot each
        const std::vector<float> prompt = f.prompt(10 + 13 * i, 50 + static_cast<std::uint32_t>(i));
        static_cast<void>(run(f.layer, one(10 + 13 * i, Start::fresh, i), prompt, together));
        static_cast<void>(run(f.layer, one(10 + 13 * i, Start::fresh, i), prompt, apart));
        decode.add({.slot = i, .n_tokens = 2});
        const std::vector<float> next = f.prompt(2, 90 + static_cast<std::uint32_t>(i));
        x.insert(x.end(), next.begin(), next.end());
        const std::vector<float> y = run(f.layer, one(2, Start::resume, i), next, apart);
        expected.insert(expected.end(), y.begin(), y.end());
    }
    CHECK(bit_equal(run(f.layer, decode, x, together), expected));
    for (index_t i = 0; i < n; ++i) CHECK(bit_equal(state_of(together, i), state_of(apart, i)));
}

TEST_CASE("a NaN sequence leaves its neighbours bit-unchanged") {
    Isolation f;
    const index_t length = GENERATE(1, 3, 80);
    Batch batch;
    batch.add({.slot = 0, .n_tokens = length, .start = Start::fresh})
        .add({.slot = 1, .n_tokens = length, .start = Start::fresh})
        .add({.slot = 2, .n_tokens = length, .start = Start::fresh});
    std::vector<float> x = f.prompt(3 * length, 5);
    StateSlots clean(f.config, {.slots = 3});
    const std::vector<float> expected = run(f.layer, batch, x, clean);
    for (index_t i = 0; i < f.config.hidden; ++i)
        x[RandomLayer::at(length * f.config.hidden + i)] = kNaN;
    StateSlots slots(f.config, {.slots = 3});
    const std::vector<float> y = run(f.layer, batch, x, slots);
    CHECK(std::isnan(y[RandomLayer::at(length * f.config.hidden)]));
    for (const index_t i : {index_t{0}, index_t{2}}) {
        CHECK(bit_equal(rows_of(y, f.config.hidden, i * length, length),
                        rows_of(expected, f.config.hidden, i * length, length)));
        CHECK(bit_equal(state_of(slots, i), state_of(clean, i)));
    }
}

// Field row 16: what the last owner of a slot left.
TEST_CASE("a fresh start reads nothing of what the slot held") {
    Isolation f;
    const index_t length = GENERATE(0, 1, 2, 3, 70);
    const float garbage = GENERATE(kNaN, std::numeric_limits<float>::infinity(), 1e30F);
    const std::vector<float> x = f.prompt(length, 6);
    StateSlots clean(f.config, {.slots = 2});
    StateSlots stale(f.config, {.slots = 2});
    f.fill(stale, 1, garbage);
    CHECK(bit_equal(run(f.layer, one(length, Start::fresh, 1), x, stale),
                    run(f.layer, one(length, Start::fresh, 1), x, clean)));
    CHECK(bit_equal(state_of(stale, 1), state_of(clean, 1)));
}

TEST_CASE("slots outside the batch are not touched") {
    Isolation f;
    StateSlots slots(f.config, {.slots = 3, .layers = 2});
    for (index_t s = 0; s < 3; ++s) f.fill(slots, s, 7.0F);
    const std::vector<float> before = state_of(slots, 0);
    const std::vector<float> other_layer = state_of(slots, 1, 1);
    const std::vector<float> x = f.prompt(20, 7);
    static_cast<void>(run(f.layer, one(20, Start::fresh, 1), x, slots, 0));
    CHECK(bit_equal(state_of(slots, 0), before));
    CHECK(bit_equal(state_of(slots, 2), before));
    CHECK(bit_equal(state_of(slots, 1, 1), other_layer));
}

// Field row 40: what else is in the batch.
TEST_CASE("results do not depend on the order of sequences or of rows") {
    Isolation f;
    const std::vector<index_t> lengths{3, 70, 1, 16, 0, 2};
    const auto n = static_cast<index_t>(lengths.size());
    std::vector<std::vector<float>> prompts;
    for (index_t i = 0; i < n; ++i)
        prompts.push_back(
            f.prompt(lengths[RandomLayer::at(i)], 20 + static_cast<std::uint32_t>(i)));

    const auto batched = [&](const std::vector<index_t>& order) {
        Batch batch;
        std::vector<float> x;
        for (const index_t i : order) {
            batch.add({.slot = i, .n_tokens = lengths[RandomLayer::at(i)], .start = Start::fresh});
            x.insert(x.end(), prompts[RandomLayer::at(i)].begin(),
                     prompts[RandomLayer::at(i)].end());
        }
        StateSlots slots(f.config, {.slots = n});
        const std::vector<float> y = run(f.layer, batch, x, slots);
        std::vector<std::vector<float>> per_sequence(RandomLayer::at(n));
        index_t row = 0;
        for (const index_t i : order) {
            auto& mine = per_sequence[RandomLayer::at(i)];
            mine = rows_of(y, f.config.hidden, row, lengths[RandomLayer::at(i)]);
            const std::vector<float> state = state_of(slots, i);
            mine.insert(mine.end(), state.begin(), state.end());
            row += lengths[RandomLayer::at(i)];
        }
        return per_sequence;
    };
    const auto expected = batched({0, 1, 2, 3, 4, 5});
    for (const std::vector<index_t>& order :
         {std::vector<index_t>{5, 4, 3, 2, 1, 0}, std::vector<index_t>{2, 0, 5, 1, 4, 3}}) {
        const auto actual = batched(order);
        for (index_t i = 0; i < n; ++i)
            CHECK(bit_equal(actual[RandomLayer::at(i)], expected[RandomLayer::at(i)]));
    }

    // the same sequences with their rows shuffled together
    Random random(8);
    std::vector<std::int32_t> ids, positions;
    std::vector<float> x;
    std::vector<index_t> next(RandomLayer::at(n), 0);
    while (true) {
        std::vector<index_t> open;
        for (index_t i = 0; i < n; ++i) {
            if (next[RandomLayer::at(i)] < lengths[RandomLayer::at(i)]) open.push_back(i);
        }
        if (open.empty()) break;
        const index_t i =
            open[RandomLayer::at(random.integer(0, static_cast<index_t>(open.size()) - 1))];
        const std::vector<float> row =
            rows_of(prompts[RandomLayer::at(i)], f.config.hidden, next[RandomLayer::at(i)], 1);
        x.insert(x.end(), row.begin(), row.end());
        ids.push_back(static_cast<std::int32_t>(i));
        positions.push_back(static_cast<std::int32_t>(next[RandomLayer::at(i)]++));
    }
    const Batch shuffled = Batch::from_tokens(std::span<const std::int32_t>(ids),
                                              std::span<const std::int32_t>(positions));
    StateSlots slots(f.config, {.slots = n});
    for (index_t s = 0; s < n; ++s) f.fill(slots, s, kNaN);
    f.fill(slots, 4, 0.0F);  // the sequence without tokens is not in this batch
    const std::vector<float> y = run(f.layer, shuffled, x, slots);
    std::vector<std::vector<float>> actual(RandomLayer::at(n));
    for (std::size_t row = 0; row < ids.size(); ++row) {
        const std::vector<float> out = rows_of(y, f.config.hidden, static_cast<index_t>(row), 1);
        auto& mine = actual[static_cast<std::size_t>(ids[row])];
        mine.insert(mine.end(), out.begin(), out.end());
    }
    for (index_t i = 0; i < n; ++i) {
        const std::vector<float> state = state_of(slots, i);
        actual[RandomLayer::at(i)].insert(actual[RandomLayer::at(i)].end(), state.begin(),
                                          state.end());
        CHECK(bit_equal(actual[RandomLayer::at(i)], expected[RandomLayer::at(i)]));
    }
}
