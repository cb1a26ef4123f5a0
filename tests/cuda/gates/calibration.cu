// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// Kernels with a known number of the instructions that the gates count, and with what the gates
// must find wrong. Compiled by check_gates.py alone, never run.
#include "kernels_cuda/device.cuh"

#include <cstdint>

using namespace deltanet::cuda;

/// Two products, four loads of matrices, two asynchronous copies, one barrier.
__global__ void __launch_bounds__(128) products(float* y, const float* x) {
    auto& s = shared_storage<float[64][64]>();
    const int t = static_cast<int>(threadIdx.x);
    ptx::cp_async<16>(&s[t / 2][0], x + t * 4);
    ptx::cp_async<4>(&s[t / 2][4], x + t * 4);
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
    __syncthreads();
    std::uint32_t a[4];
    std::uint32_t b[2];
    float d[4] = {};
    ptx::ldmatrix_x4(a, &s[t % 32][0]);
    ptx::ldmatrix_x2_trans(b, &s[t % 32][4]);
    ptx::mma_m16n8k16_bf16(d, a, b);
    ptx::ldmatrix_x4_trans(a, &s[t % 32][8]);
    ptx::ldmatrix_x2(b, &s[t % 32][12]);
    ptx::mma_m16n8k16_bf16(d, a, b);
    y[t] = d[0] + d[1] + d[2] + d[3];
}

__global__ void __launch_bounds__(32) exact_division(float* y) {
    y[threadIdx.x] = y[threadIdx.x] / y[threadIdx.x + 32];
}

/// An array that is too long for registers, with an index that is known at run time alone.
__global__ void __launch_bounds__(32) local_array(float* y, int n) {
    float values[512];
    for (int i = 0; i < 512; ++i) values[i] = y[i * n];
    for (int i = 0; i < 512; ++i) values[(i * n) % 512] += y[i];
    y[0] = values[n];
}
