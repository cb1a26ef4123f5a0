// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Several ranks, here threads, against one: heads shared out, tokens shared out, and mistakes of
/// one rank, which all of them must hear of.
#include "parallel/thread_ranks.hpp"
#include "support/catch_compat.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

LayerConfig heads(index_t n_heads_k, index_t r) {
    return small_config(n_heads_k, n_heads_k * r, 16, 24, 20);
}

}  // namespace

TEST_CASE("tensor parallel: ranks together are the layer") {
    const index_t r = GENERATE(1, 2, 3, 4);
    const RandomLayer random = long_memory(heads(4, r));
    CAPTURE(r);
    for (const index_t world : {1, 2, 3, 4}) {
        CAPTURE(world);
        CHECK(worst(on_ranks(world, [&](LocalRank& me) {
                  return tensor_parallel_difference(me, random.config, random.packed());
              })) < kRounding);
    }
}

TEST_CASE("tensor parallel in bfloat16: for many rows, and not for the residual") {
    RandomLayer random = long_memory(heads(4, 2));
    const auto difference = [&](const TensorParallelOptions& options) {
        return worst(on_ranks(3, [&](LocalRank& me) {
            return tensor_parallel_difference(me, random.config, random.split(), options);
        }));
    };
    // A partial output is rounded by at most 2^-9 of itself, and so is the sum.
    CHECK(difference({.bf16_above_rows = 3}) < 0x1p-8);
    CHECK(difference({.bf16_above_rows = 3}) > 1e-4);
    CHECK(difference({.bf16_above_rows = 62}) < kRounding);
    // A residual a thousand times the layer's output, of which bfloat16 would leave 2^-9.
    for (float& w : random.out.values) w *= 1e-3F;
    CHECK(difference({.bf16_above_rows = 0}) < 1e-3 * 0x1p-8);
}

TEST_CASE("sequence parallel: the pieces of a prompt are the prompt") {
    const index_t r = GENERATE(1, 2, 3, 4);
    const bool tiled = GENERATE(false, true);
    const RandomLayer grouped = long_memory(heads(2, r));
    const RandomLayer random = tiled ? grouped.tiled() : grouped;
    CAPTURE(r, tiled);
    // Even pieces, a fresh start, pieces shorter than the convolution's reach, and empty ones.
    for (const Prompt& prompt :
         {Prompt{.before = 30, .pieces = {64, 100, 77}},
          Prompt{.before = 3, .pieces = {90, 20}, .start = Start::fresh},
          Prompt{.before = 5, .pieces = {1, 1, 2, 1, 40}},
          Prompt{.before = 5, .pieces = {0, 2, 0, 30, 0}}, Prompt{.before = 1, .pieces = {0, 0}},
          Prompt{.before = 0, .pieces = {50}}}) {
        CAPTURE(prompt.before, prompt.pieces);
        CHECK(worst(on_ranks(static_cast<index_t>(prompt.pieces.size()), [&](LocalRank& me) {
                  return sequence_parallel_difference(me, random.config, random.split(), prompt);
              })) < kRounding);
    }
}

TEST_CASE("sequence parallel: pieces in which all heads forget what was before") {
    RandomLayer random = long_memory(heads(2, 2));
    for (float& rate : random.A_log) rate = 1.5F;  // e^-60 after some 20 tokens
    CHECK(worst(on_ranks(3, [&](LocalRank& me) {
              return sequence_parallel_difference(me, random.config, random.split(),
                                                  {.before = 9, .pieces = {20, 150, 40}});
          })) < kRounding);
}

TEST_CASE("a state before a piece counts as gone behind a decay of e^-60") {
    const LayerConfig c = heads(1, 2);
    Workspace workspace;
    detail::Carver carver(workspace.acquire(1 << 20));
    const detail::SequenceBuffers b(c, 5, 2, 1, 64, carver);
    std::vector<float> decays{-1, -20, -1, -20, -1, -20, -1, -20, -1, -20};
    const View<const float, 2> decay_log(decays.data(), {5, 2});
    CHECK(detail::find_reach(b, decay_log) == 5);  // head 0 remembers
    CHECK(b.reach[0] == 5);
    CHECK(b.reach[1] == 3);  // -60 is not below -60
    std::vector<float> expected = decays;
    expected[7] = detail::SequenceBuffers::kToZero;
    CHECK(elements(b.decay_log) == expected);
    decays[0] = -61.0F;
    CHECK(detail::find_reach(b, decay_log) == 4);  // the token that makes the last state 0
    CHECK(b.reach[0] == 0);
}

TEST_CASE("sequence parallel: slots that store less, and slots with pending updates") {
    const RandomLayer random = long_memory(heads(2, 2));
    const auto difference = [&](const StateSlotsOptions& slots) {
        return worst(on_ranks(3, [&](LocalRank& me) {
            return sequence_parallel_difference(
                me, random.config, random.packed(),
                {.before = 4, .pieces = {30, 40, 20}, .slots = slots});
        }));
    };
    CHECK(difference({.slots = 2, .rollback = 8}) < kRounding);
    // The same float32 state up to rounding, of which a few elements may round to the next
    // bfloat16.
    CHECK(difference({.slots = 2, .state = DType::bf16}) < 0x1p-9);
}

TEST_CASE("sequence_piece cuts at multiples of 64") {
    for (const index_t world : {1, 2, 3, 7}) {
        for (const index_t n : {0, 1, 63, 64, 65, 128, 1000}) {
            index_t next = 0;
            for (index_t rank = 0; rank < world; ++rank) {
                const SequencePiece piece = sequence_piece(n, rank, world);
                CHECK(piece.first_token == next);
                next += piece.n_tokens;
                CHECK((next % 64 == 0 || next == n));
                CHECK(piece.n_tokens <= (n / 64 / world + 2) * 64);
            }
            CHECK(next == n);
        }
    }
    CHECK(message_of([] { static_cast<void>(sequence_piece(5, 2, 2)); }) ==
          "sequence_piece: rank: expected 0 to 1, found 2");
}

TEST_CASE("a mistake of one rank is an error on all of them") {
    const auto thrown = [](bool sequence, Mistake mistake) {
        return on_ranks(3, [&](LocalRank& me) {
            return sequence ? after_mistake<SequenceParallel, TensorParallel>(me, mistake)
                            : after_mistake<TensorParallel, SequenceParallel>(me, mistake);
        });
    };
    for (const bool sequence : {false, true}) {
        CAPTURE(sequence);
        const std::string function =
            sequence ? "SequenceParallel::forward: " : "TensorParallel::forward: ";
        // What rank 1 throws, and the others.
        const auto check = [&](Mistake mistake, const std::string& own, const std::string& others) {
            CAPTURE(static_cast<int>(mistake));
            const std::vector<WhatWasThrown> ranks = thrown(sequence, mistake);
            CHECK(ranks[1].message == own);
            CHECK(ranks[0].message == others);
            CHECK(ranks[2].message == others);
            for (const WhatWasThrown& rank : ranks) CHECK_FALSE(rank.wrote);
        };
        const auto check_own = [&](Mistake mistake, const std::string& own) {
            check(mistake, own, function + "rank 1: " + own);
        };
        const auto check_disagreement = [&](Mistake mistake, const std::string& what) {
            const std::string same = what + " as on rank 0, found ";
            for (const WhatWasThrown& rank : thrown(sequence, mistake)) {
                CAPTURE(rank.message);
                CHECK(rank.message.starts_with(function + same.substr(0, same.find('#'))));
                CHECK(rank.message.ends_with(" on rank 1"));
                CHECK_FALSE(rank.wrote);
            }
        };
        for (const WhatWasThrown& rank : thrown(sequence, Mistake::none)) {
            CHECK(rank.message == "nothing was thrown");
            CHECK(rank.wrote);
        }
        const std::string same = "expected the same on every rank, ";
        check_disagreement(Mistake::hidden, "hidden: " + same + "20");
        check_own(Mistake::y,
                  "DeltaNetLayer::forward: y: expected shape [5, 20], found shape [4, 20]");
        check_own(Mistake::slot,
                  "DeltaNetLayer::forward: sequences[0].slot: expected 0 to 1, found 2");
        if (sequence) {
            check_own(Mistake::batch, function + "batch: expected one sequence, found 2 sequences");
            check_own(Mistake::in_proj, "the accelerator is gone");
            check_own(Mistake::out_proj, "the accelerator is gone");
        } else {
            check_disagreement(Mistake::batch, "n_tokens: " + same + "5");
            check_disagreement(Mistake::position,
                               "digest of the positions of slots: " + same + "#");
            for (const Mistake mistake : {Mistake::in_proj, Mistake::out_proj}) {
                const auto ranks = thrown(sequence, mistake);
                CHECK(ranks[1].message == "the accelerator is gone");
                CHECK(ranks[0].message == function + "rank 1: the accelerator is gone");
                CHECK(ranks[2].message == ranks[0].message);
            }
        }
        const auto ranks = thrown(sequence, Mistake::other_function);
        for (const WhatWasThrown& rank : ranks)
            CHECK(rank.message.find("function: " + same) != std::string::npos);
    }
}

TEST_CASE("what cannot be run in parallel is refused") {
    LocalRanks ranks(1);
    LocalRank me(ranks, 0);
    RandomLayer random(heads(1, 1));
    const LayerConfig& c = random.config;
    StateSlots slots(c, {.slots = 2, .rollback = 4});
    const auto x = Random(4).normals(2 * c.hidden);
    const auto refused = [&](const Batch& batch) {
        WholeLayer<> layer(random.config, random.split());
        SequenceParallel parallel(layer, me);
        return message_of(
            [&] { static_cast<void>(run_as(parallel, random.config, batch, x, slots)); });
    };
    const std::string rule =
        "SequenceParallel::forward: batch: expected a sequence without tree "
        "and snapshots, and no padding, found ";
    const std::vector<index_t> parents{-1, -1};
    const std::vector<Snapshot> snapshots{{.n_tokens = 1, .slot = 1}};
    Batch tree, snapshot, padding;
    tree.add({.slot = 0, .n_tokens = 2, .parents = parents});
    snapshot.add({.slot = 0, .n_tokens = 2, .snapshots = snapshots});
    padding.add({.slot = -1, .n_tokens = 2});
    CHECK(refused(tree) == rule + "a tree");
    CHECK(refused(snapshot) == rule + "snapshots");
    CHECK(refused(padding) == rule + "padding");
    random.config.deterministic = true;
    CHECK(
        refused(one(2)) ==
        "SequenceParallel::forward: layer: expected one without LayerConfig::deterministic, found "
        "a deterministic one: where the pieces are cut changes bits");
    random.config.deterministic = false;
    // Two ranks that both add the residual: a layer that nobody cut.
    random.config.residual = true;
    for (const std::string& message : on_ranks(2, [&](LocalRank& rank) {
             WholeLayer<> layer(random.config, random.split());
             StateSlots own(random.config, {.slots = 1});
             TensorParallel parallel(layer, rank);
             return message_of(
                 [&] { static_cast<void>(run_as(parallel, random.config, one(2), x, own)); });
         })) {
        CHECK(message ==
              "TensorParallel::forward: residual: expected one rank that adds it, found 2 ranks");
    }
}
