// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Bytes of a step, counted by the executor where every access is seen, against docs/cuda_step.md:
/// the state is read once whatever the number of tokens, and written when it has to be.
#include "cuda/delta_slots.hpp"

#if defined(DELTANET_SIMT)

using namespace deltanet;
using namespace deltanet::test;

namespace {

struct Traffic {
    std::uint64_t read, written, distinct_read, distinct_written;
    bool operator==(const Traffic&) const = default;
};

/// Of one step of n tokens for a slot with so many updates pending; nothing in a plain build.
template <class S>
std::optional<Traffic> traffic_of_step(const DeltaSizes& sizes, index_t n_tokens, index_t pending) {
    DeltaSlots<S> slots(sizes, 257);
    if (pending > 0) slots.step({{0, pending, 0}}, pending);
    const simt::Metrics before = simt::metrics;
    const auto counted = [&](std::uint64_t simt::Metrics::*member) {
        return simt::metrics.*member - before.*member;
    };
    slots.step({{0, n_tokens, 0}}, n_tokens);
    if (counted(&simt::Metrics::global_read_bytes) == 0) return {};
    // A step is run once for every schedule, with the same accesses.
    const std::uint64_t runs = counted(&simt::Metrics::launches);
    const Traffic traffic{counted(&simt::Metrics::global_read_bytes) / runs,
                          counted(&simt::Metrics::global_written_bytes) / runs,
                          counted(&simt::Metrics::global_distinct_read_bytes) / runs,
                          counted(&simt::Metrics::global_distinct_written_bytes) / runs};
    return traffic;
}

/// Bytes of a layer's states. `coarse`: as a step reads them that writes nothing.
template <class S>
struct StateBytes {
    index_t asked, read, written;

    StateBytes(const DeltaSizes& s, bool coarse) {
        written = s.n_heads_v() * state_head_bytes(dtype_v<S>, s.d_k, s.d_v);
        asked = read = written;
        if constexpr (std::is_same_v<S, i8>) {
            const index_t scales = s.n_heads_v() * s.d_v * 4;
            if (coarse) read = s.n_heads_v() * s.d_k * s.d_v + scales;
            asked = read + 7 * scales;  // each of the 8 groups of rows reads them
        }
    }
};

constexpr DeltaSizes kLayer{.n_heads_k = 2, .r = 2, .d_k = 128, .d_v = 128};

}  // namespace

TEMPLATE_TEST_CASE("delta_rule traffic: a written state is read once and written once", "", float,
                   bf16, i8) {
    for (const index_t n : {1, 4}) {
        const auto traffic = traffic_of_step<TestType>(kLayer, n, 0);
        if (!traffic) return;
        const index_t n_heads_k = kLayer.n_heads_k, d_k = kLayer.d_k, d_v = kLayer.d_v;
        const index_t n_heads_v = kLayer.n_heads_v();
        const StateBytes<TestType> state(kLayer, false);
        const index_t blocks = n_heads_v * (d_v / 64);
        CAPTURE(n);
        const Traffic expected{
            static_cast<std::uint64_t>(state.asked + 4 * n * (2 * blocks * d_k + n_heads_v * d_v) +
                                       // the decay is read by each lane, beta by one
                                       4 * n * blocks * (32 + 1)),
            static_cast<std::uint64_t>(state.written + 4 * n * n_heads_v * d_v),
            static_cast<std::uint64_t>(state.read +
                                       4 * n * (2 * n_heads_k * d_k + n_heads_v * (d_v + 2))),
            static_cast<std::uint64_t>(state.written + 4 * n * n_heads_v * d_v)};
        CHECK(traffic->read == expected.read);
        CHECK(traffic->written == expected.written);
        CHECK(traffic->distinct_read == expected.distinct_read);
        CHECK(traffic->distinct_written == expected.distinct_written);
    }
}

TEMPLATE_TEST_CASE("delta_rule traffic: with pending updates the state is read once, not written",
                   "", float, bf16, i8) {
    DeltaSizes sizes = kLayer;
    sizes.capacity = 12;
    for (const index_t n : {1, 4}) {
        for (const index_t pending : {0, 7}) {
            const auto traffic = traffic_of_step<TestType>(sizes, n, pending);
            if (!traffic) return;
            const index_t h_k = sizes.n_heads_k, h_v = sizes.n_heads_v(), d_k = sizes.d_k,
                          d_v = sizes.d_v;
            const StateBytes<TestType> state(sizes, true);
            const index_t blocks = h_v * (d_v / 64);
            CAPTURE(n, pending);
            CHECK(traffic->read ==
                  static_cast<std::uint64_t>(
                      state.asked + 4 * blocks * ((2 * n + pending) * d_k + 2 * n + pending) +
                      4 * h_v * ((n + pending) * d_v + n)));
            CHECK(traffic->written ==
                  static_cast<std::uint64_t>(4 * n * (2 * h_v * d_v + h_k * d_k + h_v)));
            CHECK(traffic->distinct_read ==
                  static_cast<std::uint64_t>(state.read +
                                             4 * n * (2 * h_k * d_k + h_v * (d_v + 2)) +
                                             4 * pending * (h_k * d_k + h_v * (d_v + 1))));
            CHECK(traffic->distinct_written == traffic->written);
        }
    }
}

#endif
