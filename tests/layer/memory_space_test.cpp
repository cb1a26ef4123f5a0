// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A layer whose states, workspace and activations are in memory that the host cannot touch
/// (support/guarded_memory.hpp) does everything that one in host memory does, with the same bits.
#include "state_programs.hpp"
#include "support/catch_compat.hpp"
#include "support/guarded_memory.hpp"
#include <deltanet/prefix_cache.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using ProgramRunner = ProgramRunnerOf<LayerBackend<>, ReferenceLinear>;

using HostLayer = DeltaNetLayer<LayerBackend<>, ReferenceLinear>;
using GuardedLayer = DeltaNetLayer<GuardedBackend, GuardedLinear>;

struct Fixture {
    LayerConfig config = small_config();
    RandomLayer weights{config, 21};
    GuardedMemory memory{};
    std::vector<float> x = Random(22).normals(200 * config.hidden);

    [[nodiscard]] HostLayer host_layer() const {
        return {config, weights.split<ReferenceLinear>()};
    }
    [[nodiscard]] GuardedLayer guarded_layer() {
        return {config, weights.split<GuardedLinear>(), GuardedBackend(memory)};
    }
    [[nodiscard]] std::vector<float> first(index_t n) const {
        return rows_of(x, config.hidden, 0, n);
    }
};

/// Everything that an observer sees.
template <class Layer>
std::vector<float> observed(Layer& layer, const Batch& batch, const std::vector<float>& x,
                            StateSlots& slots) {
    const index_t hidden = layer.config().hidden;
    MemorySpace& space = layer.memory();
    const auto bytes = static_cast<index_t>(x.size() * sizeof(float));
    const detail::OwnedMemory in = detail::allocate_in(space, bytes);
    const detail::OwnedMemory out = detail::allocate_in(space, bytes);
    space.upload(in.get(), x.data(), bytes);
    std::vector<float> seen;
    const Shape<2> shape{batch.n_tokens(), hidden};
    layer.forward(batch, View<const float, 2>(reinterpret_cast<const float*>(in.get()), shape),
                  View<float, 2>(reinterpret_cast<float*>(out.get()), shape), slots, {},
                  [&seen](const Observation& o) {
                      const std::vector<float> part = elements(o.tensor);
                      seen.insert(seen.end(), part.begin(), part.end());
                  });
    return seen;
}

}  // namespace

TEST_CASE("programs of slot operations in memory of another space have the bits of the host's") {
    const DType state = GENERATE(DType::f32, DType::bf16, DType::i8);
    const index_t rollback = GENERATE(0, 1, 5, 32);
    LayerConfig config = small_config(1, 2, 8, 12, 6);
    config.deterministic = rollback == 5;
    config.residual = rollback == 1;
    const RandomLayer weights(config, 5);
    const StateSlotsOptions options{.slots = ProgramRunner::n_slots,
                                    .layers = ProgramRunner::n_layers,
                                    .state = state,
                                    .rollback = rollback};
    std::mt19937 generator(static_cast<std::uint32_t>(200 + rollback));
    for (int i = 0; i < 20; ++i) {
        const Program program = random_program(generator, 2 + generator() % 12);
        GuardedMemory memory;
        ProgramRunnerOf<GuardedBackend, GuardedLinear> guarded(
            config, weights.split<GuardedLinear>(), options, GuardedBackend(memory));
        ProgramRunner host(weights, options);
        guarded.run(program);
        host.run(program);
        INFO(text_of(program));
        REQUIRE(guarded.saved() == host.saved());
        REQUIRE(guarded.worst_difference() == host.worst_difference());
    }
}

TEST_CASE("a session saved in one memory goes on in another") {
    Fixture f;
    HostLayer host = f.host_layer();
    GuardedLayer guarded = f.guarded_layer();
    const index_t rollback = GENERATE(0, 3, 8);
    StateSlots here(f.config, {.slots = 2, .rollback = 8});
    StateSlots there(f.config, {.slots = 2, .rollback = rollback, .memory = &f.memory});
    static_cast<void>(run(host, one(70), f.first(70), here));
    static_cast<void>(run(host, one(5, Start::resume), f.first(5), here));
    load_slot(there, 1, save_slot(here, 0));
    CHECK(there.position(1) == 75);
    CHECK(there.pending(1) == std::min<index_t>(rollback, 5));
    if (rollback == 8) CHECK(save_slot(there, 1) == save_slot(here, 0));
    const std::vector<float> y = run(host, one(1, Start::resume), f.first(1), here);
    // Folding in another order rounds differently: some epsilons of a sum of 75 updates.
    CHECK(relative_rms(run(guarded, one(1, Start::resume, 1), f.first(1), there), y) <= 1e-5);
    load_slot(here, 1, save_slot(there, 1));
    CHECK(here.position(1) == 76);
}

TEST_CASE("states of another memory are exchanged with other programs") {
    Fixture f;
    const DType state = GENERATE(DType::f32, DType::bf16);
    StateSlots here(f.config, {.slots = 2, .state = state, .rollback = 2});
    StateSlots there(f.config, {.slots = 2, .state = state, .rollback = 2, .memory = &f.memory});
    const index_t channels = f.config.conv_dim(), taps = f.config.conv_taps();
    const std::vector<float> conv = Random(3).normals(channels * taps);
    const std::vector<float> recurrent = Random(4).normals(4 * 16 * 24);
    const View<const float, 2> conv_in(conv.data(), {channels, taps});
    const View<const float, 3> recurrent_in(recurrent.data(), {4, 16, 24});
    for (StateSlots* slots : {&here, &there}) {
        import_conv(*slots, 1, 0, conv_in);
        import_recurrent(*slots, 1, 0, recurrent_in, StateOrder::k_first);
    }
    CHECK(save_slot(here, 1) == save_slot(there, 1));
    std::vector<float> conv_out(conv.size()), recurrent_out(recurrent.size()), expected(recurrent);
    export_conv(there, 1, 0, {conv_out.data(), {channels, taps}});
    export_recurrent(there, 1, 0, {recurrent_out.data(), {4, 16, 24}}, StateOrder::k_first);
    export_recurrent(here, 1, 0, {expected.data(), {4, 16, 24}}, StateOrder::k_first);
    CHECK(bit_equal(conv_out, conv));
    CHECK(bit_equal(recurrent_out, expected));
}

TEST_CASE("an observer sees copies of what is in another memory") {
    Fixture f;
    f.config.residual = true;
    HostLayer host = f.host_layer();
    GuardedLayer guarded = f.guarded_layer();
    StateSlots here(f.config, {.slots = 3, .rollback = 4});
    StateSlots there(f.config, {.slots = 3, .rollback = 4, .memory = &f.memory});
    Batch batch;
    batch.add({.slot = 0, .n_tokens = 20, .start = Start::fresh})
        .add({.slot = -1, .n_tokens = 2})
        .add({.slot = 2, .n_tokens = 3});
    for (int step = 0; step < 2; ++step) {
        CHECK(bit_equal(observed(guarded, batch, f.first(25), there),
                        observed(host, batch, f.first(25), here)));
    }
}

TEST_CASE("padding, selected rows and rows in any order in another memory") {
    Fixture f;
    f.config.residual = GENERATE(false, true);
    f.config.pre_norm = PreNorm::one_plus;
    HostLayer host = f.host_layer();
    GuardedLayer guarded = f.guarded_layer();
    StateSlots here(f.config, {.slots = 3}), there(f.config, {.slots = 3, .memory = &f.memory});
    std::vector<int> ids;
    for (int i = 0; i < 150; ++i) ids.push_back(i % 5 < 2 ? -1 : i % 3);  // 60 rows are padding
    Batch batch = Batch::from_tokens(ids);
    CHECK(
        bit_equal(run(guarded, batch, f.first(150), there), run(host, batch, f.first(150), here)));
    const std::vector<index_t> rows{149, 0, 7, 7};
    batch.select_outputs(rows);
    CHECK(
        bit_equal(run(guarded, batch, f.first(150), there), run(host, batch, f.first(150), here)));
}

TEST_CASE("a prefix cache works on slots in another memory") {
    Fixture f;
    GuardedLayer layer = f.guarded_layer();
    StateSlots slots(f.config, {.slots = 2, .memory = &f.memory});
    static_cast<void>(run(layer, one(3), f.first(3), slots));
    PrefixCache cache(index_t{1} << 20);
    const std::vector<PrefixCache::Token> tokens{5, 6, 7, 8};
    CHECK(cache.insert(std::span(tokens).first(3), slots, 0));
    CHECK(cache.restore(tokens, slots, 1) == 3);
    CHECK(save_slot(slots, 1) == save_slot(slots, 0));
}

TEST_CASE("memory of the wrong space is refused before anything is written") {
    Fixture f;
    HostLayer host = f.host_layer();
    GuardedLayer guarded = f.guarded_layer();
    StateSlots here(f.config, {.slots = 2}), there(f.config, {.slots = 2, .memory = &f.memory});
    CHECK(message_of([&] { static_cast<void>(run(guarded, one(1), f.first(1), here)); }) ==
          "DeltaNetLayer::forward: slots: expected memory of the layer's backend, guarded, found "
          "host");
    CHECK(message_of([&] { static_cast<void>(run(host, one(1), f.first(1), there)); }) ==
          "DeltaNetLayer::forward: slots: expected memory of the layer's backend, host, found "
          "guarded");
    Workspace workspace(f.memory);
    std::vector<float> y(f.x.size());
    CHECK(message_of([&] {
              host.forward(one(1), View<const float, 2>(f.x.data(), {1, f.config.hidden}),
                           View<float, 2>(y.data(), {1, f.config.hidden}), here,
                           {.workspace = &workspace});
          }) ==
          "DeltaNetLayer::forward: options.workspace: expected memory of the layer's backend, "
          "host, found guarded");
    const Snapshot snapshots[] = {{1, 0, &there}};
    Batch batch;
    batch.add({.slot = 0, .n_tokens = 2, .start = Start::fresh, .snapshots = snapshots});
    CHECK(message_of([&] { static_cast<void>(run(host, batch, f.first(2), here)); }) ==
          "DeltaNetLayer::forward: sequences[0].snapshots[0].arena: expected memory of the step's "
          "slots, host, found guarded");
    CHECK(message_of([&] {
              StateSlots slots(f.config, {.slots = 1, .huge_pages = true, .memory = &f.memory});
          }) ==
          "StateSlots: huge_pages: expected false, as the memory is not the host's, found true");
}
