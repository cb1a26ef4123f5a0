// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Views address exactly the element that their strides say: dense, strided, broadcast, reversed,
/// sliced, and beyond 32-bit offsets.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/views.hpp>

#include <cstdint>
#include <numeric>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

std::vector<float> counting(std::size_t n) {
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 0.0F);
    return values;
}

}  // namespace

TEST_CASE("a default view has no data and no elements", "[views]") {
    const View<float, 3> view;
    CHECK(view.data() == nullptr);
    CHECK(view.shape() == Shape<3>{0, 0, 0});
    CHECK(view.strides() == Shape<3>{0, 0, 0});
    CHECK(view.count() == 0);
    CHECK(view.empty());
}

TEST_CASE("dense views are row-major", "[views]") {
    std::vector<float> values = counting(2 * 3 * 4 * 5);
    const View<float, 4> view(values.data(), {2, 3, 4, 5});
    CHECK(view.strides() == Shape<4>{60, 20, 5, 1});
    CHECK(view.count() == 120);
    CHECK_FALSE(view.empty());
    CHECK(elements(view) == values);
    CHECK(view(1, 2, 3, 4) == 119.0F);
    CHECK(view(1, 0, 2, 3) == 73.0F);
    for (int d = 0; d < 4; ++d) {
        CHECK(view.size(d) == d + 2);
        CHECK(view.stride(d) == view.strides()[static_cast<std::size_t>(d)]);
    }
}

TEST_CASE("a dimension of size zero empties a view whatever the others are", "[views]") {
    float value = 1.0F;
    for (std::size_t d = 0; d < 3; ++d) {
        Shape<3> shape{2, 3, 4};
        shape[d] = 0;
        const View<float, 3> view(&value, shape);
        CHECK(view.count() == 0);
        CHECK(view.empty());
    }
}

TEST_CASE("explicit strides: padded rows and transposed and broadcast and reversed", "[views]") {
    std::vector<float> values = counting(24);
    const View<float, 2> padded(values.data() + 1, {3, 4}, {7, 1});
    CHECK(elements(padded) == std::vector<float>{1, 2, 3, 4, 8, 9, 10, 11, 15, 16, 17, 18});
    const View<float, 2> transposed(values.data(), {2, 3}, {1, 2});
    CHECK(elements(transposed) == std::vector<float>{0, 2, 4, 1, 3, 5});
    const View<const float, 2> broadcast(values.data() + 5, {2, 2}, {0, 0});
    CHECK(elements(broadcast) == std::vector<float>{5, 5, 5, 5});
    const View<float, 1> reversed(values.data() + 3, {4}, {-1});
    CHECK(elements(reversed) == std::vector<float>{3, 2, 1, 0});
}

TEST_CASE("ptr takes leading indices and leaves the others at 0", "[views]") {
    std::vector<float> values = counting(60);
    const View<float, 3> view(values.data(), {2, 3, 4}, {30, 7, 2});
    CHECK(view.ptr(1) == values.data() + 30);
    CHECK(view.ptr(1, 2) == values.data() + 44);
    CHECK(view.ptr(1, 2, 3) == values.data() + 50);
    CHECK(&view(1, 2, 3) == values.data() + 50);
    CHECK(view.ptr(2) == values.data() + 60);  // one past the end may be named
    view(0, 1, 1) = -1.0F;
    CHECK(values[9] == -1.0F);
}

TEST_CASE("indexing drops the outermost dimension and keeps the strides of the rest", "[views]") {
    std::vector<float> values = counting(200);
    const View<float, 4> view(values.data(), {2, 3, 4, 5}, {90, 25, 6, 1});
    const View<float, 3> inner = view[1];
    CHECK(inner.data() == values.data() + 90);
    CHECK(inner.shape() == Shape<3>{3, 4, 5});
    CHECK(inner.strides() == Shape<3>{25, 6, 1});
    const View<float, 1> row = view[1][2][3];
    CHECK(row.data() == values.data() + 90 + 50 + 18);
    CHECK(row.size(0) == 5);
}

TEST_CASE("slice restricts one dimension and nothing else", "[views]") {
    std::vector<float> values = counting(60);
    const View<float, 3> view(values.data(), {3, 4, 5});
    for (int dim = 0; dim < 3; ++dim) {
        const View<float, 3> part = view.slice(dim, 1, 2);
        Shape<3> expected = view.shape();
        expected[static_cast<std::size_t>(dim)] = 2;
        CHECK(part.shape() == expected);
        CHECK(part.strides() == view.strides());
        CHECK(part.data() == values.data() + view.stride(dim));
    }
    CHECK(view.slice(1, 4, 0).empty());
    CHECK(view.slice(1, 2, 2).slice(2, 3, 2)(2, 1, 1) == view(2, 3, 4));
    CHECK(View<float, 2>(nullptr, {3, 4}).slice(0, 2, 1).data() == nullptr);
}

TEST_CASE("a view of mutable elements becomes one of const elements of the same memory",
          "[views]") {
    std::vector<float> values = counting(40);
    const View<float, 3> view(values.data(), {2, 3, 4}, {20, 5, 1});
    const View<const float, 3> read = view;
    CHECK(read.data() == view.data());
    CHECK(read.shape() == view.shape());
    CHECK(read.strides() == view.strides());
    view(1, 1, 1) = 100.0F;
    CHECK(read(1, 1, 1) == 100.0F);
}

TEST_CASE("offsets are computed in 64 bits", "[views]") {
    // Addresses only: nothing lies there and nothing is read.
    constexpr std::uintptr_t base = 1U << 20U;
    const View<float, 3> view(reinterpret_cast<float*>(base), {1000, 3000, 3000});
    CHECK(view.count() == 9'000'000'000);
    CHECK(view.stride(0) == 9'000'000);
    const auto address = [](const float* p) { return reinterpret_cast<std::uintptr_t>(p); };
    CHECK(address(view.ptr(999, 2999, 2999)) == base + 4 * std::uintptr_t{8'999'999'999});
    CHECK(address(view[999].data()) == base + 4 * std::uintptr_t{8'991'000'000});
    CHECK(address(view.slice(0, 999, 1).data()) == base + 4 * std::uintptr_t{8'991'000'000});
    CHECK(address(view.ptr(999)) == base + 4 * std::uintptr_t{8'991'000'000});  // int indices, too
}
