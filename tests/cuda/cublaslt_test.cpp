// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Projections through cuBLASLt: on a GPU through the library itself, on the host through a
/// stand-in (cublaslt/cublasLt.h) that multiplies what it is asked to.
#include "cuda/device.hpp"
#include "cuda/layer_pair.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include <deltanet/cuda/cublaslt_linear.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Sums of n products in float32, in any order.
double product_bound(index_t n) { return static_cast<double>(n) * 0x1p-24; }

template <class T>
void check_products(index_t in, index_t out, index_t n_tokens, index_t padding, double bound) {
    CAPTURE(in, out, n_tokens, padding);
    Random random(7);
    const std::vector<float> weights = random.normals(in * out), x = random.normals(n_tokens * in);
    std::vector<T> stored;
    std::vector<float> expected;
    for (const float w : weights) stored.push_back(from_float<T>(w));
    for (index_t t = 0; t < n_tokens; ++t) {
        for (index_t o = 0; o < out; ++o) {
            double sum = 0.0;
            for (index_t i = 0; i < in; ++i) {
                sum += static_cast<double>(to_float(stored[static_cast<std::size_t>(o * in + i)])) *
                       static_cast<double>(x[static_cast<std::size_t>(t * in + i)]);
            }
            expected.push_back(static_cast<float>(sum));
        }
    }
    const std::vector<float> y = for_each_schedule([&] {
        CudaMemory memory;
        const CublasLt library(memory, 4096);
        DeviceTensor<T, 2> weight({out, in}, stored, padding);
        DeviceTensor<float, 2> input({n_tokens, in}, x, padding), output({n_tokens, out}, padding);
        const CublasLtLinear linear(library, weight.cview());
        Workspace scratch(memory);
        CudaExecutor executor(memory.stream());
        linear(input.cview(), output.view(), scratch.acquire(linear.scratch_bytes(n_tokens, 1) + 1),
               executor);
        return output.download();
    });
    CHECK(relative_rms(y, expected) <= bound);
}

}  // namespace

TEST_CASE("cublasLt: products with float32 and bfloat16 weights, any rows") {
    for (const index_t n_tokens : {1, 3, 8}) {
        for (const index_t padding : {0, 4, 1}) {
            check_products<float>(20, 12, n_tokens, padding, product_bound(20));
            check_products<float>(7, 33, n_tokens, padding, product_bound(7));
            // Activations are rounded by up to 2^-8 of each.
            check_products<bf16>(24, 12, n_tokens, padding, product_bound(24) + 0x1p-8);
            check_products<bf16>(9, 5, n_tokens, padding, product_bound(9) + 0x1p-8);
        }
    }
}

TEST_CASE("cublasLt: a layer with such projections") {
    LayerPair p(pair_config(16), {.slots = 2, .rollback = 2});
    const CublasLt library(p.memory, 1 << 16);
    DeltaNetLayer<CudaBackend, CublasLtLinear> layer(
        p.config,
        upload_weights<CublasLtLinear>(p.random.split<ReferenceLinear>(), p.arrays,
                                       [&](const ReferenceLinear& w) {
                                           return CublasLtLinear(
                                               library, p.arrays.upload_as<float>(w.weight()));
                                       }),
        CudaBackend(p.memory));
    const std::vector<float> x = rows_of(p.x, p.config.hidden, 0, 20);
    const std::vector<float> expected = run(p.oracle, one(20), x, p.expected);
    CHECK(relative_rms(run(layer, one(20), x, p.slots), expected) <= kFloatBound);
}

#if defined(DELTANET_SIMT)
TEST_CASE("cublasLt: the kernels chosen are used, and where there are none the library decides") {
    CudaMemory memory;
    const CublasLt library(memory, 4096);
    const std::vector<float> ones(32 * 40, 1.0F);
    DeviceTensor<float, 2> weight({40, 32}, ones), x({5, 32}, std::vector<float>(5 * 32, 0.5F));
    DeviceTensor<float, 2> y({5, 40});
    CudaExecutor executor(memory.stream());
    const auto call = [&](const CublasLtLinear& linear) {
        cublaslt_calls.with_algorithm = cublaslt_calls.without = 0;
        const auto before = simt::metrics;
        linear(x.cview(), y.view(), {}, executor);
        CHECK(simt::metrics.device_allocations == before.device_allocations);
        CHECK(simt::metrics.waits == before.waits);
        CHECK(y.download().back() == 16.0F);
    };
    call(CublasLtLinear(library, weight.cview()));
    CHECK(cublaslt_calls.with_algorithm == 1);
    CHECK(cublaslt_calls.without == 0);
    cublaslt_calls.finds_kernels = false;
    const CublasLtLinear without(library, weight.cview());
    cublaslt_calls.finds_kernels = true;
    call(without);
    CHECK(cublaslt_calls.with_algorithm == 0);
    CHECK(cublaslt_calls.without == 1);
    CHECK(message_of([&] {
              CublasLtLinear(library, View<const float, 2>(weight.data(), {0, 32}));
          }) == "CublasLtLinear: weight rows: expected at least 1, found 0");
}
#endif
