// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// RMSNorm of each head, then the output gate:
///   y = o / sqrt(mean o^2 + eps) * w * act(z),    act = silu, sigmoid, or 1
/// A head lies in lanes as lane_row.cuh says: 64 elements take half a warp, 128 a warp. o and z are
/// read once and y is written once, except for heads of more than 256, of which o is read twice.
#pragma once

#include "activations.cuh"
#include "lane_row.cuh"
#include "row_table.cuh"
#include <deltanet/layer_config.hpp>

namespace deltanet::cuda {

struct GatedRmsNormKernelArgs {
    const float* input;  ///< [n_tokens, H_v, d_v]
    index_t input_token, input_head;
    const float* z;  ///< [n_tokens, groups, per_group, d_v]
    index_t z_token, z_group, z_head;
    const float* weight;  ///< [d_v]
    float* output;        ///< [n_rows, H_v, d_v]
    index_t output_row, output_head;
    std::int32_t heads;
    std::int32_t per_group;
    RowLanes row;
    float inverse_d;  ///< 1 / d_v
    float eps;
    bool vector;
};

inline constexpr int kGatedWarps = 4;

/// act(z); the error is that of activations.cuh.
template <OutputGate kGate>
__device__ __forceinline__ float gate_factor(float z) {
    if constexpr (kGate == OutputGate::silu) return fast_silu(z);
    if constexpr (kGate == OutputGate::sigmoid) return fast_sigmoid(z);
    return 1.0F;
}

/// grid: (blocks of kGatedWarps * rows_per_warp heads, over all rows of the table).
template <OutputGate kGate, int kTurns>
__global__ void __launch_bounds__(kGatedWarps* lanes_per_warp)
    gated_rmsnorm_kernel(const __grid_constant__ GatedRmsNormKernelArgs args,
                         const __grid_constant__ RowTable rows) {
    const int lane = lane_index();
    const int warp = warp_index();
    const int first = lane % args.row.lanes * kLaneElements;
    const std::int64_t item =
        (static_cast<std::int64_t>(blockIdx.x) * kGatedWarps + warp) * args.row.rows_per_warp() +
        lane / args.row.lanes;
    const bool exists = item < static_cast<std::int64_t>(rows.count) * args.heads;
    const auto entry = static_cast<int>(exists ? item / args.heads : 0);
    const auto head =
        static_cast<int>(exists ? item - static_cast<std::int64_t>(entry) * args.heads : 0);
    const std::int64_t token = rows.row(entry);
    const float* const from = args.input + token * args.input_token + head * args.input_head;
    const float* z = args.z;
    if constexpr (kGate != OutputGate::none) {
        z += token * args.z_token + head / args.per_group * args.z_group +
             head % args.per_group * args.z_head;
    }
    float* const to =
        args.output + (rows.first + entry) * args.output_row + head * args.output_head;
    const int size = exists ? args.row.size : 0;

    // The gate's loads are under way while the sum is formed.
    constexpr auto n_kept = static_cast<std::size_t>(kTurns > 0 ? kTurns : 1);
    Quad kept[n_kept];
    Quad gate[n_kept];
    float sum = 0.0F;
    if constexpr (kTurns > 0) {
#pragma unroll
        for (int turn = 0; turn < kTurns; ++turn) {
            const int at = turn * kTurnElements + first;
            const int count = clamp_count(size - at);
            kept[turn] = load_quad(from + at, count, args.vector);
            if constexpr (kGate != OutputGate::none)
                gate[turn] = load_quad(z + at, count, args.vector);
        }
#pragma unroll
        for (int turn = 0; turn < kTurns; ++turn) sum = sum_of_squares(kept[turn], sum);
    } else {
        for (int at = first; at < size; at += kTurnElements)
            sum = sum_of_squares(load_quad(from + at, clamp_count(size - at), args.vector), sum);
    }
    const float factor = rsqrtf(fmaf(row_sum(sum, args.row.lanes), args.inverse_d, args.eps));
    const auto store = [&](int at, Quad y, const Quad& act) {
        const int count = clamp_count(size - at);
        const Quad w = load_quad(args.weight + at, count, args.vector);
#pragma unroll
        for (int i = 0; i < kLaneElements; ++i) {
            y.x[i] *= factor * w.x[i];
            if constexpr (kGate != OutputGate::none) y.x[i] *= gate_factor<kGate>(act.x[i]);
        }
        store_quad(to + at, y, count, args.vector);
    };
    if constexpr (kTurns > 0) {
#pragma unroll
        for (int turn = 0; turn < kTurns; ++turn)
            store(turn * kTurnElements + first, kept[turn], gate[turn]);
    } else {
        for (int at = first; at < size; at += kTurnElements) {
            const int count = clamp_count(size - at);
            const Quad y = load_quad(from + at, count, args.vector);
            if constexpr (kGate == OutputGate::none) {
                store(at, y, y);
            } else {
                store(at, y, load_quad(z + at, count, args.vector));
            }
        }
    }
}

}  // namespace deltanet::cuda
