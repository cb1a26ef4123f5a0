// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// Accesses to what is not there, not yet written or not aligned.
#include "selftest/expect.hpp"

namespace {

using namespace deltanet;
using namespace deltanet::test;

__global__ void one_element_not_written(float* y) {
    auto& s = cuda::shared_storage<TwoRows>();
    if (threadIdx.x != 7) s.a[threadIdx.x] = 1.0F;
    __syncthreads();
    y[threadIdx.x] = s.a[threadIdx.x];
}
__global__ void shared_of_the_block_before(float* y) {
    __shared__ float s[64];
    if (blockIdx.x == 0) s[threadIdx.x] = 1.0F;
    y[blockIdx.x * 64 + threadIdx.x] = s[threadIdx.x];
    if (blockIdx.x == 1) s[threadIdx.x] = 1.0F;
}
__global__ void add_one(float* y) { y[threadIdx.x] = y[threadIdx.x] + 1.0F; }
__global__ void behind_dynamic_shared(float* y) {
    unsigned char* const end = cuda::ptx::dynamic_shared_memory() + (8 << 10);
    auto* const s = reinterpret_cast<float*>(end) - 64;
    s[threadIdx.x + 1] = 1.0F;
    y[threadIdx.x] = 0.0F;
}
__global__ void behind_a_member(float* y, int shift) {
    auto& s = cuda::shared_storage<TwoRows>();
    s.a[static_cast<int>(threadIdx.x) + shift] = 1.0F;
    y[threadIdx.x] = 0.0F;
}
__global__ void behind_global(float* y) { y[threadIdx.x + 193] = 1.0F; }
__global__ void before_global(float* y) { y[static_cast<int>(threadIdx.x) - 1] = 1.0F; }
__global__ void read_one(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
__global__ void vector_at(float* y, int first) {
    const float4 v = cuda::load128(y + first);
    y[128 + threadIdx.x] = v.x;
}
__global__ void wide_at(float* y, int first) {
    auto* const p = reinterpret_cast<double*>(y + first);
    y[128 + threadIdx.x] = static_cast<float>(*p);
}
__global__ void local_of_another(float* y) {
    __shared__ const float* pointer;
    float own[2] = {y[threadIdx.x], 1.0F};
    if (threadIdx.x == 5) pointer = own;
    __syncthreads();
    y[64 + threadIdx.x] = pointer[threadIdx.x % 2];
    __syncthreads();
    y[threadIdx.x] = own[threadIdx.x % 2];
}

}  // namespace

TEST_CASE("cuda executor: memory that nobody wrote") {
    expect_checked_finding("uninitialised shared",
                           [] { try_launch(one_element_not_written, 1, 64, Buffer()); });
    expect_checked_finding("uninitialised shared",
                           [] { try_launch(shared_of_the_block_before, 2, 64, Buffer()); });
    expect_checked_finding("uninitialised global", [] { try_launch(add_one, 1, 64, Buffer()); });
    expect_clean([] { try_launch(add_one, 1, 64, Buffer(true)); });
}

TEST_CASE("cuda executor: memory that is not there") {
    expect_checked_finding("out-of-bounds write to dynamic shared memory",
                           [] { try_launch(behind_dynamic_shared, 1, 64, Buffer()); });
    expect_checked_finding("array index out of bounds",
                           [] { try_launch(behind_a_member, 1, 64, Buffer(), 1); });
    expect_clean([] { try_launch(behind_a_member, 1, 64, Buffer(), 0); });
    expect_checked_finding("out-of-bounds write to global memory",
                           [] { try_launch(behind_global, 1, 64, Buffer()); });
    expect_checked_finding("out-of-bounds write to global memory",
                           [] { try_launch(before_global, 1, 64, Buffer()); });
    expect_checked_finding("read of freed global memory", [] {
        Buffer kept;  // so that the memory is not given to another at once
        float* freed = nullptr;
        {
            Buffer gone(true);
            freed = gone;
        }
        try_launch(read_one, 1, 64, freed, kept);
    });
    expect_checked_finding("outside of all device memory", [] {
        const std::vector<float> host(64);
        try_launch(read_one, 1, 64, host.data(), Buffer());
    });
    expect_checked_finding("local variable of another thread",
                           [] { try_launch(local_of_another, 1, 64, Buffer(true)); });
}

TEST_CASE("cuda executor: the host does not touch device memory") {
    expect_checked_finding("the host accesses device memory", [] {
        Buffer buffer(true);
        const volatile float* const p = buffer;
        static_cast<void>(*p);
    });
}

TEST_CASE("cuda executor: alignment") {
    // The wrapper of 16-byte accesses is the executor's own, so that every build sees it.
    expect_finding("misaligned", [] { try_launch(vector_at, 1, 64, Buffer(true), 2); });
    expect_clean([] { try_launch(vector_at, 1, 64, Buffer(true), 4); });
    expect_checked_finding("misaligned", [] { try_launch(wide_at, 1, 64, Buffer(true), 1); });
}
