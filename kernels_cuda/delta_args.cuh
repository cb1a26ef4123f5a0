// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the step kernels of the delta rule take, and how they are cut into blocks: a block has
/// kDeltaWarps tiles of sixteen columns, side by side, of one value head of one sequence.
/// grid: (v blocks x value heads, entries of the table).
#pragma once

#include "sequence_table.cuh"
#include "slot_states.cuh"
#include "state_tile.cuh"
#include <deltanet/layer_config.hpp>

namespace deltanet::cuda {

inline constexpr int kDeltaWarps = 4;
inline constexpr int kBlockColumns = kDeltaWarps * kTileColumns;

/// Blocks that have to fit on a multiprocessor: how many registers a thread may take, 96, 128 or
/// 255. A tile has kRows / 2 of them.
template <int kRows>
inline constexpr int kLeastBlocks = kRows == 64    ? 5
                                    : kRows == 128 ? 4
                                                   : 2;

/// [n_tokens, heads, d], innermost stride 1.
struct HeadRows {
    const float* data = nullptr;
    index_t token = 0, head = 0;

    [[nodiscard]] __device__ __forceinline__ const float* row(index_t t, int h) const {
        return data + t * token + h * head;
    }
};

struct DeltaKernelArgs {
    HeadRows q, k, v;
    const float* decay_log = nullptr;  ///< [n_tokens, H_v] or [n_tokens, H_v, d_k]
    index_t decay_token = 0, decay_head = 0;
    const float* beta = nullptr;  ///< [n_tokens, H_v]
    index_t beta_token = 0, beta_head = 0;
    SlotStates states;
    float* output = nullptr;  ///< [n_tokens, H_v, d_v]
    index_t output_token = 0, output_head = 0;
    std::int32_t n_heads_k = 0, n_heads_v = 0, d_k = 0, d_v = 0;
    std::int32_t v_blocks = 0;  ///< blocks of a head
    HeadMap head_map = HeadMap::grouped;
    float scale = 1.0F;
    bool vector = false;  ///< a lane's columns of a row of the state are one access
};

/// Which part of which head a thread works on.
struct DeltaPlace {
    int lane, warp;
    int v_block;
    int h, h_k;  ///< value head and its key head
    int column;  ///< first column of the warp's tile, in the head; may lie behind the last

    __device__ __forceinline__ explicit DeltaPlace(const DeltaKernelArgs& args)
        : lane(lane_index()),
          warp(warp_index()),
          v_block(static_cast<int>(blockIdx.x) % args.v_blocks),
          h(static_cast<int>(blockIdx.x) / args.v_blocks),
          h_k(args.head_map == HeadMap::grouped ? h / (args.n_heads_v / args.n_heads_k)
                                                : h % args.n_heads_k),
          column(v_block * kBlockColumns + warp * kTileColumns) {}
};

/// f(columns from the lane's first one on, how many of the lane's exist) with the warp's columns of
/// one slot's head.
template <class S, class F>
__device__ __forceinline__ void with_columns(const DeltaKernelArgs& args, const DeltaPlace& place,
                                             int slot, const F& f) {
    const int first = place.column + first_column<S>(place.lane);
    const int left = args.d_v - first;
    const int count = left < 0 ? 0 : left < kLaneColumns<S> ? left : kLaneColumns<S>;
    f(args.states.columns<S>(slot, place.h, args.d_k, args.d_v).from(count > 0 ? first : 0), count);
}
template <class S, int kRows>
__device__ __forceinline__ void load_tile(StateTile<S, kRows>& tile, const DeltaKernelArgs& args,
                                          const DeltaPlace& place, int slot, bool coarse) {
    with_columns<S>(args, place, slot, [&](const StateColumns<S>& columns, int count) {
        tile.load(columns, args.d_k, count, args.vector, coarse, place.lane);
    });
}
template <class S, int kRows>
__device__ __forceinline__ void store_tile(StateTile<S, kRows>& tile, const DeltaKernelArgs& args,
                                           const DeltaPlace& place, int slot) {
    with_columns<S>(args, place, slot, [&](const StateColumns<S>& columns, int count) {
        tile.store(columns, args.d_k, count, args.vector, place.lane);
    });
}

/// A lane's share of a row of up to 256 elements into shared memory, the rest of it zeros:
/// to[i] = f(i) for i < size.
template <int kRows, class F>
__device__ __forceinline__ void stage_row(float* to, int size, int lane, const F& f) {
#pragma unroll
    for (int i = lane; i < kRows; i += lanes_per_warp) to[i] = i < size ? f(i) : 0.0F;
}

}  // namespace deltanet::cuda
