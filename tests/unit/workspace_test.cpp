// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The workspace grows, never shrinks, is always aligned, and refuses when it may not grow; the
/// carver lays pieces out the same way whether it has memory or only counts.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/workspace.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

struct alignas(64) Block {
    std::byte bytes[256];
};

std::span<std::byte> span_of(Block& block, std::size_t first, std::size_t n) {
    return std::span<std::byte>(block.bytes).subspan(first, n);
}

}  // namespace

TEST_CASE("a workspace starts empty and gives at least what is asked for", "[workspace]") {
    Workspace workspace;
    CHECK(workspace.size_bytes() == 0);
    CHECK(workspace.acquire(0).empty());
    CHECK(workspace.size_bytes() == 0);
    for (const index_t bytes : {1, 63, 64, 65, 1000, 100'000}) {
        const std::span<std::byte> block = workspace.acquire(bytes);
        CHECK(static_cast<index_t>(block.size()) >= bytes);
        CHECK(workspace.size_bytes() == static_cast<index_t>(block.size()));
        CHECK(aligned(block.data()));
        block.front() = block.back() = std::byte{1};  // ours to write
    }
}

TEST_CASE("a workspace only grows", "[workspace]") {
    Workspace workspace;
    const std::span<std::byte> large = workspace.acquire(5000);
    for (const index_t bytes : {0, 1, 4999, 5000}) {
        const std::span<std::byte> again = workspace.acquire(bytes);
        CHECK(again.data() == large.data());
        CHECK(again.size() == large.size());
    }
    CHECK(workspace.acquire(5001).size() >= 5001);
    CHECK(workspace.size_bytes() >= 5001);
}

TEST_CASE("a moved workspace keeps its block", "[workspace]") {
    Workspace first;
    const std::byte* const data = first.acquire(1000).data();
    Workspace second = std::move(first);
    CHECK(second.acquire(1000).data() == data);
    CHECK(first.size_bytes() == 0);  // what was moved from holds nothing of it
    CHECK(first.acquire(50).data() != data);
    Workspace third;
    third = std::move(second);
    CHECK(third.acquire(1000).data() == data);
}

TEST_CASE("a workspace over the caller's memory uses that and refuses to grow", "[workspace]") {
    Block block{};
    Workspace workspace(span_of(block, 0, 256));
    CHECK(workspace.size_bytes() == 256);
    CHECK(workspace.acquire(256).data() == block.bytes);
    CHECK(message_of([&] { static_cast<void>(workspace.acquire(257)); }) ==
          "Workspace: memory: expected at least 257 bytes, found 256 bytes");
    CHECK(workspace.size_bytes() == 256);  // and is as it was
    CHECK(workspace.acquire(100).data() == block.bytes);
    for (const std::byte b : block.bytes) CHECK(b == std::byte{0});
}

TEST_CASE("a workspace over no memory serves only calls that need none", "[workspace]") {
    Workspace workspace{std::span<std::byte>{}};
    CHECK(workspace.acquire(0).empty());
    CHECK(message_of([&] { static_cast<void>(workspace.acquire(1)); }) ==
          "Workspace: memory: expected at least 1 bytes, found 0 bytes");
}

TEST_CASE("the caller's memory must be aligned", "[workspace]") {
    Block block{};
    for (const std::size_t offset : {1U, 4U, 32U, 63U}) {
        CHECK(message_of([&] { Workspace workspace(span_of(block, offset, 128)); }) ==
              "Workspace: memory: expected an address aligned to 64, found one that is not");
    }
    CHECK(message_of([&] { Workspace workspace(span_of(block, 64, 128)); }) ==
          "nothing was thrown");
}

TEST_CASE("the carver hands out aligned pieces one after another", "[workspace]") {
    Workspace workspace;
    const auto lay_out = [](detail::Carver& carver) {
        std::vector<const void*> pieces;
        pieces.push_back(carver.take<float, 2>({3, 5}).data());       // 60 bytes: one line
        pieces.push_back(carver.take_bytes(64));                      // one line
        pieces.push_back(carver.take_bytes(65));                      // two
        pieces.push_back(carver.take<double, 1>({0}).data());         // none
        pieces.push_back(carver.take<index_t, 3>({2, 2, 3}).data());  // 96 bytes: two
        return pieces;
    };
    detail::Carver counter;
    for (const void* piece : lay_out(counter)) CHECK(piece == nullptr);
    CHECK(counter.used_bytes() == 6 * 64);

    const std::span<std::byte> block = workspace.acquire(counter.used_bytes());
    detail::Carver carver(block);
    const std::vector<const void*> pieces = lay_out(carver);
    CHECK(carver.used_bytes() == counter.used_bytes());
    const std::ptrdiff_t expected[] = {0, 64, 128, 256, 256};
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        CHECK(pieces[i] == block.data() + expected[i]);
        CHECK(aligned(pieces[i]));
    }
}

TEST_CASE("a carved view is dense and has the shape asked for", "[workspace]") {
    Workspace workspace;
    detail::Carver carver(workspace.acquire(10'000));
    const View<float, 3> view = carver.take<float, 3>({2, 3, 4});
    CHECK(view.shape() == Shape<3>{2, 3, 4});
    CHECK(view.strides() == Shape<3>{12, 4, 1});
}
