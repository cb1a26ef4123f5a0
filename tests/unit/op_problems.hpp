// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the tests of the ops' errors share: one block of floats that holds every tensor of a
/// problem, and a check that a spoilt call is refused by both backends, in the same words, without
/// a bit being changed.
#pragma once

#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include <deltanet/cpu/backend.hpp>
#include <deltanet/reference/backend.hpp>
#include <deltanet/workspace.hpp>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace deltanet::test {

/// Dense tensors one after another in one block of random numbers, with gaps between them.
class Arena {
  public:
    explicit Arena(std::uint32_t seed) : floats(Random(seed).normals(4096)) {}

    template <int Rank>
    [[nodiscard]] View<float, Rank> take(const Shape<Rank>& shape) {
        const View<float, Rank> view(floats.data() + used_, shape);
        used_ += view.count() + kGap;
        REQUIRE(used_ <= static_cast<index_t>(floats.size()));
        return view;
    }

    std::vector<float> floats;

  private:
    static constexpr index_t kGap = 5;
    index_t used_ = 0;
};

/// One way to spoil the arguments of an op, and the whole text that it must be refused with.
template <class Args>
struct Mistake {
    std::function<void(Args&)> spoil;
    std::string message;
};

/// `call(backend)` throws `message` with both backends and leaves the arena as it was.
template <class Call>
void check_refused(const Arena& arena, const std::string& message, Call&& call) {
    const std::vector<float> before = arena.floats;
    ReferenceBackend reference;
    CpuBackend<> cpu;
    CHECK(message_of([&] { call(reference); }) == message);
    CHECK(message_of([&] { call(cpu); }) == message);
    CHECK(bit_equal(arena.floats, before));
}

/// `call(backend)` is accepted by both backends and writes something: without this, a call that is
/// always refused for another reason would pass for tested.
template <class Call>
void check_accepted(Arena& arena, Call&& call) {
    const std::vector<float> before = arena.floats;
    ReferenceBackend reference;
    CHECK(message_of([&] { call(reference); }) == "nothing was thrown");
    CHECK_FALSE(bit_equal(arena.floats, before));
    arena.floats = before;
    CpuBackend<> cpu;
    CHECK(message_of([&] { call(cpu); }) == "nothing was thrown");
    CHECK_FALSE(bit_equal(arena.floats, before));
    arena.floats = before;
}

/// The same memory with other strides.
template <class T, int Rank>
[[nodiscard]] View<T, Rank> restrided(const View<T, Rank>& view, const Shape<Rank>& strides) {
    return {view.data(), view.shape(), strides};
}
template <class T, int Rank>
[[nodiscard]] View<T, Rank> without_data(const View<T, Rank>& view) {
    return {nullptr, view.shape()};
}

}  // namespace deltanet::test
