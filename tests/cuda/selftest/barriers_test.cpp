// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// Threads that do not meet where they should.
#include "selftest/expect.hpp"

namespace {

using namespace deltanet;
using namespace deltanet::test;

__global__ void barriers_on_both_sides(float* y) {
    if (threadIdx.x < 32) {
        __syncthreads();
        y[0] = 1.0F;
    } else {
        __syncthreads();
    }
}
__global__ void barrier_and_warp_barrier(float*) {
    if (threadIdx.x < 32 || threadIdx.x == 40) {
        __syncthreads();
    } else {
        __syncwarp();
    }
}
__global__ void exit_before_the_barrier(float*) {
    if (threadIdx.x == 5) return;
    __syncthreads();
}
__global__ void shuffle_from_outside(float* y) {
    if (threadIdx.x % 2 == 1) y[threadIdx.x] = __shfl_xor_sync(0xAAAAAAAAU, 1.0F, 1);
}
__global__ void mask_without_the_caller(float* y) {
    y[threadIdx.x] = __shfl_sync(0xFFFFU, 1.0F, 0);
}
__global__ void mask_with_an_exited_lane(float* y) {
    if (threadIdx.x % 32 == 31) return;
    y[threadIdx.x] = __shfl_sync(~0U, 1.0F, 0);
}
__global__ void different_shuffles(float* y) {
    float x = 1.0F;
    if (threadIdx.x % 2 == 0) {
        x = __shfl_sync(~0U, x, 0);
    } else {
        x = __shfl_sync(~0U, x, 1);
    }
    y[threadIdx.x] = x;
}
__global__ void all_of_warp_functions(float* y) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const float x = static_cast<float>(lane);
    const bool right = __shfl_sync(~0U, x, 3) == 3.0F &&
                       __shfl_sync(~0U, x, 9, 8) == static_cast<float>(lane / 8 * 8 + 1) &&
                       __shfl_xor_sync(~0U, x, 5) == static_cast<float>(lane ^ 5) &&
                       __shfl_up_sync(~0U, x, 2) == (lane < 2 ? x : x - 2.0F) &&
                       __shfl_down_sync(~0U, x, 3, 16) == (lane % 16 > 12 ? x : x + 3.0F) &&
                       __ballot_sync(~0U, lane < 4) == 15U && __any_sync(~0U, lane == 7) == 1 &&
                       __all_sync(~0U, lane == 7) == 0 && cuda::warp_sum(x) == 496.0F &&
                       cuda::warp_sum<4>(x) == static_cast<float>(lane / 4 * 16 + 6);
    y[threadIdx.x] = right ? 1.0F : 0.0F;
}
__global__ void half_a_warp_shuffles(float* y) {
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(0xFFFFU, 2.0F, 1);
}

}  // namespace

TEST_CASE("cuda executor: barriers that not all threads reach") {
    expect_finding("divergent barrier",
                   [] { try_launch(barriers_on_both_sides, 1, 64, Buffer()); });
    expect_finding("deadlock", [] { try_launch(barrier_and_warp_barrier, 1, 64, Buffer()); });
    expect_finding("after some threads of the block have exited",
                   [] { try_launch(exit_before_the_barrier, 1, 64, Buffer()); });
}

TEST_CASE("cuda executor: masks of warp functions") {
    expect_finding("which is not in the mask",
                   [] { try_launch(shuffle_from_outside, 1, 64, Buffer()); });
    expect_finding("mask that excludes it",
                   [] { try_launch(mask_without_the_caller, 1, 64, Buffer()); });
    expect_finding("has exited or does not exist",
                   [] { try_launch(mask_with_an_exited_lane, 1, 64, Buffer()); });
    expect_finding("has exited or does not exist",
                   [] { try_launch(all_of_warp_functions, 1, 40, Buffer()); });
    expect_finding("divergent warp collective",
                   [] { try_launch(different_shuffles, 1, 64, Buffer()); });
}

TEST_CASE("cuda executor: warp functions") {
    expect_clean([] {
        Buffer y(true);
        try_launch(all_of_warp_functions, 1, 64, static_cast<float*>(y));
        try_launch(half_a_warp_shuffles, 1, 32, y + 128);
        const std::vector<float> values = y.tensor.download();
        for (std::size_t i = 0; i < 64; ++i) CHECK(values[i] == 1.0F);
        for (std::size_t i = 0; i < 16; ++i) CHECK(values[128 + i] == 2.0F);
    });
}
