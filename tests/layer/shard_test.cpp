// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A layer cut into ranks: the outputs of the ranks add up to those of the whole layer, and their
/// states are its heads' states.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/parallel/shard.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

enum class Packing : std::uint8_t { split, packed, separate };

LayerWeights<EigenLinear> packed_as(const RandomLayer& layer, Packing packing) {
    return packing == Packing::split    ? layer.split()
           : packing == Packing::packed ? layer.packed()
                                        : layer.separate();
}

/// Prefill and then some decoding of two sequences; the outputs of all calls.
template <class Layer>
std::vector<float> outputs_of(Layer& layer, StateSlots& slots) {
    std::vector<float> all;
    const auto call = [&](index_t n, Start start, std::uint32_t seed) {
        Batch batch;
        batch.add({.slot = 0, .n_tokens = n, .start = start});
        batch.add({.slot = 1, .n_tokens = 2 * n, .start = start});
        const std::vector<float> x = Random(seed).normals(3 * n * layer.config().hidden);
        const std::vector<float> y = run(layer, batch, x, slots);
        all.insert(all.end(), y.begin(), y.end());
    };
    call(40, Start::fresh, 1);
    for (const std::uint32_t seed : {2U, 3U, 4U}) call(1, Start::resume, seed);
    return all;
}

}  // namespace

TEST_CASE("the outputs of ranks add up to the layer's") {
    const index_t r = GENERATE(1, 2, 3, 4);
    const bool tiled = GENERATE(false, true);
    const auto packing = GENERATE(Packing::split, Packing::packed, Packing::separate);
    if (tiled && packing == Packing::packed) return;  // there is no such thing
    CAPTURE(r, tiled, static_cast<int>(packing));
    LayerConfig config = small_config(5, 5 * r, 8, 12, 16);
    config.pre_norm = PreNorm::plain;
    config.residual = true;
    const RandomLayer grouped(config);
    RandomLayer random = tiled ? grouped.tiled() : grouped;
    random.conv_bias = Random(7).normals(config.conv_dim());
    const LayerWeights<EigenLinear> weights = packed_as(random, packing);
    DeltaNetLayer<LayerBackend<>> whole(random.config, weights);
    StateSlots whole_slots(random.config, {.slots = 2});
    const std::vector<float> expected = outputs_of(whole, whole_slots);
    for (const index_t world : {1, 2, 3, 5}) {
        CAPTURE(world);
        std::vector<float> sum(expected.size(), 0.0F);
        index_t heads = 0;
        for (index_t rank = 0; rank < world; ++rank) {
            const LayerShard<EigenLinear> part = shard(random.config, weights, rank, world);
            CHECK(part.first_key_head == heads);
            CHECK(part.config.residual == (rank == 0));
            heads += part.config.n_heads_k;
            DeltaNetLayer<LayerBackend<>, ShardedLinear<EigenLinear>> layer(part.config,
                                                                            part.weights);
            StateSlots slots(part.config, {.slots = 2});
            const std::vector<float> y = outputs_of(layer, slots);
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += y[i];
            // the states of its heads
            std::vector<float> mine, theirs;
            for (index_t h = 0; h < part.config.n_heads_v; ++h) {
                const index_t local_key = key_head_of(part.config.head_map, h,
                                                      part.config.n_heads_k, part.config.n_heads_v);
                const index_t in_group =
                    part.config.head_map == HeadMap::grouped ? h % r : h / part.config.n_heads_k;
                const index_t key = part.first_key_head + local_key;
                const index_t whole_h = part.config.head_map == HeadMap::grouped
                                            ? key * r + in_group
                                            : in_group * config.n_heads_k + key;
                for (index_t s = 0; s < 2; ++s) {
                    const std::vector<float> a = elements(slots.recurrent(0)[s][h]);
                    const std::vector<float> b = elements(whole_slots.recurrent(0)[s][whole_h]);
                    mine.insert(mine.end(), a.begin(), a.end());
                    theirs.insert(theirs.end(), b.begin(), b.end());
                }
            }
            CHECK(relative_rms(mine, theirs) < 2e-6);
        }
        CHECK(heads == config.n_heads_k);
        CHECK(relative_rms(sum, expected) < 2e-6);  // the order of sums in the output projection
    }
}

TEST_CASE("layers that cannot be cut into so many ranks say why") {
    const LayerConfig config = small_config(3, 6);
    const RandomLayer random(config);
    CHECK(message_of([&] { static_cast<void>(shard(config, random.split(), 0, 4)); }) ==
          "shard: world: expected at most 3, for 3 key heads with 48 columns each in an output "
          "projection in blocks of 1, found 4");
    CHECK(message_of([&] { static_cast<void>(shard(config, random.split(), 2, 2)); }) ==
          "shard: rank: expected 0 to 1, found 2");
    CHECK(message_of([&] { static_cast<void>(shard(config, random.split(), 0, 0)); }) ==
          "shard: world: expected at least 1, found 0");
}

TEST_CASE("quantised projections are cut between their blocks") {
    // 4 key heads of 2 value heads of 16: 32 columns a key head, a block of Q8_0
    LayerConfig config = small_config(4, 8, 16, 16, 32);
    RandomLayer random(config);
    std::vector<std::vector<std::byte>> blocks;
    const auto quantised = [&](const Matrix& m) {
        std::vector<std::byte> bytes;
        for (index_t row = 0; row < m.rows(); ++row) {
            for (index_t block = 0; block < m.cols / 32; ++block) {
                const f16 scale = to_f16(1.0F / 64);
                bytes.push_back(static_cast<std::byte>(scale.bits & 0xFFU));
                bytes.push_back(static_cast<std::byte>(scale.bits >> 8));
                for (index_t i = 0; i < 32; ++i) {
                    const float w = m.view()(row, block * 32 + i) * 64;
                    bytes.push_back(static_cast<std::byte>(
                        static_cast<std::int8_t>(std::clamp(w, -127.0F, 127.0F))));
                }
            }
        }
        blocks.push_back(std::move(bytes));
        return EigenLinear(
            WeightMatrix(WeightFormat::q8_0, blocks.back().data(), {m.rows(), m.cols}));
    };
    LayerWeights<EigenLinear> weights = random.split();
    weights.in_proj = {quantised(random.qkv), quantised(random.z), quantised(random.b),
                       quantised(random.a)};
    weights.out_proj = quantised(random.out);
    DeltaNetLayer<LayerBackend<>> whole(config, weights);
    StateSlots whole_slots(config, {.slots = 2});
    const std::vector<float> expected = outputs_of(whole, whole_slots);
    std::vector<float> sum(expected.size(), 0.0F);
    for (index_t rank = 0; rank < 3; ++rank) {
        const LayerShard<EigenLinear> part = shard(config, weights, rank, 3);
        DeltaNetLayer<LayerBackend<>, ShardedLinear<EigenLinear>> layer(part.config, part.weights);
        StateSlots slots(part.config, {.slots = 2});
        const std::vector<float> y = outputs_of(layer, slots);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += y[i];
    }
    CHECK(relative_rms(sum, expected) < 2e-6);

    // tiled, a key head has 16 columns side by side: two of them fill a block
    LayerConfig tiled = config;
    tiled.head_map = HeadMap::tiled;
    CHECK(shard(tiled, weights, 0, 2).config.n_heads_k == 2);
    CHECK(message_of([&] { static_cast<void>(shard(tiled, weights, 0, 3)); }) ==
          "shard: world: expected at most 2, for 4 key heads with 16 columns each in an output "
          "projection in blocks of 32, found 3");
}
