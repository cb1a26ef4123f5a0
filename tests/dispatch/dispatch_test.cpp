// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The choice of an instruction set, and the chosen kernels against those that the flags of this
/// file allow.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include "support/linear_run.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/dispatch/backend.hpp>
#include <deltanet/dispatch/cpu_features.hpp>
#include <deltanet/linear/reference.hpp>

#include <cstdlib>

using namespace deltanet;
using namespace deltanet::test;

namespace {

const std::vector<CpuArch> kArchs{
    {"baseline", "", ""}, {"avx2", "avx2,fma", ""}, {"avx512", "avx512f,avx512bw", "avx512f"}};

}  // namespace

TEST_CASE("the best usable instruction set is chosen, and the text says why") {
    CpuInfo info = dispatch::choose(kArchs, nullptr);
    CHECK(info.arch().name == "avx2");
    CHECK_FALSE(info.forced);
    CHECK(info.text() ==
          "avx2: the best of baseline, avx2 (avx512 is compiled in, avx512f is missing)");
    CHECK(dispatch::choose(kArchs, "").arch().name == "avx2");
    CHECK(dispatch::choose({kArchs[0]}, nullptr).text() == "baseline: the best of baseline");
}

TEST_CASE("DELTANET_ARCH takes another one") {
    const CpuInfo info = dispatch::choose(kArchs, "baseline");
    CHECK(info.arch().name == "baseline");
    CHECK(info.forced);
    CHECK(info.text() ==
          "baseline: as DELTANET_ARCH says, of baseline, avx2 (avx512 is compiled "
          "in, avx512f is missing)");
}

TEST_CASE("DELTANET_ARCH: what is not there, or does not work here, is an error") {
    CHECK(message_of([] { static_cast<void>(dispatch::choose(kArchs, "avx10")); }) ==
          "cpu_info: DELTANET_ARCH: expected one of baseline, avx2, avx512, found avx10");
    CHECK(message_of([] { static_cast<void>(dispatch::choose(kArchs, "avx512")); }) ==
          "cpu_info: DELTANET_ARCH: expected an instruction set that works here (baseline, avx2), "
          "found avx512, which needs avx512f");
}

TEST_CASE("features that no CPU has are missing") {
    CHECK(dispatch::missing_feature("").empty());
    CHECK(dispatch::missing_feature("teapot") == "teapot");
    CHECK(dispatch::cpu_has("teapot") == -1);
#if defined(__x86_64__)
    CHECK(dispatch::cpu_has("avx2") != -1);
    if (dispatch::cpu_has("avx2") == 0) CHECK(dispatch::missing_feature("fma,avx2") == "avx2");
#endif
}

TEST_CASE("cpu_info names a usable instruction set, the one that the environment asks for") {
    const CpuInfo& info = cpu_info();
    INFO(info.text());
    CHECK(info.arch().missing.empty());
    CHECK(&cpu_info() == &info);
    if (const char* wanted = std::getenv("DELTANET_ARCH")) CHECK(info.arch().name == wanted);
}

TEST_CASE("the layer computes the same with the chosen instruction set") {
    LayerConfig config = GENERATE(small_config(), small_config(1, 4, 32, 64, 200));
    config.scan = GENERATE(ScanMode::chunked, ScanMode::recurrent);
    config.gate = GENERATE(OutputGate::silu, OutputGate::none);
    config.pre_norm = PreNorm::one_plus;
    const RandomLayer random(config);
    Batch batch;
    batch.add({.slot = 1, .n_tokens = 70, .start = Start::fresh})
        .add({.slot = 0, .n_tokens = 1, .start = Start::fresh})
        .add({.slot = 2, .n_tokens = 5, .start = Start::fresh});
    const std::vector<float> x = Random(3).normals(batch.n_tokens() * config.hidden);
    const auto run_with = [&](auto backend) {
        DeltaNetLayer<decltype(backend)> layer(config, random.split(), std::move(backend));
        StateSlots slots(config, {.slots = 3});
        std::vector<float> all = run(layer, batch, x, slots);
        for (index_t slot = 0; slot < 3; ++slot) {
            const std::vector<float> state = state_of(slots, slot);
            all.insert(all.end(), state.begin(), state.end());
        }
        return all;
    };
    const std::vector<float> dispatched = run_with(DispatchedCpuBackend<>());
    const std::vector<float> expected = run_with(ReferenceBackend());
    // The limit of the layer's own tests against the reference (docs/numerics.md).
    CHECK(relative_rms(dispatched, expected) <= 5e-6);
    // This file is compiled for the baseline: where that is chosen, the bits are the same.
    if (cpu_info().arch().name == "baseline")
        CHECK(bit_equal(dispatched, run_with(CpuBackend<>())));
}

TEST_CASE("projections compute the same with the chosen instruction set") {
    const std::vector<float> values = Random(4).normals(70 * 96), x = Random(5).normals(9 * 96);
    const View<const float, 2> weights(values.data(), {70, 96});
    const std::vector<float> expected =
        run_linear(ReferenceLinear(weights), View<const float, 2>(x.data(), {9, 96}));
    for (const index_t n : {1, 2, 9}) {
        const View<const float, 2> rows(x.data(), {n, 96});
        const std::vector<float> y = run_linear(DispatchedDenseLinear(weights), rows);
        CAPTURE(n);
        // Sums of 96 products in float32.
        const std::vector<float> first(expected.begin(), expected.begin() + n * 70);
        CHECK(relative_rms(y, first) <= 5e-7);
        CHECK(bit_equal(run_linear(DispatchedQuantizedLinear(weights), rows), y));
    }
}
