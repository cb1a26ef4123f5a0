// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Recorded layers of transformers (tests/golden/README.md), bound with oneDNN's projections.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/linear/onednn.hpp>

using namespace deltanet;
using namespace deltanet::test;

TEST_CASE("bind_layer makes OneDnnLinear of a checkpoint's matrices", "[onednn]") {
    for (const char* const name : {"layer_qwen3_next_r2", "layer_qwen3_5_f16"}) {
        CAPTURE(name);
        const Golden golden(std::string(name) + ".safetensors");
        const LayerConfig config = golden.config();
        const BoundLayer<OneDnnLinear> bound = bind_layer<OneDnnLinear>(
            golden.weights, golden.family(), config, golden.text("prefix"));
        DeltaNetLayer<LayerBackend<>, OneDnnLinear> layer(bound.config, bound.weights);
        StateSlots slots(config, {.slots = 1});
        const std::vector<float> y = run(layer, one(golden.rows("x")), golden.floats("x"), slots);
        CHECK(relative_rms(y, golden.floats("y")) <= 5e-6);  // as with EigenLinear
    }
}
