// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Ranks that are threads, for the thread sanitizer: what they exchange and share. The numbers are
/// looked at in layer/parallel_test.cpp.
#include "parallel/thread_ranks.hpp"
#include "support/catch_compat.hpp"

using namespace deltanet;
using namespace deltanet::test;

TEST_CASE("ranks that are threads add and gather") {
    const auto sums = on_ranks(3, [](LocalRank& me) {
        std::vector<float> values{1.0F, static_cast<float>(me.rank())};
        for (int again = 0; again < 10; ++again) me.all_reduce(std::span(values));
        std::vector<bf16> halves{to_bf16(0.5F)};
        me.all_reduce(std::span(halves));
        values.push_back(to_float(halves[0]));
        return values;
    });
    const float many = 59049.0F;  // 3^10, as 0 + 1 + 2 is 3 too
    for (const std::vector<float>& values : sums)
        CHECK(values == std::vector<float>{many, many, 1.5F});
}

TEST_CASE("ranks of different sizes hear of it") {
    const auto messages = on_ranks(2, [](LocalRank& me) {
        const std::vector<std::byte> mine(me.rank() == 0 ? 4 : 5);
        std::vector<std::byte> all(2 * mine.size());
        return message_of([&] { me.all_gather(mine, all); });
    });
    CHECK(messages[0] ==
          "LocalRank::all_gather: mine: expected the same size on every rank, 4 bytes, found 5");
    CHECK(messages[1] ==
          "LocalRank::all_gather: mine: expected the same size on every rank, 5 bytes, found 4");
}

TEST_CASE("a layer over threads") {
    const RandomLayer random = long_memory(small_config(2, 4, 8, 8, 12));
    CHECK(worst(on_ranks(2, [&](LocalRank& me) {
              return tensor_parallel_difference<ReferenceBackend>(me, random.config,
                                                                  random.split());
          })) < kRounding);
    CHECK(worst(on_ranks(3, [&](LocalRank& me) {
              return sequence_parallel_difference<ReferenceBackend>(
                  me, random.config, random.split(), {.before = 4, .pieces = {20, 10, 30}});
          })) < kRounding);
}

TEST_CASE("threads that share the slots of a prompt") {
    const RandomLayer random = long_memory(small_config(1, 2, 8, 8, 12));
    const LayerConfig& c = random.config;
    const index_t n = 130;
    const auto x = Random(4).normals(2 * n * c.hidden);
    WholeLayer<ReferenceBackend> whole(c, random.split());
    StateSlots expected_slots(c, {.slots = 1}), slots(c, {.slots = 1});
    std::vector<float> expected, y(x.size());
    const Start starts[] = {Start::fresh, Start::resume};  // into the same slot
    for (const index_t i : {0, 1}) {
        const auto part =
            run(whole, one(n, starts[i]), rows_of(x, c.hidden, i * n, n), expected_slots);
        expected.insert(expected.end(), part.begin(), part.end());
    }
    static_cast<void>(on_ranks(3, [&](LocalRank& me) {
        WholeLayer<ReferenceBackend> layer(c, random.split());
        SequenceParallel ranks(layer, me, {.shared_slots = true});
        const SequencePiece piece = sequence_piece(n, me.rank(), me.world());
        for (const index_t i : {0, 1}) {
            const index_t at = (i * n + piece.first_token) * c.hidden;
            const Shape<2> shape{piece.n_tokens, c.hidden};
            ranks.forward(one(piece.n_tokens, starts[i]),
                          View<const float, 2>(x.data() + at, shape),
                          View<float, 2>(y.data() + at, shape), slots);
        }
        return 0;
    }));
    CHECK(relative_rms(y, expected) < kRounding);
    CHECK(relative_rms(state_of(slots, 0), state_of(expected_slots, 0)) < kRounding);
    CHECK(slots.position(0) == 2 * n);
}
