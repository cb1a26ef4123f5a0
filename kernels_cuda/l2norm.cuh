// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// L2 norm of heads:
///   rsqrt: y = x / sqrt(sum x^2 + eps)        max: y = x / max(sqrt(sum x^2), eps)
/// A row lies in lanes as lane_row.cuh says; a block takes several. Rows of up to 256 elements stay
/// in registers between the sum and the product, longer ones are read again.
#pragma once

#include "lane_row.cuh"
#include "length_norm.hpp"

namespace deltanet::cuda {

/// 1 / length from the sum of squares; 2 ulp (rsqrtf). NaN stays NaN.
__device__ __forceinline__ float inverse_length(float sum, const LengthNorm& norm) {
    if (!norm.max_form) return rsqrtf(sum + norm.eps);
    const float inverse = rsqrtf(sum);
    return inverse > norm.limit ? norm.limit : inverse;
}

struct L2NormKernelArgs {
    const float* input;  ///< [n_tokens, heads, d]
    index_t input_token, input_head;
    float* output;  ///< the same shape
    index_t output_token, output_head;
    std::int32_t heads;
    std::int64_t n_rows;  ///< n_tokens * heads
    RowLanes row;
    LengthNorm norm;
    bool vector;
};

inline constexpr int kNormWarps = 4;

/// grid: blocks of kNormWarps * rows_per_warp rows. `kTurns`: those of a row, 0 for any number.
template <int kTurns>
__global__ void __launch_bounds__(kNormWarps* lanes_per_warp)
    l2norm_kernel(const __grid_constant__ L2NormKernelArgs args) {
    const int lane = lane_index();
    const int warp = warp_index();
    const int own = lane / args.row.lanes;
    const int first = lane % args.row.lanes * kLaneElements;
    const std::int64_t row =
        (static_cast<std::int64_t>(blockIdx.x) * kNormWarps + warp) * args.row.rows_per_warp() +
        own;
    const bool exists = row < args.n_rows;
    const std::int64_t token = exists ? row / args.heads : 0;
    const std::int64_t head = exists ? row - token * args.heads : 0;
    const float* const from = args.input + token * args.input_token + head * args.input_head;
    float* const to = args.output + token * args.output_token + head * args.output_head;
    const int size = exists ? args.row.size : 0;

    constexpr auto n_kept = static_cast<std::size_t>(kTurns > 0 ? kTurns : 1);
    Quad kept[n_kept];
    float sum = 0.0F;
    if constexpr (kTurns > 0) {
#pragma unroll
        for (int turn = 0; turn < kTurns; ++turn) {
            const int at = turn * kTurnElements + first;
            kept[turn] = load_quad(from + at, clamp_count(size - at), args.vector);
            sum = sum_of_squares(kept[turn], sum);
        }
    } else {
        for (int at = first; at < size; at += kTurnElements)
            sum = sum_of_squares(load_quad(from + at, clamp_count(size - at), args.vector), sum);
    }
    const float factor = inverse_length(row_sum(sum, args.row.lanes), args.norm);
    const auto store = [&](int at, Quad quad) {
#pragma unroll
        for (int i = 0; i < kLaneElements; ++i) quad.x[i] *= factor;
        store_quad(to + at, quad, clamp_count(size - at), args.vector);
    };
    if constexpr (kTurns > 0) {
#pragma unroll
        for (int turn = 0; turn < kTurns; ++turn) store(turn * kTurnElements + first, kept[turn]);
    } else {
        for (int at = first; at < size; at += kTurnElements)
            store(at, load_quad(from + at, clamp_count(size - at), args.vector));
    }
}

}  // namespace deltanet::cuda
