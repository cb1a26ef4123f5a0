// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// Accesses that nothing orders.
#include "selftest/expect.hpp"

namespace {

using namespace deltanet;
using namespace deltanet::test;

__global__ void barrier_between(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.0F;
    __syncthreads();
    y[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];
}
__global__ void no_barrier_across_warps(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.0F;
    y[threadIdx.x] = s[(threadIdx.x + 32) % 64];
}
constexpr int line_before_the_read = __LINE__ + 4;
__global__ void no_barrier_in_a_warp(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.0F;
    // The line that findings must name is the next one.
    y[threadIdx.x] = s[threadIdx.x ^ 1U];
}
__global__ void warp_barrier_between(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.0F;
    __syncwarp();
    const float x = s[threadIdx.x ^ 1U];
    __syncwarp();
    s[threadIdx.x] = x;
    y[threadIdx.x] = s[threadIdx.x];
}
__global__ void shuffle_for_a_barrier(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.0F;
    const float zero = __shfl_xor_sync(~0U, 0.0F, 1);
    y[threadIdx.x] = s[threadIdx.x ^ 1U] + zero;
}
__global__ void written_before_it_was_read(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.0F;
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
    s[threadIdx.x] = 2.0F;
}
__global__ void same_value_by_all(float* y) {
    __shared__ float s;
    s = 1.0F;
    __syncthreads();
    y[threadIdx.x] = s;
}
/// Bytes of shared memory next to each other, each lane its own, and then its neighbour's.
__global__ void neighbouring_bytes(float* y, bool of_neighbour) {
    __shared__ unsigned char s[64];
    s[threadIdx.x] = 1;
    y[threadIdx.x] = static_cast<float>(s[threadIdx.x ^ (of_neighbour ? 1U : 0U)]);
}
__global__ void every_other_byte(float* y, unsigned first) {
    __shared__ unsigned char s[128];
    s[2 * threadIdx.x] = 1;
    y[threadIdx.x] = static_cast<float>(s[2 * threadIdx.x + first]);
}
__global__ void global_bytes(i8* y) { y[threadIdx.x].value = 1; }
__global__ void global_across_warps(float* y) {
    y[threadIdx.x] = 1.0F;
    y[128 + threadIdx.x] = y[(threadIdx.x + 32) % 64];
}
__global__ void blocks_write_the_same(float* y) { y[threadIdx.x] = 1.0F; }
__global__ void block_reads_what_another_writes(float* y) {
    if (threadIdx.x != 0) return;
    if (blockIdx.x == 0) {
        y[0] = 1.0F;
    } else {
        y[1] = y[0];
    }
}
__global__ void add_atomically(float* y) { atomicAdd(y, 1.0F); }
__global__ void add_plainly_and_atomically(float* y) {
    if (threadIdx.x == 0) {
        *y = 1.0F;
    } else {
        atomicAdd(y, 1.0F);
    }
}
__global__ void constant_cache_of_written(float* y) {
    y[threadIdx.x] = 1.0F;
    __syncthreads();
    y[64 + threadIdx.x] = __ldg(&y[63 - threadIdx.x]);
}
__global__ void constant_cache_of_given(float* y) { y[128 + threadIdx.x] = __ldg(&y[threadIdx.x]); }

}  // namespace

TEST_CASE("cuda executor: ordered accesses are no races") {
    expect_clean([] { try_launch(barrier_between, 2, 64, Buffer()); });
    expect_clean([] { try_launch(warp_barrier_between, 1, 64, Buffer()); });
    expect_clean([] { try_launch(add_atomically, 3, 64, Buffer(true)); });
    expect_clean([] { try_launch(constant_cache_of_given, 1, 64, Buffer(true)); });
}

TEST_CASE("cuda executor: races in shared memory") {
    expect_checked_finding("race on shared memory",
                           [] { try_launch(no_barrier_across_warps, 1, 64, Buffer()); });
    expect_checked_finding("race on shared memory",
                           [] { try_launch(no_barrier_in_a_warp, 1, 64, Buffer()); });
    expect_checked_finding("race on shared memory",
                           [] { try_launch(shuffle_for_a_barrier, 1, 64, Buffer()); });
    expect_checked_finding("write-after-read race on shared memory",
                           [] { try_launch(written_before_it_was_read, 1, 64, Buffer()); });
    expect_checked_finding("write-after-write race on shared memory",
                           [] { try_launch(same_value_by_all, 1, 64, Buffer()); });
}

TEST_CASE("cuda executor: bytes are apart from their neighbours") {
    expect_clean([] { try_launch(neighbouring_bytes, 1, 64, Buffer(), false); });
    expect_checked_finding("read-after-write race on shared memory",
                           [] { try_launch(neighbouring_bytes, 1, 64, Buffer(), true); });
    expect_clean([] { try_launch(every_other_byte, 1, 64, Buffer(), 0U); });
    expect_checked_finding("read of uninitialised shared memory",
                           [] { try_launch(every_other_byte, 1, 64, Buffer(), 1U); });
    const auto on_bytes = [](index_t n, unsigned n_threads) {
        return [=] {
            DeviceTensor<i8, 1> bytes({n});
            try_launch(global_bytes, 1, n_threads, bytes.data());
        };
    };
    expect_clean(on_bytes(33, 33));
    expect_checked_finding("out-of-bounds write to global memory", on_bytes(33, 34));
}

TEST_CASE("cuda executor: races in global memory") {
    expect_checked_finding("race on global memory",
                           [] { try_launch(global_across_warps, 1, 64, Buffer()); });
    expect_checked_finding("write-after-write race between blocks",
                           [] { try_launch(blocks_write_the_same, 2, 64, Buffer()); });
    expect_checked_finding("race between blocks", [] {
        try_launch(block_reads_what_another_writes, 2, 64, Buffer(true));
    });
    expect_checked_finding("race on global memory",
                           [] { try_launch(add_plainly_and_atomically, 1, 64, Buffer(true)); });
    expect_checked_finding("__ldg of data that this launch writes",
                           [] { try_launch(constant_cache_of_written, 1, 64, Buffer()); });
}

TEST_CASE("cuda executor: findings name the line") {
    expect_checked_finding(
        "race on shared memory", [] { try_launch(no_barrier_in_a_warp, 1, 64, Buffer()); },
        place("races_test.cpp", line_before_the_read + 1));
}
