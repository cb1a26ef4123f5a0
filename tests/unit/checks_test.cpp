// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The checks at the edge of the ops: what they accept, what they refuse and with which words.
/// Whether a view can be written is compared with counting the addresses that its indices reach.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include <deltanet/detail/check.hpp>
#include <deltanet/sequence.hpp>

#include <algorithm>
#include <limits>
#include <set>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

const std::string kNothing = "nothing was thrown";

/// A place for views that are described but not read.
float* memory() {
    static std::vector<float> floats(4096);
    return floats.data();
}

template <int Rank>
bool all_apart(const View<float, Rank>& view) {
    std::vector<index_t> offsets{0};
    for (int d = 0; d < Rank; ++d) {
        std::vector<index_t> next;
        for (const index_t offset : offsets) {
            for (index_t i = 0; i < view.size(d); ++i) next.push_back(offset + i * view.stride(d));
        }
        offsets = std::move(next);
    }
    return std::set<index_t>(offsets.begin(), offsets.end()).size() == offsets.size();
}

template <int Rank>
bool writable(const View<float, Rank>& view) {
    return message_of([&] { detail::check_writable("f", "x", view); }) == kNothing;
}

}  // namespace

TEST_CASE("shape_text", "[checks]") {
    CHECK(detail::shape_text(Shape<1>{7}) == "[7]");
    CHECK(detail::shape_text(Shape<4>{1, -2, 3, 4'000'000'000}) == "[1, -2, 3, 4000000000]");
}

TEST_CASE("check_at_least", "[checks]") {
    CHECK(message_of([] { detail::check_at_least("f", "x", 3, 3); }) == kNothing);
    CHECK(message_of([] { detail::check_at_least("f", "x", 2, 3); }) ==
          "f: x: expected at least 3, found 2");
}

TEST_CASE("check_shape wants the very shape and data unless empty", "[checks]") {
    const auto check = [](View<float, 2> view, Shape<2> expected) {
        return message_of([&] { detail::check_shape("f", "x", view, expected); });
    };
    CHECK(check({memory(), {2, 3}}, {2, 3}) == kNothing);
    CHECK(check({memory(), {2, 3}}, {3, 2}) == "f: x: expected shape [3, 2], found shape [2, 3]");
    CHECK(check({nullptr, {2, 3}}, {2, 3}) ==
          "f: x: expected data for shape [2, 3], found a null pointer");
    CHECK(check({nullptr, {0, 3}}, {0, 3}) == kNothing);
    CHECK(check({memory(), {2, 3}, {100, -7}}, {2, 3}) ==
          kNothing);  // strides are not its business
}

TEST_CASE("check_contiguous_rows looks at the innermost stride of rows of several elements",
          "[checks]") {
    const auto check = [](View<float, 2> view) {
        return message_of([&] { detail::check_contiguous_rows("f", "x", view); });
    };
    CHECK(check({memory(), {2, 3}, {0, 1}}) == kNothing);
    CHECK(check({memory(), {2, 3}, {1, 2}}) ==
          "f: x: expected innermost stride 1, found strides [1, 2]");
    CHECK(check({memory(), {2, 3}, {3, 0}}) ==
          "f: x: expected innermost stride 1, found strides [3, 0]");
    CHECK(check({memory(), {2, 1}, {3, 77}}) == kNothing);
    CHECK(check({memory(), {2, 0}, {3, 77}}) == kNothing);
}

TEST_CASE("check_writable names shape and strides", "[checks]") {
    const View<float, 3> view(memory(), {2, 3, 4}, {11, 4, 1});
    CHECK(message_of([&] { detail::check_writable("f", "x", view); }) ==
          "f: x: expected strides under which no two indices share an element, found shape [2, 3, "
          "4] with strides "
          "[11, 4, 1]");
}

TEST_CASE("check_writable accepts padded and permuted memory", "[checks]") {
    Random random(11);
    for (int round = 0; round < 500; ++round) {
        Shape<4> shape{}, strides{};
        std::vector<std::size_t> order{0, 1, 2, 3};
        for (std::size_t i = 3; i > 0; --i) {
            std::swap(order[i],
                      order[static_cast<std::size_t>(random.integer(0, static_cast<index_t>(i)))]);
        }
        index_t step = 1;
        for (const std::size_t d : order) {
            shape[d] = random.integer(1, 5);
            step += random.integer(0, 2);
            strides[d] = step;
            step *= shape[d];
        }
        CAPTURE(round, detail::shape_text(shape), detail::shape_text(strides));
        CHECK(writable(View<float, 4>(memory(), shape, strides)));
    }
    CHECK(writable(
        View<float, 2>(memory(), {1, 4}, {0, 1})));  // the stride of a single index is not used
    CHECK(writable(View<float, 2>(memory(), {1, 4}, {-9, 1})));
    CHECK(writable(View<float, 2>(memory(), {0, 4}, {0, 0})));  // nothing to write
    CHECK_FALSE(writable(View<float, 2>(memory(), {2, 4}, {-9, 1})));
}

TEST_CASE("check_writable never accepts a view that reaches an element twice", "[checks]") {
    Random random(12);
    int refused = 0;
    int accepted = 0;
    for (int round = 0; round < 3000; ++round) {
        Shape<3> shape{}, strides{};
        for (std::size_t d = 0; d < 3; ++d) {
            shape[d] = random.integer(1, 4);
            strides[d] = random.integer(0, 14);
        }
        const View<float, 3> view(memory(), shape, strides);
        if (!writable(view)) {
            ++refused;
            continue;
        }
        ++accepted;
        CAPTURE(round, detail::shape_text(shape), detail::shape_text(strides));
        CHECK(all_apart(view));
    }
    CHECK(refused > 500);  // the draw holds plenty of both kinds
    CHECK(accepted > 500);
}

TEST_CASE("check_disjoint: neighbours are apart and one shared float is not", "[checks]") {
    const auto check = [](View<float, 2> a, View<const float, 1> b) {
        return message_of([&] { detail::check_disjoint("f", "a", a, "b", b); });
    };
    const std::string overlap =
        "f: a: expected memory apart from that of b, found memory that overlaps it";
    const View<float, 2> a(memory() + 100, {3, 4}, {10, 1});  // floats 100 to 123
    CHECK(check(a, {memory() + 80, {20}}) == kNothing);
    CHECK(check(a, {memory() + 80, {21}}) == overlap);
    CHECK(check(a, {memory() + 124, {5}}) == kNothing);
    CHECK(check(a, {memory() + 123, {5}}) == overlap);
    CHECK(check(a, {memory() + 110, {2}}) == overlap);   // inside
    CHECK(check(a, {memory() + 50, {200}}) == overlap);  // around
    CHECK(check(a, {memory() + 104, {3}}) ==
          overlap);  // in a gap: ranges are compared, not elements
    CHECK(check(a, {memory() + 100, {0}}) ==
          kNothing);  // nothing, where a begins and where it ends
    CHECK(check(a, {memory() + 124, {0}}) == kNothing);
    CHECK(check(a, {memory() + 110, {0}}) == kNothing);  // nothing, in the middle of a
    CHECK(check({memory() + 100, {3, 0}}, {memory() + 90, {30}}) == kNothing);
    // rows upwards in memory: b covers floats 90 to 101 and 130 to 141
    const auto backwards = [&](float* first_row) {
        const View<const float, 2> b(first_row, {2, 12}, {-40, 1});
        return message_of([&] { detail::check_disjoint("f", "a", a, "b", b); });
    };
    CHECK(backwards(memory() + 130) == overlap);
    CHECK(backwards(memory() + 164) == kNothing);  // 124 to 135 and 164 to 175
    CHECK(backwards(memory() + 163) == overlap);
}

TEST_CASE("check_row_list", "[checks]") {
    const auto check = [](std::optional<std::span<const index_t>> rows, index_t n) {
        return message_of([&] { detail::check_row_list("f", rows, n); });
    };
    const std::vector<index_t> fine{2, 0, 2, 1};
    const std::vector<index_t> low{0, -1};
    const std::vector<index_t> high{0, 1, 3};
    const std::vector<index_t> none;
    CHECK(check(std::nullopt, 0) == kNothing);
    CHECK(check(fine, 3) == kNothing);
    CHECK(check(none, 0) == kNothing);
    CHECK(check(low, 3) == "f: rows[1]: expected 0 to 2, found -1");
    CHECK(check(high, 3) == "f: rows[2]: expected 0 to 2, found 3");
}

TEST_CASE("check_sequences accepts spans in any order and with gaps and of no token", "[checks]") {
    const std::vector<SequenceSpan> spans{{6, 2, 3, Start::fresh},
                                          {0, 3, 0, Start::resume},
                                          {1, 0, 1, Start::fresh},  // no token, inside another's
                                          {8, 0, 2, Start::fresh}};
    CHECK(message_of([&] { detail::check_sequences("f", spans, 8, 4); }) == kNothing);
    const std::vector<SequenceSpan> backwards(spans.rbegin(), spans.rend());
    CHECK(message_of([&] { detail::check_sequences("f", backwards, 8, 4); }) == kNothing);
    CHECK(message_of([&] { detail::check_sequences("f", {}, 0, 0); }) == kNothing);
}

TEST_CASE("check_sequences refuses with the number of the span", "[checks]") {
    const auto check = [](std::vector<SequenceSpan> spans) {
        return message_of([&] { detail::check_sequences("f", spans, 8, 4); });
    };
    CHECK(message_of([&] {
              detail::check_sequences("f", std::vector<SequenceSpan>{{0, 0, 0}}, 0, 0);
          }) == "f: sequences[0].slot: expected none, as there are none, found 0");
    CHECK(check({{0, 1, 0}, {1, 1, 4}}) == "f: sequences[1].slot: expected 0 to 3, found 4");
    CHECK(check({{0, 1, -1}, {1, 1, -1}}) == "nothing was thrown");  // padding, any number
    CHECK(check({{0, 9, 0}}) ==
          "f: sequences[0]: expected tokens inside [0, 8), found 9 tokens from 0 on");
    CHECK(check({{-1, 2, 0}}) ==
          "f: sequences[0]: expected tokens inside [0, 8), found 2 tokens from -1 on");
    CHECK(check({{1, std::numeric_limits<index_t>::max(), 0}}) ==
          "f: sequences[0]: expected tokens inside [0, 8), found 9223372036854775807 tokens from 1 "
          "on");
    CHECK(check({{3, -1, 0}}) ==
          "f: sequences[0]: expected tokens inside [0, 8), found -1 tokens from 3 on");
    CHECK(check({{0, 2, 1}, {2, 2, 2}, {4, 2, 1}}) ==
          "f: sequences[2].slot: expected a slot used once in a batch, found slot 1, also of "
          "sequences[0]");
    CHECK(check({{4, 2, 0}, {0, 5, 1}}) ==
          "f: sequences[1]: expected tokens that no other sequence has, found tokens [0, 5), which "
          "overlap those of "
          "sequences[0]");
}
