// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// cp.async and ldmatrix used wrongly.
#include "selftest/expect.hpp"

namespace {

using namespace deltanet;
using namespace deltanet::test;

enum Mistake { none, wait_too_weak, wait_behind_the_barrier, no_wait, written_meanwhile };

__global__ void copy_two_groups(const float* x, float* y, Mistake mistake) {
    auto& s = cuda::shared_storage<TwoRows>();
    const unsigned i = threadIdx.x;
    if (i < 16) {
        cuda::ptx::cp_async<16>(&s.a[i * 4], x + i * 4);
        cuda::ptx::cp_async_commit();
        cuda::ptx::cp_async<16>(&s.b[i * 4], x + 64 + i * 4);
        cuda::ptx::cp_async_commit();
        if (mistake == written_meanwhile) s.b[i * 4] = 0.0F;
    }
    if (mistake == no_wait) return;
    if (mistake == wait_too_weak) cuda::ptx::cp_async_wait<1>();
    if (mistake == none || mistake == written_meanwhile) cuda::ptx::cp_async_wait<0>();
    __syncthreads();
    if (mistake == wait_behind_the_barrier) cuda::ptx::cp_async_wait<0>();
    y[i] = s.a[i] + s.b[63 - i];
    if (mistake == wait_too_weak) cuda::ptx::cp_async_wait<0>();
}
__global__ void never_committed(const float* x, float* y) {
    auto& s = cuda::shared_storage<TwoRows>();
    if (threadIdx.x < 16) cuda::ptx::cp_async<16>(&s.a[threadIdx.x * 4], x + threadIdx.x * 4);
    cuda::ptx::cp_async_wait<0>();
    y[threadIdx.x] = 0.0F;
}
__global__ void copy_of_four_bytes(const float* x, float* y, int shift) {
    auto& s = cuda::shared_storage<TwoRows>();
    const unsigned i = threadIdx.x;
    cuda::ptx::cp_async<16>(&s.a[i % 16 * 4 + static_cast<unsigned>(shift)], x);
    cuda::ptx::cp_async_wait<0>();
    y[i] = 0.0F;
}
__global__ void copy_to_global(const float* x, float* y) { cuda::ptx::cp_async<16>(y, x); }
__global__ void load_matrices(float* y, int shift) {
    auto& s = cuda::shared_storage<TwoRows>();
    s.a[threadIdx.x] = 0.0F;
    s.b[threadIdx.x] = 0.0F;
    __syncthreads();
    std::uint32_t r[4];
    cuda::ptx::ldmatrix_x4(r, reinterpret_cast<char*>(&s) + threadIdx.x % 32 * 16 % 512 + shift);
    y[threadIdx.x] = static_cast<float>(r[0]);
}
__global__ void load_global_matrices(float* y) {
    std::uint32_t r[2];
    cuda::ptx::ldmatrix_x2(r, y);
    y[threadIdx.x] = static_cast<float>(r[0]);
}

void copy(Mistake mistake) { try_launch(copy_two_groups, 1, 64, Buffer(true), Buffer(), mistake); }

}  // namespace

TEST_CASE("cuda executor: asynchronous copies") {
    expect_clean([] { copy(none); });
    expect_checked_finding("still in flight", [] { copy(wait_too_weak); });
    expect_checked_finding("race on shared memory", [] { copy(wait_behind_the_barrier); });
    expect_finding("still under way at the exit", [] { copy(no_wait); });
    expect_checked_finding("write to a cp.async destination that is still in flight",
                           [] { copy(written_meanwhile); });
    expect_finding("still under way at the exit",
                   [] { try_launch(never_committed, 1, 64, Buffer(true), Buffer()); });
    expect_finding("cp.async with a misaligned address",
                   [] { try_launch(copy_of_four_bytes, 1, 64, Buffer(true), Buffer(), 1); });
    expect_finding("cp.async to what is not shared memory",
                   [] { try_launch(copy_to_global, 1, 1, Buffer(true), Buffer()); });
}

TEST_CASE("cuda executor: a wait that is missing changes results of late copies") {
    simt::schedule = {};
    Buffer x(true);
    Buffer y;
    try_launch(copy_two_groups, 1, 64, x, y, wait_too_weak);
    const float value = y.tensor.download()[0];
    static_cast<void>(simt::take_findings());
    CHECK(value != value);
}

TEST_CASE("cuda executor: ldmatrix") {
    expect_clean([] { try_launch(load_matrices, 1, 64, Buffer(), 0); });
    expect_finding("not aligned to 16 bytes",
                   [] { try_launch(load_matrices, 1, 64, Buffer(), 4); });
    expect_finding("ldmatrix of what is not shared memory",
                   [] { try_launch(load_global_matrices, 1, 32, Buffer(true)); });
}
