// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The delta rule token by token, with the state in registers from the first to the last token of
/// the call: it is read once and written once. With the decayed key k~ = e^g k and query q~ = e^g q
///   p = S^T k~,  m = S^T q~          one pass over S
///   u = beta (v - p),  o = m + (q.k) u
///   S = e^g S + k u^T                a second pass
/// e^g is a number or a vector over rows. Keys and queries of a few tokens go through shared
/// memory, one token a warp; the loads of the state are under way meanwhile.
#pragma once

#include "delta_args.cuh"

namespace deltanet::cuda {

/// What the warps of a block share about as many tokens.
template <int kRows, bool kChannels>
struct RecurrentStage {
    alignas(16) Array<float, kRows> k[kDeltaWarps];
    alignas(16) Array<float, kRows> decayed_k[kDeltaWarps];
    alignas(16) Array<float, kRows> decayed_q[kDeltaWarps];  ///< times the scale
    alignas(16) Array<float, kChannels ? kRows : 4> decay[kDeltaWarps];
    float v[kDeltaWarps][kBlockColumns];
    float beta[kDeltaWarps];
    float qk[kDeltaWarps];  ///< q.k times the scale

    /// Token `token` of all tokens becomes row i; done by one warp.
    __device__ __forceinline__ void fill(const DeltaKernelArgs& args, const DeltaPlace& place,
                                         index_t token, int i) {
        const float* const from_k = args.k.row(token, place.h_k);
        const float* const from_q = args.q.row(token, place.h_k);
        const float* const gate =
            args.decay_log + token * args.decay_token + place.h * args.decay_head;
        float own = 1.0F;
        if constexpr (!kChannels) {
            own = expf(*gate);
            if (place.lane == 0) decay[i][0] = own;
        }
        float dot = 0.0F;
#pragma unroll
        for (int j = place.lane; j < kRows; j += lanes_per_warp) {
            const bool exists = j < args.d_k;
            const float key = exists ? from_k[j] : 0.0F;
            const float query = exists ? from_q[j] * args.scale : 0.0F;
            if constexpr (kChannels) {
                own = exists ? expf(gate[j]) : 0.0F;
                decay[i][j] = own;
            }
            k[i][j] = key;
            decayed_k[i][j] = own * key;
            decayed_q[i][j] = own * query;
            dot = fmaf(key, query, dot);
        }
        dot = row_sum(dot, lanes_per_warp);
        const float* const from_v = args.v.row(token, place.h);
        for (int j = place.lane; j < kBlockColumns; j += lanes_per_warp) {
            const int column = place.v_block * kBlockColumns + j;
            v[i][j] = column < args.d_v ? from_v[column] : 0.0F;
        }
        if (place.lane == 0) {
            qk[i] = dot;
            beta[i] = args.beta[token * args.beta_token + place.h * args.beta_head];
        }
    }
};

/// A token of the stage: its output, and the state behind it.
template <class S, int kRows, bool kChannels>
__device__ __forceinline__ void recurrent_token(StateTile<S, kRows>& tile,
                                                const RecurrentStage<kRows, kChannels>& stage,
                                                int i, const DeltaKernelArgs& args,
                                                const DeltaPlace& place, index_t token) {
    const int owned = owned_column<S>(place.lane);
    const float sum = tile.read(stage.decayed_k[i], stage.decayed_q[i], place.lane);
    const float correction = stage.beta[i] * (stage.v[i][place.warp * kTileColumns + owned] - sum);
    const float u = __shfl_sync(all_lanes, correction, place.lane % kTileColumns);
    const int column = place.column + owned;
    if (place.lane >= kTileColumns && column < args.d_v) {
        args.output[token * args.output_token + place.h * args.output_head + column] =
            fmaf(stage.qk[i], u, sum);
    }
    typename StateTile<S, kRows>::Columns own;
    tile.spread(u, place.lane, own);
    if constexpr (kChannels) {
        tile.decay_and_add(stage.decay[i], stage.k[i], own, place.lane);
    } else {
        tile.scale(stage.decay[i][0]);
        tile.add(stage.k[i], own, place.lane);
    }
}

/// Zeros for the tokens of padding.
__device__ __forceinline__ void clear_output(const DeltaKernelArgs& args, const DeltaPlace& place,
                                             const SequenceEntry& entry) {
    const int column =
        place.v_block * kBlockColumns + static_cast<int>(threadIdx.x) % kBlockColumns;
    if (column >= args.d_v) return;
    constexpr int rows = kDeltaWarps * lanes_per_warp / kBlockColumns;
    for (int t = static_cast<int>(threadIdx.x) / kBlockColumns; t < entry.n_tokens; t += rows) {
        args.output[(entry.first_token + t) * args.output_token + place.h * args.output_head +
                    column] = 0.0F;
    }
}

/// Grid: delta_args.cuh. Sequences start fresh or from what their slot holds.
template <class S, int kRows, bool kChannels>
__global__ void __launch_bounds__(kDeltaWarps* lanes_per_warp, kLeastBlocks<kRows>)
    delta_recurrent_kernel(const __grid_constant__ SequenceTable table,
                           const __grid_constant__ DeltaKernelArgs args) {
    __shared__ RecurrentStage<kRows, kChannels> stage;
    constexpr int n_stage = kDeltaWarps;
    const SequenceEntry& entry = table.entries[blockIdx.y];
    const DeltaPlace place(args);
    if (entry.slot < 0) return clear_output(args, place, entry);

    StateTile<S, kRows> tile;
    if (entry.fresh)
        tile.clear();
    else
        load_tile(tile, args, place, entry.slot, false);
    for (int first = 0; first < entry.n_tokens; first += n_stage) {
        const index_t token = static_cast<index_t>(entry.first_token) + first;
        if (first > 0) __syncthreads();  // all have read the tokens before
        if (first + place.warp < entry.n_tokens)
            stage.fill(args, place, token + place.warp, place.warp);
        __syncthreads();
        const int left = entry.n_tokens - first;
#pragma unroll 1
        for (int i = 0; i < left && i < n_stage; ++i)
            recurrent_token(tile, stage, i, args, place, token + i);
    }
    store_tile(tile, args, place, entry.slot);
}

}  // namespace deltanet::cuda
