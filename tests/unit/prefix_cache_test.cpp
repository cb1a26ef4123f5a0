// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// Field row 28: whole prompts read again.
/// The prefix cache: the longest saved beginning, never another text's, under its budget.
/// (Elsewhere every turn of a conversation was read again from its beginning, and the number of
/// saved states was limited, not their bytes.)
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/prefix_cache.hpp>

#include <numeric>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Tokens = std::vector<PrefixCache::Token>;

LayerConfig tiny() { return small_config(1, 2, 4, 3, 5); }

/// Slots whose state is a function of the tokens that they have read.
struct Engine {
    RandomLayer weights{tiny(), 3};
    DeltaNetLayer<LayerBackend<>, ReferenceLinear> layer{tiny(), weights.split<ReferenceLinear>()};
    StateSlots slots{tiny(), {.slots = 2}};

    std::vector<float> read(const Tokens& tokens, std::size_t first, index_t slot = 0) {
        std::vector<float> x;
        for (std::size_t i = first; i < tokens.size(); ++i) {
            const std::vector<float> row =
                Random(static_cast<std::uint32_t>(tokens[i] + 1)).normals(5);
            x.insert(x.end(), row.begin(), row.end());
        }
        return run(layer,
                   one(static_cast<index_t>(tokens.size() - first),
                       first == 0 ? Start::fresh : Start::resume, slot),
                   x, slots);
    }
};

Tokens counting(std::size_t n) {
    Tokens tokens(n);
    std::iota(tokens.begin(), tokens.end(), 0);
    return tokens;
}

}  // namespace

TEST_CASE("the longest saved beginning is found, and goes on as if it had been read",
          "[prefix_cache]") {
    Engine engine;
    PrefixCache cache(1 << 20);
    const Tokens all = counting(40);
    for (const std::size_t n : {8U, 20U, 30U}) {
        const Tokens some(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n));
        engine.read(some, 0);
        CHECK(cache.insert(some, engine.slots, 0));
    }
    CHECK(cache.size() == 3);
    const std::vector<float> y = engine.read(all, 0);
    CHECK(cache.restore(all, engine.slots, 1) == 30);
    CHECK(engine.slots.position(1) == 30);
    const std::vector<float> rest = engine.read(all, 30, 1);
    CHECK(relative_rms(rest, rows_of(y, 5, 30, 10)) <= 1e-5);

    Tokens other = all;
    other[25] = 999;  // parts from the others behind 20 tokens and before 30
    CHECK(cache.restore(other, engine.slots, 1) == 20);
    other[3] = 999;
    CHECK(cache.restore(other, engine.slots, 1) == 0);
    CHECK(engine.slots.position(1) == 20);
    const Tokens exact(all.begin(), all.begin() + 30);  // one token has to be left
    CHECK(cache.restore(exact, engine.slots, 1) == 20);
    CHECK(cache.restore({}, engine.slots, 1) == 0);
}

// Field row 29: a budget of bytes.
TEST_CASE("what was not used for longest makes room", "[prefix_cache]") {
    Engine engine;
    const auto text = [](int first) {
        Tokens tokens = counting(10);
        tokens[0] = first;
        return tokens;
    };
    engine.read(text(100), 0);
    const index_t one_entry = saved_slot_bytes(engine.slots, 0) + 40;
    PrefixCache cache(2 * one_entry + one_entry / 2);
    const auto longer = [&](int first) {
        Tokens tokens = text(first);
        tokens.push_back(7);
        return tokens;
    };
    for (const int first : {100, 101}) {
        engine.read(text(first), 0);
        CHECK(cache.insert(text(first), engine.slots, 0));
    }
    CHECK(cache.restore(longer(100), engine.slots, 1) == 10);  // now 101 is the older one
    engine.read(text(102), 0);
    CHECK(cache.insert(text(102), engine.slots, 0));
    CHECK(cache.size() == 2);
    CHECK(cache.bytes() == 2 * one_entry);
    CHECK(cache.restore(longer(101), engine.slots, 1) == 0);
    CHECK(cache.restore(longer(100), engine.slots, 1) == 10);
    CHECK(cache.restore(longer(102), engine.slots, 1) == 10);
    CHECK(cache.insert(text(102), engine.slots, 0));  // again: replaced, not twice
    CHECK(cache.bytes() == 2 * one_entry);
    cache.clear();
    CHECK(cache.bytes() == 0);
    CHECK(cache.restore(longer(102), engine.slots, 1) == 0);

    PrefixCache small(one_entry - 1);
    CHECK_FALSE(small.insert(text(102), engine.slots, 0));
    CHECK(small.size() == 0);
}

TEST_CASE("the prefix cache says what is wrong", "[prefix_cache][errors]") {
    Engine engine;
    PrefixCache cache(1 << 20);
    engine.read(counting(9), 0);
    CHECK(message_of([&] { cache.insert(counting(8), engine.slots, 0); }) ==
          "PrefixCache::insert: tokens: expected 9 tokens, as many as slot 0 has read, found 8");
    CHECK(message_of([] { PrefixCache(-1); }) ==
          "PrefixCache: byte_budget: expected at least 0, found -1");
    CHECK(message_of([] { static_cast<void>(PrefixCache::snapshot_offsets(0, 10, 100)); }) ==
          "PrefixCache::snapshot_offsets: spacing: expected a multiple of 64, found 100");
}

TEST_CASE("snapshots are placed at multiples of the spacing and near the end", "[prefix_cache]") {
    using Offsets = std::vector<index_t>;
    CHECK(PrefixCache::snapshot_offsets(0, 2000) == Offsets{512, 1024, 1536, 1984});
    CHECK(PrefixCache::snapshot_offsets(0, 1024) == Offsets{512, 960});
    CHECK(PrefixCache::snapshot_offsets(2000, 100) == Offsets{48});
    CHECK(PrefixCache::snapshot_offsets(1000, 300, 128) == Offsets{24, 152, 280});
    CHECK(PrefixCache::snapshot_offsets(10, 20).empty());
    CHECK(PrefixCache::snapshot_offsets(0, 0).empty());
}
