// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// RMSNorm of whole rows: y = x / sqrt(mean x^2 + eps) * (w + offset). A block takes a row; its
/// second reading of the row comes from the caches.
#pragma once

#include "lane_row.cuh"

namespace deltanet::cuda {

struct RmsNormKernelArgs {
    const float* input;  ///< [n_rows, n]
    index_t input_row;
    const float* weight;  ///< [n]
    float* output;        ///< [n_rows, n]; may be the input
    index_t output_row;
    std::int32_t n;
    float inverse_n;  ///< 1 / n
    float eps;
    float weight_offset;
    bool vector;
};

inline constexpr int kRmsWarps = 8;

/// grid: one block a row.
__global__ void __launch_bounds__(kRmsWarps* lanes_per_warp)
    rmsnorm_kernel(const __grid_constant__ RmsNormKernelArgs args) {
    __shared__ float partial[kRmsWarps];
    constexpr int step = kRmsWarps * kTurnElements;
    const int thread = static_cast<int>(threadIdx.x);
    const float* const from = args.input + static_cast<index_t>(blockIdx.x) * args.input_row;
    float* const to = args.output + static_cast<index_t>(blockIdx.x) * args.output_row;
    float sum = 0.0F;
    for (int at = thread * kLaneElements; at < args.n; at += step)
        sum = sum_of_squares(load_quad(from + at, clamp_count(args.n - at), args.vector), sum);
    sum = row_sum(sum, lanes_per_warp);
    if (thread % lanes_per_warp == 0) partial[thread / lanes_per_warp] = sum;
    __syncthreads();
    sum = 0.0F;
#pragma unroll
    for (int warp = 0; warp < kRmsWarps; ++warp) sum += partial[warp];
    const float factor = rsqrtf(fmaf(sum, args.inverse_n, args.eps));
    for (int at = thread * kLaneElements; at < args.n; at += step) {
        const int count = clamp_count(args.n - at);
        Quad x = load_quad(from + at, count, args.vector);
        const Quad w = load_quad(args.weight + at, count, args.vector);
#pragma unroll
        for (int i = 0; i < kLaneElements; ++i) x.x[i] *= factor * (w.x[i] + args.weight_offset);
        store_quad(to + at, x, count, args.vector);
    }
}

}  // namespace deltanet::cuda
