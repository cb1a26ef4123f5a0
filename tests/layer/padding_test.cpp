// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Padding: sequences of negative slots are not read, not written, and give zeros. (Elsewhere an
/// index of -1 was clamped to slot 0, and padding wrote into a live sequence.)
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

#include <limits>

using namespace deltanet;
using namespace deltanet::test;

namespace {

template <class B>
void check_padding(const LayerConfig& config, index_t rollback) {
    const RandomLayer weights(config, 8);
    DeltaNetLayer<B, ReferenceLinear> layer(config, weights.split<ReferenceLinear>());
    const StateSlotsOptions options{.slots = 2, .rollback = rollback};
    StateSlots with(config, options), without(config, options);
    const index_t h = config.hidden;
    for (const index_t n : {70, 1, 3}) {
        std::vector<float> real = Random(static_cast<std::uint32_t>(n)).normals(2 * n * h);
        Batch plain;
        plain.add({.slot = 0, .n_tokens = n}).add({.slot = 1, .n_tokens = n});
        const std::vector<float> expected = run(layer, plain, real, without);

        // Between and behind them padding of 2 and 20 rows that hold NaN.
        std::vector<float> x = rows_of(real, h, 0, n);
        x.insert(x.end(), static_cast<std::size_t>(2 * h), std::numeric_limits<float>::quiet_NaN());
        const std::vector<float> second = rows_of(real, h, n, n);
        x.insert(x.end(), second.begin(), second.end());
        x.insert(x.end(), static_cast<std::size_t>(20 * h),
                 std::numeric_limits<float>::quiet_NaN());
        Batch padded;
        padded.add({.slot = 0, .n_tokens = n})
            .add({.slot = -1, .n_tokens = 2})
            .add({.slot = 1, .n_tokens = n})
            .add({.slot = -1, .n_tokens = 20, .start = Start::fresh});
        const std::vector<float> y = run(layer, padded, x, with);
        const std::vector<float> zeros(static_cast<std::size_t>(20 * h), 0.0F);
        CHECK(bit_equal(rows_of(y, h, 0, n), rows_of(expected, h, 0, n)));
        CHECK(bit_equal(rows_of(y, h, n, 2), rows_of(zeros, h, 0, 2)));
        CHECK(bit_equal(rows_of(y, h, n + 2, n), rows_of(expected, h, n, n)));
        CHECK(bit_equal(rows_of(y, h, 2 * n + 2, 20), zeros));
        for (const index_t slot : {0, 1}) CHECK(save_slot(with, slot) == save_slot(without, slot));
    }
}

}  // namespace

// Field row 18: padding written into a live slot.
TEST_CASE("padding gives zeros and touches nothing") {
    LayerConfig config = small_config();
    config.residual = GENERATE(false, true);
    for (const index_t rollback : {0, 4}) {
        check_padding<LayerBackend<>>(config, rollback);
        check_padding<ReferenceBackend>(config, rollback);
    }
}

TEST_CASE("padding may be rows with a negative id, and rows that are not wanted") {
    const LayerConfig config = small_config();
    const RandomLayer weights(config, 8);
    DeltaNetLayer<LayerBackend<>, ReferenceLinear> layer(config, weights.split<ReferenceLinear>());
    StateSlots slots(config, {.slots = 2}), alone(config, {.slots = 2});
    std::vector<float> x = Random(3).normals(5 * config.hidden);
    const std::vector<float> expected = run(
        layer, one(2, Start::resume),
        [&] {
            std::vector<float> two = rows_of(x, 20, 1, 1);
            const std::vector<float> last = rows_of(x, 20, 3, 1);
            two.insert(two.end(), last.begin(), last.end());
            return two;
        }(),
        alone);
    const std::vector<int> ids{-1, 0, -1, 0, -1};
    Batch batch = Batch::from_tokens(ids);
    const std::vector<float> y = run(layer, batch, x, slots);
    CHECK(bit_equal(rows_of(y, 20, 1, 1), rows_of(expected, 20, 0, 1)));
    CHECK(bit_equal(rows_of(y, 20, 3, 1), rows_of(expected, 20, 1, 1)));
    for (const index_t row : {0, 2, 4})
        CHECK(rows_of(y, 20, row, 1) == std::vector<float>(20, 0.0F));

    batch = Batch::from_tokens(ids);
    const std::vector<index_t> wanted{4, 3};
    batch.select_outputs(wanted);
    const std::vector<float> some = run(layer, batch, x, slots);
    CHECK(rows_of(some, 20, 0, 1) == std::vector<float>(20, 0.0F));
    CHECK(rows_of(some, 20, 1, 1) != std::vector<float>(20, 0.0F));
    for (const float value : some) CHECK(std::isfinite(value));
}
