// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// After one call of a size, forward calls up to that size allocate nothing: not in the layer, not
/// in the kernels, not in Eigen's products.
#include "support/allocation_counter.hpp"
#include "support/catch_compat.hpp"
#include "support/guarded_memory.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/parallel/sequence_parallel.hpp>
#include <deltanet/parallel/tensor_parallel.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Allocations of f.
template <class F>
long allocations_of(F&& f) {
    const long before = allocations;
    f();
    return allocations - before;
}

/// Rank 1 of two, of which the other says the same.
struct EchoRank {
    static index_t rank() { return 1; }
    static index_t world() { return 2; }
    static void all_reduce(std::span<float> values) {
        for (float& v : values) v += v;
    }
    static void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
        std::copy(mine.begin(), mine.end(), all.begin());
        std::copy(mine.begin(), mine.end(), all.begin() + static_cast<index_t>(mine.size()));
    }
};

}  // namespace

TEST_CASE("the counter counts") {
    int* volatile escaped = nullptr;  // keeps the compiler from leaving the pair out
    CHECK(allocations_of([&] { escaped = new int(1); }) == 1);
    delete escaped;
#if defined(__GLIBC__) && !defined(DELTANET_TEST_SANITIZED)
    CHECK(allocations_of([] {
              Eigen::MatrixXf a = Eigen::MatrixXf::Random(300, 300);
              a = (a * a).eval();
          }) >= 1);
#endif
}

TEST_CASE("a warm forward allocates nothing") {
    LayerConfig config = small_config(4, 8, 64, 64, 1100);  // inner dimension in several blocks
    config.pre_norm = PreNorm::one_plus;
    config.residual = true;
    config.scan = GENERATE(ScanMode::automatic, ScanMode::recurrent, ScanMode::chunked);
    const RandomLayer random(config);
    std::vector<bf16> narrow;
    for (const float w : random.qkv.values) narrow.push_back(to_bf16(w));
    LayerWeights<EigenLinear> weights = random.split();
    weights.in_proj[0] =
        EigenLinear(View<const bf16, 2>(narrow.data(), {random.qkv.rows(), config.hidden}));
    DeltaNetLayer<LayerBackend<>> layer(config, weights);
    StateSlots slots(config, {.slots = 4, .layers = 2});

    constexpr index_t most = 150;
    const std::vector<float> x = Random(1).normals(most * config.hidden);
    std::vector<float> y(x.size());
    const auto forward = [&](const Batch& batch, const ForwardOptions& options) {
        layer.forward(batch, View<const float, 2>(x.data(), {batch.n_tokens(), config.hidden}),
                      View<float, 2>(y.data(), {batch.n_outputs(), config.hidden}), slots, options);
    };
    Batch interleaved =
        Batch::from_tokens(std::span<const int>(std::vector<int>{1, 0, 1, 0, 2, 2}));
    Batch selected = one(most);
    selected.select_outputs(std::vector<index_t>{most - 1});
    Batch mixed;
    mixed.add({.slot = 0, .n_tokens = 100, .start = Start::fresh})
        .add({.slot = 1})
        .add({.slot = 3, .n_tokens = 4});
    const std::vector<Batch> batches{one(most), one(1), one(2, Start::resume), one(64),
                                     one(0),    mixed,  interleaved,           selected};

    SECTION("with the layer's own workspace") {
        forward(batches[0], {});
        for (const Batch& batch : batches)
            CHECK(allocations_of([&] { forward(batch, {.layer = 1}); }) == 0);
    }
    SECTION("with memory of the caller, never") {
        std::vector<std::byte> memory(static_cast<std::size_t>(layer.workspace_bytes(most) + 64));
        void* aligned = memory.data();
        std::size_t space = memory.size();
        REQUIRE(std::align(64, static_cast<std::size_t>(layer.workspace_bytes(most)), aligned,
                           space) != nullptr);
        Workspace workspace(
            std::span<std::byte>(static_cast<std::byte*>(aligned),
                                 static_cast<std::size_t>(layer.workspace_bytes(most))));
        for (const Batch& batch : batches)
            CHECK(allocations_of([&] { forward(batch, {.workspace = &workspace}); }) == 0);
    }
    SECTION("filling a batch again") {
        Batch batch = mixed;
        CHECK(allocations_of([&] {
                  batch.clear();
                  batch.add({.slot = 2, .n_tokens = 5}).add({.slot = 0}).add({.slot = 1});
              }) == 0);
    }
}

TEST_CASE("a warm forward in another memory takes none of any") {
    const LayerConfig config = small_config();
    const RandomLayer random(config);
    GuardedMemory memory;
    DeltaNetLayer<GuardedBackend, GuardedLinear> layer(config, random.split<GuardedLinear>(),
                                                       GuardedBackend(memory));
    StateSlots slots(config, {.slots = 2, .rollback = 2, .memory = &memory});
    constexpr index_t most = 100;
    const auto bytes = most * config.hidden * static_cast<index_t>(sizeof(float));
    const detail::OwnedMemory x = detail::allocate_in(memory, bytes);
    const detail::OwnedMemory y = detail::allocate_in(memory, bytes);
    memory.upload(x.get(), Random(1).normals(most * config.hidden).data(), bytes);
    const auto forward = [&](const Batch& batch) {
        const Shape<2> shape{batch.n_tokens(), config.hidden};
        layer.forward(batch, View<const float, 2>(reinterpret_cast<float*>(x.get()), shape),
                      View<float, 2>(reinterpret_cast<float*>(y.get()), shape), slots);
    };
    const std::vector<Batch> batches{one(most), one(1, Start::resume), one(2, Start::resume)};
    forward(batches[0]);
    const long there = memory.n_allocations;
    for (const Batch& batch : batches) CHECK(allocations_of([&] { forward(batch); }) == 0);
    CHECK(memory.n_allocations == there);
}

TEST_CASE("a warm forward of several ranks allocates nothing") {
    const LayerConfig config = small_config(2, 4, 128, 128, 60);
    const RandomLayer random(config);
    DeltaNetLayer<LayerBackend<>> layer(config, random.split());
    StateSlots slots(config, {.slots = 2, .rollback = 2});
    EchoRank ranks;
    TensorParallel heads(layer, ranks);
    SequenceParallel tokens(layer, ranks);
    constexpr index_t most = 150;
    const std::vector<float> x = Random(1).normals(most * config.hidden);
    std::vector<float> y(x.size());
    const auto forward = [&](auto& parallel, const Batch& batch) {
        const Shape<2> shape{batch.n_tokens(), config.hidden};
        parallel.forward(batch, View<const float, 2>(x.data(), shape),
                         View<float, 2>(y.data(), shape), slots);
    };
    const std::vector<Batch> batches{one(most), one(1, Start::resume), one(40)};
    forward(heads, batches[0]);
    forward(tokens, batches[0]);
    for (const Batch& batch : batches) {
        CHECK(allocations_of([&] { forward(heads, batch); }) == 0);
        CHECK(allocations_of([&] { forward(tokens, batch); }) == 0);
    }
}
