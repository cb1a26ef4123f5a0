// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// An arena of 40 GB, of which only the pages that are used exist: offsets beyond 2^31 elements and
/// beyond 2^32 bytes. (Elsewhere 32-bit offsets overflowed in large pools of states.)
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

#include <sys/mman.h>

using namespace deltanet;
using namespace deltanet::test;

TEST_CASE("slots and layers may be 40 GB apart") {
    constexpr index_t floats = 10'000'000'000;
    void* const memory = mmap(nullptr, floats * sizeof(float), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        WARN("skipped: this system maps no 40 GB of which none is used");
        return;
    }
    const LayerConfig config = small_config();
    const bool far_layers = GENERATE(false, true);
    StateSlotsOptions options{.slots = 2, .layers = 2, .rollback = 4};
    (far_layers ? options.layer_stride : options.slot_stride) =
        far_layers ? floats - 200'000 : (floats - 200'000) / 4;
    if (far_layers) options.slot_stride = 50'000;
    const RandomLayer weights(config, 3);
    DeltaNetLayer<LayerBackend<>, ReferenceLinear> layer(config, weights.split<ReferenceLinear>());
    {
        StateSlots far(
            config, options,
            std::span<float>(static_cast<float*>(memory), static_cast<std::size_t>(floats)));
        StateSlots near(config, {.slots = 2, .layers = 2, .rollback = 4});
        for (const index_t n : {70, 3, 1, 4, 9}) {
            const std::vector<float> x =
                Random(static_cast<std::uint32_t>(n)).normals(2 * n * config.hidden);
            const Start start = n == 70 ? Start::fresh : Start::resume;
            Batch batch;
            batch.add({.slot = 1, .n_tokens = n, .start = start})
                .add({.slot = 0, .n_tokens = n, .start = start});
            for (const index_t l : {0, 1})
                CHECK(bit_equal(run(layer, batch, x, far, l), run(layer, batch, x, near, l)));
            if (n == 3) {
                for (StateSlots* slots : {&far, &near}) slots->rollback(1, 2);
            }
        }
        far.copy(1, 0);
        CHECK(save_slot(far, 0) == save_slot(near, 1));
        load_slot(far, 1, save_slot(near, 0));
        CHECK(save_slot(far, 1) == save_slot(near, 0));
    }
    munmap(memory, floats * sizeof(float));
}
