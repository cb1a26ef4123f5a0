// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Slots in device memory: random programs of everything that can happen to them, saved ones that
/// go on elsewhere, observers, and steps that take no memory, wait for nothing and can be captured.
#include "cuda/layer_pair.hpp"
#include "layer/state_programs.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// What an observer sees of one step, stage by stage.
template <class Layer>
std::vector<std::vector<float>> observed(Layer& layer, const Batch& batch,
                                         const std::vector<float>& x, StateSlots& slots) {
    MemorySpace& space = layer.memory();
    const auto bytes = static_cast<index_t>(x.size() * sizeof(float));
    const detail::OwnedMemory in = detail::allocate_in(space, bytes);
    const detail::OwnedMemory out = detail::allocate_in(space, bytes);
    space.upload(in.get(), x.data(), bytes);
    std::vector<std::vector<float>> seen;
    const Shape<2> shape{batch.n_tokens(), layer.config().hidden};
    layer.forward(batch, View<const float, 2>(reinterpret_cast<const float*>(in.get()), shape),
                  View<float, 2>(reinterpret_cast<float*>(out.get()), shape), slots, {},
                  [&seen](const Observation& o) { seen.push_back(elements(o.tensor)); });
    return seen;
}

/// x and y of a layer, on the device.
struct DeviceRows {
    DeviceTensor<float, 2> x, y;

    DeviceRows(const LayerPair& p, index_t n)
        : x({n, p.config.hidden}, rows_of(p.x, p.config.hidden, 0, n)), y({n, p.config.hidden}) {}
    void forward(LayerPair& p, const Batch& batch) {
        p.layer.forward(batch, x.cview().slice(0, 0, batch.n_tokens()),
                        y.view().slice(0, 0, batch.n_outputs()), p.slots);
    }
};

}  // namespace

TEST_CASE("cuda layer: programs of slot operations are a replay of the tokens that survive") {
    const LayerConfig config = [] {
        LayerConfig c = pair_config(8);
        c.n_heads_k = 1;
        c.n_heads_v = 2;
        c.hidden = 6;
        return c;
    }();
    const RandomLayer weights(config, 5);
    std::mt19937 generator(400);
    for (const index_t rollback : {0, 3, 8}) {
        for (int i = 0; i < 26; ++i) {
            const Program program = random_program(generator, 2 + generator() % 10);
            INFO("rollback " << rollback << "\n" << text_of(program));
            const auto run_program = [&] {
                CudaMemory memory;
                DeviceArrays arrays(memory);
                ProgramRunnerOf<CudaBackend, FloatLinear> runner(
                    config, on_device(weights.split<ReferenceLinear>(), arrays),
                    {.slots = 3, .layers = 2, .rollback = rollback}, CudaBackend(memory));
                runner.run(program);
                const double worst = runner.worst_difference();
                REQUIRE(worst <= kFloatBound);
                return std::vector<double>{worst};
            };
            if (i < 2) {
                static_cast<void>(for_each_schedule(run_program));
                continue;
            }
            static_cast<void>(run_program());
#if defined(DELTANET_SIMT)
            REQUIRE(simt::take_findings().empty());
#endif
        }
    }
}

TEST_CASE("cuda layer: a session goes on where it was saved, here or there") {
    const DType state = GENERATE(DType::f32, DType::i8);
    const double bound = kFloatBound + storage_bound(state);
    static_cast<void>(for_each_schedule([&] {
        LayerPair p(pair_config(16), {.slots = 2, .state = state, .rollback = 4});
        p.step({{.slot = 0, .n_tokens = 7, .start = Start::fresh}}, bound);
        p.step({{.slot = 0, .n_tokens = 3}}, bound);  // stays pending
        const std::vector<std::byte> there = save_slot(p.slots, 0, 5);
        const std::vector<std::byte> here = save_slot(p.expected, 0, 5);
        load_slot(p.expected, 1, there, 5);
        load_slot(p.slots, 1, here, 5);
        REQUIRE(save_slot(p.expected, 1, 5) == there);
        REQUIRE(save_slot(p.slots, 1, 5) == here);
        p.step({{.slot = 1, .n_tokens = 2}}, bound);  // folds what was pending elsewhere
        p.compare_slots(bound);
        // Less room for rollback and another type: folded and converted.
        StateSlots narrow(p.config, p.there({.slots = 1, .state = DType::f16, .rollback = 1}));
        load_slot(narrow, 0, here, 5);
        load_slot(p.expected, 1, here, 5);
        REQUIRE(narrow.pending(0) == 1);
        REQUIRE(relative_rms(p.logical(narrow, 0), p.logical(p.expected, 1)) <=
                storage_bound(DType::f16));
        return p.kept();
    }));
}

TEST_CASE("cuda layer: an observer sees what the oracle's sees") {
    static_cast<void>(for_each_schedule([&] {
        LayerPair p(pair_config(16), {.slots = 3, .rollback = 2});
        std::vector<std::vector<float>> all;
        for (const Start start : {Start::fresh, Start::resume}) {
            Batch batch;
            batch.add({.slot = 0, .n_tokens = 5, .start = start}).add({.slot = 2, .n_tokens = 2});
            const std::vector<float> rows = rows_of(p.x, p.config.hidden, 0, 7);
            const auto wanted = observed(p.oracle, batch, rows, p.expected);
            const auto seen = observed(p.layer, batch, rows, p.slots);
            REQUIRE(seen.size() == wanted.size());
            for (std::size_t i = 0; i < seen.size(); ++i) {
                CAPTURE(i);
                REQUIRE(relative_rms(seen[i], wanted[i]) <= kFloatBound);
                all.push_back(seen[i]);
            }
        }
        return all.back();
    }));
}

TEST_CASE("cuda layer: a warm forward takes no memory and waits for nothing") {
    LayerPair p(pair_config(16), {.slots = 3, .rollback = 2});
    DeviceRows rows(p, 40);
    Batch mixed;
    mixed.add({.slot = 0, .n_tokens = 30, .start = Start::fresh})
        .add({.slot = 1, .n_tokens = 2})
        .add({.slot = -1, .n_tokens = 1});
    rows.forward(p, mixed);
    mixed.select_outputs(std::vector<index_t>{3, 32});
#if defined(DELTANET_SIMT)
    const simt::Metrics before = simt::metrics;
    rows.forward(p, mixed);
    rows.forward(p, one(1, Start::resume));
    rows.forward(p, one(2, Start::resume));
    CHECK(simt::metrics.device_allocations == before.device_allocations);
    CHECK(simt::metrics.waits == before.waits);
    CHECK(simt::metrics.launches > before.launches);
#endif
}

TEST_CASE("cuda layer: a decoding step captured in a graph runs again and again") {
    cudaStream_t stream = nullptr;
    require_success(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    {
        LayerPair p(pair_config(16), {.slots = 2}, stream);
        DeviceRows rows(p, 2);
        Batch batch;
        batch.add({.slot = 0}).add({.slot = 1});
        p.both([](StateSlots& slots) {
            for (index_t slot = 0; slot < 2; ++slot) slots.reset(slot);
        });
        rows.forward(p, batch);  // memory is taken here
        const std::vector<float> x = rows_of(p.x, p.config.hidden, 0, 2);
        static_cast<void>(run(p.oracle, batch, x, p.expected));

        cudaGraph_t graph = nullptr;
        cudaGraphExec_t step = nullptr;
        require_success(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        rows.forward(p, batch);
        require_success(cudaStreamEndCapture(stream, &graph));
        require_success(cudaGraphInstantiate(&step, graph, 0));
        for (int token = 0; token < 3; ++token) {
            require_success(cudaGraphLaunch(step, stream));
            require_success(cudaStreamSynchronize(stream));
            for (const SequenceSpan& s : batch.sequences()) p.slots.advance(0, s, 0);
            const std::vector<float> wanted = run(p.oracle, batch, x, p.expected);
            CHECK(relative_rms(rows.y.download(), wanted) <= kFloatBound);
        }
        for (index_t slot = 0; slot < 2; ++slot) CHECK(p.slots.position(slot) == 5);
        for (index_t slot = 0; slot < 2; ++slot)
            CHECK(relative_rms(p.logical(p.slots, slot), p.logical(p.expected, slot)) <=
                  kFloatBound);
        require_success(cudaGraphExecDestroy(step));
        require_success(cudaGraphDestroy(graph));
    }
    require_success(cudaStreamDestroy(stream));
}
