// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Batches: sequences one after another, or token by token in any order. What the batch says about
/// rows, tokens and spans is compared with a plain grouping of the rows.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include <deltanet/batch.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

const std::string kNothing = "nothing was thrown";

using Spans = std::vector<std::vector<index_t>>;

/// {first_token, n_tokens, slot, fresh} of every span.
Spans spans_of(const Batch& batch) {
    Spans list;
    for (const SequenceSpan& s : batch.sequences()) {
        list.push_back({s.first_token, s.n_tokens, s.slot, s.start == Start::fresh ? 1 : 0});
    }
    return list;
}

std::vector<index_t> list_of(std::span<const index_t> span) { return {span.begin(), span.end()}; }

template <class Id>
Batch from(const std::vector<Id>& ids, const std::vector<Id>& positions = {}) {
    return Batch::from_tokens(std::span<const Id>(ids), std::span<const Id>(positions));
}

}  // namespace

TEST_CASE("an empty batch", "[batch]") {
    const Batch batch;
    CHECK(batch.n_tokens() == 0);
    CHECK(batch.n_sequences() == 0);
    CHECK(batch.n_outputs() == 0);
    CHECK(batch.sequences().empty());
    CHECK(batch.token_rows().empty());
    CHECK_FALSE(batch.output_tokens().has_value());
    CHECK_FALSE(batch.output_rows().has_value());
}

TEST_CASE("add: sequences take the next rows in the order of their coming", "[batch]") {
    Batch batch;
    batch.add({.slot = 7, .n_tokens = 3, .start = Start::fresh})
        .add({.slot = 2})
        .add({.slot = 5, .n_tokens = 0});
    CHECK(spans_of(batch) == Spans{{0, 3, 7, 1}, {3, 1, 2, 0}, {4, 0, 5, 0}});
    CHECK(batch.n_tokens() == 4);
    CHECK(batch.n_sequences() == 3);
    CHECK(batch.n_outputs() == 4);
    CHECK(batch.token_rows().empty());
    CHECK_FALSE(batch.output_tokens().has_value());
}

TEST_CASE("add: what it refuses leaves the batch as it was", "[batch]") {
    Batch batch;
    batch.add({.slot = 4, .n_tokens = 2});
    CHECK(message_of([&] { batch.add({.slot = 1, .n_tokens = -2}); }) ==
          "Batch::add: n_tokens: expected at least 0, found -2");
    CHECK(message_of([&] { batch.add({.slot = 4}); }) ==
          "Batch::add: slot: expected a slot used once in a batch, found slot 4, already there "
          "with n_tokens = 2");
    CHECK(spans_of(batch) == Spans{{0, 2, 4, 0}});
    CHECK(batch.n_tokens() == 2);
    batch.add({.slot = 1});  // and it still works
    CHECK(spans_of(batch) == Spans{{0, 2, 4, 0}, {2, 1, 1, 0}});
}

TEST_CASE("add: not to a batch built from tokens, contiguous or not", "[batch]") {
    for (const std::vector<int>& ids : {std::vector<int>{0, 0, 1}, std::vector<int>{0, 1, 0}}) {
        Batch batch = Batch::from_tokens(ids);
        CHECK(
            message_of([&] { batch.add({.slot = 5}); }) ==
            "Batch::add: batch: expected a batch built by add alone, outputs selected last, found "
            "one built from tokens or with selected outputs");
        batch.clear();
        batch.add({.slot = 5});
        CHECK(spans_of(batch) == Spans{{0, 1, 5, 0}});
    }
}

TEST_CASE("ids and positions may have different types", "[batch]") {
    const std::vector<std::int64_t> positions{0, 1, 5};
    const std::int16_t ids[] = {2, 2, 0};
    CHECK(spans_of(Batch::from_tokens(ids, positions)) == Spans{{0, 2, 2, 1}, {2, 1, 0, 0}});
}

TEST_CASE("tokens of one sequence", "[batch]") {
    const Batch batch = from<int>({3, 3, 3}, {10, 11, 12});
    CHECK(spans_of(batch) == Spans{{0, 3, 3, 0}});
    CHECK(batch.token_rows().empty());
    CHECK_FALSE(batch.output_tokens().has_value());
}

TEST_CASE("one token of each of several sequences", "[batch]") {
    const Batch batch = from<int>({5, 0, 9}, {0, 7, 0});
    CHECK(spans_of(batch) == Spans{{0, 1, 5, 1}, {1, 1, 0, 0}, {2, 1, 9, 1}});
    CHECK(batch.token_rows().empty());  // nothing to reorder, whatever the ids
}

TEST_CASE("sequences one after another with falling ids need no reordering", "[batch]") {
    const Batch batch = from<int>({8, 8, 3, 3, 3, 1});
    CHECK(spans_of(batch) == Spans{{0, 2, 8, 0}, {2, 3, 3, 0}, {5, 1, 1, 0}});
    CHECK(batch.token_rows().empty());
}

TEST_CASE("interleaved sequences are sorted apart and come in the order of their first rows",
          "[batch]") {
    const Batch batch = from<int>({2, 0, 2, 1, 0, 2});
    CHECK(spans_of(batch) == Spans{{0, 3, 2, 0}, {3, 2, 0, 0}, {5, 1, 1, 0}});
    CHECK(list_of(batch.token_rows()) == std::vector<index_t>{0, 2, 5, 1, 4, 3});
    REQUIRE(batch.output_tokens().has_value());
    CHECK(list_of(*batch.output_tokens()) ==
          std::vector<index_t>{0, 3, 1, 5, 4, 2});  // y in the order of x
    CHECK_FALSE(batch.output_rows().has_value());
    CHECK(batch.n_outputs() == 6);
}

TEST_CASE("freshness is that of the first row of a sequence alone", "[batch]") {
    CHECK(spans_of(from<int>({1, 2, 1, 2}, {0, 5, 1, 6})) == Spans{{0, 2, 1, 1}, {2, 2, 2, 0}});
    CHECK(spans_of(from<int>({1, 1}, {0, 0})) == Spans{{0, 2, 1, 1}});
    CHECK(spans_of(from<int>({1, 1}, {3, 4})) == Spans{{0, 2, 1, 0}});
    CHECK(spans_of(from<int>({1, 1})) ==
          Spans{{0, 2, 1, 0}});  // without positions: on from the slot
    CHECK(spans_of(from<int>({1, 1}, {-1, 0})) == Spans{{0, 2, 1, 0}});
}

TEST_CASE("positions of a sequence may repeat and jump and those of others do not matter",
          "[batch]") {
    CHECK(message_of([] { static_cast<void>(from<int>({1, 1, 1}, {4, 4, 4})); }) == kNothing);
    CHECK(message_of([] {
              static_cast<void>(from<int>({1, 1, 1}, {0, 7, 1'000'000}));
          }) == kNothing);
    CHECK(message_of([] {
              static_cast<void>(from<int>({1, 2, 1, 2}, {9, 0, 10, 1}));
          }) == kNothing);
}

TEST_CASE("bad tokens are refused by their row", "[batch]") {
    const auto refusal = [](std::vector<int> ids, std::vector<int> positions) {
        return message_of([&] { static_cast<void>(from<int>(ids, positions)); });
    };
    CHECK(refusal({1, 1, 1}, {4, 6, 5}) ==
          "Batch::assign_tokens: positions[2]: expected at least 6, the position before it in "
          "sequence 1, found 5");
    CHECK(refusal({1, 2, 2, 1}, {4, 8, 9, 3}) ==
          "Batch::assign_tokens: positions[3]: expected at least 4, the position before it in "
          "sequence 1, found 3");
    CHECK(refusal({1, 1}, {4}) ==
          "Batch::assign_tokens: positions: expected 2 entries, one per token, found 1");
    CHECK(refusal({1, 1}, {4, 5, 6}) ==
          "Batch::assign_tokens: positions: expected 2 entries, one per token, found 3");
}

TEST_CASE("a batch is unchanged after assign_tokens has refused", "[batch]") {
    Batch batch = from<int>({2, 0, 2});
    const std::vector<index_t> some{1};
    batch.select_outputs(some);
    const std::vector<int> ids{0, 0};
    const std::vector<int> falling{3, 2};
    CHECK(message_of([&] {
              batch.assign_tokens(std::span<const int>(ids), std::span<const int>(falling));
          }) != kNothing);
    CHECK(spans_of(batch) == Spans{{0, 2, 2, 0}, {2, 1, 0, 0}});
    CHECK(list_of(batch.token_rows()) == std::vector<index_t>{0, 2, 1});
    CHECK(list_of(*batch.output_rows()) == some);
    CHECK(list_of(*batch.output_tokens()) == std::vector<index_t>{2});
    CHECK(batch.n_tokens() == 3);
}

TEST_CASE("assign_tokens replaces everything that the batch held", "[batch]") {
    Batch batch = from<int>({2, 0, 2});
    const std::vector<index_t> some{1};
    batch.select_outputs(some);
    const std::vector<int> ids{4, 4};
    batch.assign_tokens(std::span<const int>(ids));
    CHECK(spans_of(batch) == Spans{{0, 2, 4, 0}});
    CHECK(batch.n_tokens() == 2);
    CHECK(batch.n_outputs() == 2);
    CHECK(batch.token_rows().empty());
    CHECK_FALSE(batch.output_tokens().has_value());
    CHECK_FALSE(batch.output_rows().has_value());
    batch.assign_tokens(std::span<const int>());
    CHECK(batch.n_sequences() == 0);
    CHECK(batch.n_tokens() == 0);
}

TEMPLATE_TEST_CASE("ids of every width", "[batch]", std::int8_t, std::int32_t, std::uint32_t,
                   std::int64_t, std::uint64_t) {
    using Id = TestType;
    const std::vector<Id> ids{Id{7}, Id{100}, Id{7}};
    const std::vector<Id> positions{Id{0}, Id{100}, Id{1}};
    const Batch batch = from<Id>(ids, positions);
    CHECK(spans_of(batch) == Spans{{0, 2, 7, 1}, {2, 1, 100, 0}});
}

TEST_CASE("64-bit ids and positions are not cut and the two may differ in type", "[batch]") {
    const std::int64_t large = std::int64_t{1} << 40;
    CHECK(spans_of(from<std::int64_t>({large, 0, large}, {5, 0, large})) ==
          Spans{{0, 2, large, 0}, {2, 1, 0, 1}});
    const std::vector<std::int32_t> ids{1, 1};
    const std::vector<std::int64_t> positions{large, large - 1};
    Batch batch;
    CHECK(message_of([&] {
              batch.assign_tokens(std::span<const std::int32_t>(ids),
                                  std::span<const std::int64_t>(positions));
          }) ==
          "Batch::assign_tokens: positions[1]: expected at least 1099511627776, the position "
          "before it in "
          "sequence 1, found 1099511627775");
}

TEST_CASE("any order of tokens equals a plain grouping of the rows", "[batch]") {
    Random random(21);
    for (int round = 0; round < 300; ++round) {
        const index_t n = random.integer(1, 24);
        const index_t n_ids = random.integer(1, 6);
        std::vector<index_t> ids;
        std::vector<index_t> positions;
        std::map<index_t, std::vector<index_t>> rows;  // by id
        std::map<index_t, index_t> first_position;
        std::vector<index_t> order;  // ids by first row
        for (index_t row = 0; row < n; ++row) {
            const index_t id = 3 * random.integer(0, n_ids - 1);
            if (rows.find(id) == rows.end()) {
                order.push_back(id);
                first_position[id] = random.integer(0, 2);
            }
            positions.push_back(first_position[id] + static_cast<index_t>(rows[id].size()) * 2);
            rows[id].push_back(row);
            ids.push_back(id);
        }
        const Batch batch = from<index_t>(ids, positions);
        CAPTURE(round);
        Spans expected_spans;
        std::vector<index_t> expected_rows;
        for (const index_t id : order) {
            expected_spans.push_back({static_cast<index_t>(expected_rows.size()),
                                      static_cast<index_t>(rows[id].size()), id,
                                      first_position[id] == 0 ? 1 : 0});
            expected_rows.insert(expected_rows.end(), rows[id].begin(), rows[id].end());
        }
        CHECK(spans_of(batch) == expected_spans);
        bool in_order = true;
        for (index_t t = 0; t < n; ++t)
            in_order = in_order && expected_rows[static_cast<std::size_t>(t)] == t;
        CHECK(list_of(batch.token_rows()) == (in_order ? std::vector<index_t>{} : expected_rows));
        CHECK(batch.output_tokens().has_value() == !in_order);
        if (!in_order) {
            const std::vector<index_t> tokens = list_of(*batch.output_tokens());
            for (std::size_t row = 0; row < tokens.size(); ++row) {
                CHECK(expected_rows[static_cast<std::size_t>(tokens[row])] ==
                      static_cast<index_t>(row));
            }
        }
    }
}

TEST_CASE("negative slots are padding, any number of them") {
    Batch batch;
    batch.add({.slot = 1}).add({.slot = -1, .n_tokens = 2}).add({.slot = -1});
    CHECK(spans_of(batch) == Spans{{0, 1, 1, 0}, {1, 2, -1, 0}, {3, 1, -1, 0}});
    const std::vector<int> ids{-1, 4, -1, 4};
    const std::vector<int> positions{9, 3, 0, 4};  // those of padding mean nothing
    CHECK(spans_of(Batch::from_tokens(ids, positions)) == Spans{{0, 2, -1, 0}, {2, 2, 4, 0}});
}

TEST_CASE("add: a tree names parents before their children") {
    Batch batch;
    const std::vector<index_t> good{-1, 0, 0, 2}, late{-1, 1}, low{-2}, few{-1};
    batch.add({.slot = 0, .n_tokens = 4, .parents = good});
    CHECK(message_of([&] { batch.add({.slot = 1, .n_tokens = 2, .parents = late}); }) ==
          "Batch::add: sequences[1].parents[1]: expected -1 to 0, found 1");
    CHECK(message_of([&] { batch.add({.slot = 1, .n_tokens = 1, .parents = low}); }) ==
          "Batch::add: sequences[1].parents[0]: expected -1 to -1, found -2");
    CHECK(
        message_of([&] { batch.add({.slot = 1, .n_tokens = 2, .parents = few}); }) ==
        "Batch::add: sequences[1].parents: expected nothing or 2 entries, one per token, found 1");
    CHECK(batch.n_tokens() == 4);
}
