// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The words of docs/state.md, and units.
#include "support/catch_compat.hpp"
#include <deltanet/deltanet.hpp>

using namespace deltanet;

TEST_CASE("describe says what slots cost", "[state_slots]") {
    // Memory of nobody's: it is not touched.
    std::vector<float*> layers(36, reinterpret_cast<float*>(64));
    const StateSlots slots(qwen3_next_80b_a3b(), {.slots = 64, .state = DType::bf16, .rollback = 8},
                           layers);
    CHECK(describe(slots) ==
          "StateSlots: 64 slots, 36 layers, bf16 state, rollback 8\n"
          "a slot: 55.2 MiB = 36 x ( recurrent 1.0 MiB + conv 96.0 KiB + 8 x 56.1 KiB pending )\n"
          "all slots: 3.4 GiB\n");
    CHECK(detail::bytes_text(0) == "0 B");
    CHECK(detail::bytes_text(1023) == "1023 B");
    CHECK(detail::bytes_text(1536) == "1.5 KiB");
    CHECK(detail::bytes_text(index_t{5} << 40) == "5.0 TiB");
}
