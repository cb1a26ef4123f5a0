// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Selecting rows of y, with and without interleaved sequences, and reuse of a batch.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/batch.hpp>

#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Rows = std::vector<index_t>;

Rows list_of(std::optional<std::span<const index_t>> span) {
    REQUIRE(span.has_value());
    return {span->begin(), span->end()};
}

Batch interleaved() {  // rows of x by token: 0 2 4 | 1 3
    const std::vector<int> ids{6, 1, 6, 1, 6};
    return Batch::from_tokens(std::span<const int>(ids));
}

Batch contiguous() {
    Batch batch;
    batch.add({.slot = 6, .n_tokens = 3}).add({.slot = 1, .n_tokens = 2});
    return batch;
}

}  // namespace

TEST_CASE("selected outputs of sequences in order: rows and tokens are the same", "[batch]") {
    Batch batch = contiguous();
    const Rows rows{4, 0, 4};
    batch.select_outputs(rows);
    CHECK(batch.n_outputs() == 3);
    CHECK(batch.n_tokens() == 5);
    CHECK(list_of(batch.output_rows()) == rows);
    CHECK(list_of(batch.output_tokens()) == rows);
}

TEST_CASE("selected outputs of interleaved sequences: rows of x and their tokens", "[batch]") {
    Batch batch = interleaved();
    const Rows rows{3, 4, 0, 1};
    batch.select_outputs(rows);
    CHECK(batch.n_outputs() == 4);
    CHECK(list_of(batch.output_rows()) == rows);
    CHECK(list_of(batch.output_tokens()) == Rows{4, 2, 0, 3});
    CHECK(Rows(batch.token_rows().begin(), batch.token_rows().end()) == Rows{0, 2, 4, 1, 3});
}

TEST_CASE("no output at all is a selection too", "[batch]") {
    for (Batch batch : {contiguous(), interleaved(), Batch{}}) {
        batch.select_outputs({});
        CHECK(batch.n_outputs() == 0);
        CHECK(list_of(batch.output_rows()).empty());
        CHECK(list_of(batch.output_tokens()).empty());
    }
}

TEST_CASE("a second selection replaces the first", "[batch]") {
    for (Batch batch : {contiguous(), interleaved()}) {
        const Rows first{0, 1, 2};
        const Rows second{3};
        batch.select_outputs(first);
        batch.select_outputs(second);
        CHECK(list_of(batch.output_rows()) == second);
        CHECK(list_of(batch.output_tokens()) == Rows{batch.token_rows().empty() ? 3 : 4});
        CHECK(batch.n_outputs() == 1);
    }
}

TEST_CASE("rows that the batch does not have are refused and the selection stays", "[batch]") {
    for (Batch batch : {contiguous(), interleaved()}) {
        const Rows fine{2};
        const Rows high{0, 5};
        const Rows low{-1};
        batch.select_outputs(fine);
        CHECK(message_of([&] { batch.select_outputs(high); }) ==
              "Batch::select_outputs: rows[1]: expected 0 to 4, found 5");
        CHECK(message_of([&] { batch.select_outputs(low); }) ==
              "Batch::select_outputs: rows[0]: expected 0 to 4, found -1");
        CHECK(list_of(batch.output_rows()) == fine);
        CHECK(batch.n_outputs() == 1);
    }
}

TEST_CASE("nothing is added behind a selection or to interleaved tokens", "[batch]") {
    const std::string text =
        "Batch::add: batch: expected a batch built by add alone, outputs selected last, found one "
        "built from tokens "
        "or with selected outputs";
    Batch selected = contiguous();
    selected.select_outputs({});
    CHECK(message_of([&] { selected.add({.slot = 0}); }) == text);
    Batch mixed = interleaved();
    CHECK(message_of([&] { mixed.add({.slot = 0}); }) == text);
    CHECK(mixed.n_sequences() == 2);
    CHECK(mixed.n_tokens() == 5);
}

TEST_CASE("a cleared batch is like a new one", "[batch]") {
    for (Batch batch : {contiguous(), interleaved()}) {
        const Rows rows{1};
        batch.select_outputs(rows);
        batch.clear();
        CHECK(batch.n_tokens() == 0);
        CHECK(batch.n_sequences() == 0);
        CHECK(batch.n_outputs() == 0);
        CHECK(batch.token_rows().empty());
        CHECK_FALSE(batch.output_tokens().has_value());
        CHECK_FALSE(batch.output_rows().has_value());
        batch.add({.slot = 6, .n_tokens = 2});  // a slot that it had
        CHECK(batch.sequences()[0].first_token == 0);
        CHECK(batch.n_tokens() == 2);
    }
}

TEST_CASE("a cleared batch keeps its memory", "[batch]") {
    Batch batch = contiguous();
    const Rows rows{0, 1, 2, 3, 4};
    batch.select_outputs(rows);
    const void* const spans = batch.sequences().data();
    const void* const selected = batch.output_rows()->data();
    batch.clear();
    // were the memory given back, these would take it
    const std::vector<SequenceSpan> decoys[] = {std::vector<SequenceSpan>(1),
                                                std::vector<SequenceSpan>(2)};
    const Rows rows_decoy = rows;
    CHECK(decoys[0].size() + decoys[1].size() + rows_decoy.size() == 8);
    batch.add({.slot = 6, .n_tokens = 3}).add({.slot = 1, .n_tokens = 2});
    batch.select_outputs(rows);
    CHECK(static_cast<const void*>(batch.sequences().data()) == spans);
    CHECK(static_cast<const void*>(batch.output_rows()->data()) == selected);
}
