// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// What the executor counts.
#include "selftest/expect.hpp"

namespace {

using namespace deltanet;
using namespace deltanet::test;

/// Rows of 128 bytes; each lane reads a 16-byte piece of its row, which is `swizzled` or not.
__global__ void matrices_of_a_column(float* y, bool swizzled) {
    auto* const s = reinterpret_cast<float*>(cuda::ptx::dynamic_shared_memory());
    const unsigned lane = threadIdx.x;
    for (unsigned i = lane; i < 32 * 32; i += 32) s[i] = 0.0F;
    __syncthreads();
    const unsigned piece = swizzled ? lane % 8 : 0;
    std::uint32_t r[4];
    cuda::ptx::ldmatrix_x4(r, s + lane * 32 + piece * 4);
    y[blockIdx.x * 32 + lane] = static_cast<float>(r[0]);
}
__global__ void strided_shared(float* y, unsigned stride) {
    auto* const s = reinterpret_cast<float*>(cuda::ptx::dynamic_shared_memory());
    s[threadIdx.x * stride] = 1.0F;
    y[threadIdx.x] = 0.0F;
}
__global__ void strided_global(const float* x, float* y, unsigned stride) {
    y[threadIdx.x] = x[threadIdx.x * stride];
}
__global__ void read_twice_write_once(const float* x, float* y) {
    y[threadIdx.x] = x[threadIdx.x] + x[31 - threadIdx.x];
}
__global__ void four_at_once(const float* x, float* y) {
    cuda::store128(y + threadIdx.x * 4, cuda::load128(x + threadIdx.x * 4));
}

template <class F>
simt::Metrics count(F&& run) {
    simt::metrics = {};
    simt::count_accesses = true;
    run();
    simt::count_accesses = false;
    CHECK(simt::take_findings().empty());
    return simt::metrics;
}

}  // namespace

TEST_CASE("cuda executor: bank conflicts of ldmatrix") {
    const auto swizzled = count([] { try_launch(matrices_of_a_column, 1, 32, Buffer(), true); });
    CHECK(swizzled.ldmatrix == 1);
    CHECK(swizzled.ldmatrix_conflicts == 0);
    // Eight rows of a matrix in the same banks: seven turns more, for each of four matrices.
    const auto plain = count([] { try_launch(matrices_of_a_column, 1, 32, Buffer(), false); });
    CHECK(plain.ldmatrix_conflicts == 4 * 7);
}

TEST_CASE("cuda executor: turns of shared memory, sectors of global memory") {
    if (!simt::instrumented) return;
    for (const unsigned stride : {1U, 2U, 4U, 32U, 33U}) {
        const auto m = count([&] { try_launch(strided_shared, 1, 32, Buffer(), stride); });
        const std::uint64_t turns = stride == 33 ? 1 : stride;
        CAPTURE(stride);
        CHECK(m.shared_turns == turns);
        CHECK(m.shared_ideal_turns == 1);
    }
    for (const unsigned stride : {1U, 2U, 8U}) {
        const auto m =
            count([&] { try_launch(strided_global, 1, 32, Buffer(true), Buffer(), stride); });
        CAPTURE(stride);
        CHECK(m.global_sectors == 4 * stride + 4);  // read and written
        CHECK(m.global_ideal_sectors == 8);
    }
}

TEST_CASE("cuda executor: bytes") {
    if (!simt::instrumented) return;
    const auto twice =
        count([] { try_launch(read_twice_write_once, 1, 32, Buffer(true), Buffer()); });
    CHECK(twice.global_read_bytes == 256);
    CHECK(twice.global_distinct_read_bytes == 128);
    CHECK(twice.global_written_bytes == 128);
    CHECK(twice.global_distinct_written_bytes == 128);
    const auto wide = count([] { try_launch(four_at_once, 1, 32, Buffer(true), Buffer()); });
    CHECK(wide.accesses == 64);
    CHECK(wide.global_sectors == 32);
}

TEST_CASE("cuda executor: launches, blocks, barriers") {
    const auto m = count([] { try_launch(matrices_of_a_column, 3, 32, Buffer(), true); });
    CHECK(m.launches == 1);
    CHECK(m.blocks == 3);
    CHECK(m.barriers == 3);
    CHECK(m.collectives == 3);
}
