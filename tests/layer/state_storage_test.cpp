// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The layer over 16-bit states: what a forward says does not depend on how its result is stored,
/// what is stored is the float state rounded, and observers see floats.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

std::vector<float> random_x(const LayerConfig& config, index_t n) {
    Random random(11);
    return random.normals(n * config.hidden);
}

/// Rounding a state of T tokens once a token moves it by at most a random walk of T steps of half a
/// unit each, and forgetting makes that less: bf16 2^-9 sqrt(T), f16 2^-12 sqrt(T), int8 half a
/// fifteenth of a 127th of a column's largest element, four times its rms, sqrt(T).
double drift(DType dtype, index_t n_tokens) {
    const double step = dtype == DType::bf16  ? 0x1p-9
                        : dtype == DType::f16 ? 0x1p-12
                                              : 4 * 0.5 / 15 / 127;
    return step * std::sqrt(static_cast<double>(n_tokens));
}

}  // namespace

TEST_CASE("a prefill says the same over states of any type, and stores them rounded") {
    const DType dtype = GENERATE(DType::bf16, DType::f16);
    const index_t n_tokens = GENERATE(1, 5, 70);
    const LayerConfig config = small_config();
    const RandomLayer random(config);
    const std::vector<float> x = random_x(config, n_tokens);
    DeltaNetLayer<LayerBackend<>> layer(config, random.split());
    StateSlots wide(config, {.slots = 2});
    StateSlots narrow(config, {.slots = 2, .state = dtype});
    const Batch batch = one(n_tokens, Start::fresh, 1);
    const std::vector<float> expected = run(layer, batch, x, wide);
    CHECK(bit_equal(run(layer, batch, x, narrow), expected));
    CHECK(bit_equal(elements(narrow.conv(0)[1]), elements(wide.conv(0)[1])));
    const Shape<3> shape{config.n_heads_v, config.d_k, config.d_v};
    std::vector<float> stored(static_cast<std::size_t>(shape[0] * shape[1] * shape[2]));
    export_recurrent(narrow, 1, 0, View<float, 3>(stored.data(), shape), StateOrder::k_first);
    std::vector<float> rounded = elements(wide.recurrent(0)[1]);
    for (float& s : rounded) s = dtype == DType::bf16 ? to_float(to_bf16(s)) : to_float(to_f16(s));
    CHECK(bit_equal(stored, rounded));
}

/// Without residuals a state that is stored after every token is off by 1e-2 here.
TEST_CASE("int8: the residual feeds back what rounding lost") {
    constexpr index_t n_tokens = 400;
    const LayerConfig config = small_config();
    const RandomLayer random(config);
    const std::vector<float> x = random_x(config, n_tokens);
    DeltaNetLayer<LayerBackend<>> layer(config, random.split());
    for (const index_t rollback : {0, 1, 8}) {
        StateSlots wide(config, {.slots = 1});
        StateSlots narrow(config, {.slots = 1, .state = DType::i8, .rollback = rollback});
        double early = 0.0, late = 0.0;
        for (index_t t = 0; t < n_tokens; ++t) {
            const Batch batch = one(1, t == 0 ? Start::fresh : Start::resume);
            const std::vector<float> token = rows_of(x, config.hidden, t, 1);
            const double error =
                relative_rms(run(layer, batch, token, narrow), run(layer, batch, token, wide));
            if (t >= 40 && t < 120) early += error / 80;
            if (t >= n_tokens - 80) late += error / 80;
        }
        CAPTURE(rollback, early, late);
        // Off by half a step of what is read, over elements a quarter of their column's largest,
        // and with no growth: R = 0 reads residuals, else the integers.
        CHECK(late <= (rollback == 0 ? 4 * 0.5 / 127 / 15 : 4 * 0.5 / 127));
        CHECK(late <= 1.5 * early);
    }
}

// Field row 37: bytes of a state.
TEST_CASE("decoding over narrow states stays within the drift of their rounding") {
    const DType dtype = GENERATE(DType::bf16, DType::f16, DType::i8);
    constexpr index_t n_tokens = 60;
    const LayerConfig config = small_config();
    const RandomLayer random(config);
    const std::vector<float> x = random_x(config, n_tokens);
    DeltaNetLayer<LayerBackend<>> layer(config, random.split());
    DeltaNetLayer<ReferenceBackend> reference(config, random.split());
    StateSlots wide(config, {.slots = 1});
    StateSlots narrow(config, {.slots = 1, .state = dtype});
    StateSlots oracle(config, {.slots = 1, .state = dtype});
    std::vector<float> expected, actual, from_reference;
    for (index_t t = 0; t < n_tokens; ++t) {
        const Batch batch = one(1, t == 0 ? Start::fresh : Start::resume);
        const std::vector<float> token = rows_of(x, config.hidden, t, 1);
        const auto append = [](std::vector<float>& to, const std::vector<float>& y) {
            to.insert(to.end(), y.begin(), y.end());
        };
        append(expected, run(layer, batch, token, wide));
        append(actual, run(layer, batch, token, narrow));
        append(from_reference, run(reference, batch, token, oracle));
    }
    const double error = relative_rms(actual, expected);
    CHECK(error <= drift(dtype, n_tokens));
    CHECK(error > 0.0);  // it is rounded
    CHECK(relative_rms(actual, from_reference) <= drift(dtype, n_tokens));
}

TEST_CASE("observers see 16-bit states as floats") {
    const LayerConfig config = small_config();
    const RandomLayer random(config);
    const std::vector<float> x = random_x(config, 4);
    DeltaNetLayer<LayerBackend<>> layer(config, random.split());
    StateSlots slots(config, {.slots = 2, .state = DType::bf16});
    static_cast<void>(run(layer, one(3, Start::fresh, 1), rows_of(x, config.hidden, 0, 3), slots));
    std::vector<float> y(x.size());
    Batch batch;
    batch.add({.slot = 1, .n_tokens = 2}).add({.slot = 0, .n_tokens = 2, .start = Start::fresh});
    const auto exported = [&](index_t slot) {
        std::vector<float> state(
            static_cast<std::size_t>(config.n_heads_v * config.d_k * config.d_v));
        export_recurrent(slots, slot, 0,
                         View<float, 3>(state.data(), {config.n_heads_v, config.d_k, config.d_v}),
                         StateOrder::k_first);
        return state;
    };
    const std::vector<float> before = exported(1);
    std::vector<std::vector<float>> seen;
    layer.forward(batch, View<const float, 2>(x.data(), {4, config.hidden}),
                  View<float, 2>(y.data(), {4, config.hidden}), slots, {},
                  [&](const Observation& o) {
                      if (o.stage == Stage::state_predelta || o.stage == Stage::new_state)
                          seen.push_back(elements(o.tensor));
                  });
    REQUIRE(seen.size() == 4);
    CHECK(seen[0] == before);
    CHECK(seen[1] == std::vector<float>(before.size(), 0.0F));
    CHECK(seen[2] == exported(1));
    CHECK(seen[3] == exported(0));
}
