// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The state of a warp of chunk_scan.cuh, S^T [16, d_k] as float32 sums in its registers: from and
/// to a slot, of whatever type, and between windows.
#pragma once

#include "chunk_tiles.cuh"

#include <type_traits>

namespace deltanet::cuda {

/// Value columns of a warp.
inline constexpr int kWarpColumns = kTile;

template <int Dk>
struct ScanState {
    Sums tiles[static_cast<std::size_t>(Dk / kTile)];
};

/// f(key channel, column of the warp, element) over what a lane holds of the state.
template <int Dk, class F>
__device__ __forceinline__ void for_each_element(ScanState<Dk>& state, int lane, F&& f) {
#pragma unroll
    for (int c = 0; c < Dk / kTile; ++c) {
        for_each_element(state.tiles[c], lane, [&](int column, int channel, float& element) {
            f(c * kTile + channel, column, element);
        });
    }
}

/// An element of a state, as it is stored.
template <class S>
__device__ __forceinline__ float read_element(S stored) {
    if constexpr (std::is_same_v<S, float>) {
        return stored;
    } else {
        return ptx::to_float(stored);
    }
}
template <class S>
__device__ __forceinline__ S rounded_element(float value) {
    if constexpr (std::is_same_v<S, float>) {
        return value;
    } else if constexpr (std::is_same_v<S, bf16>) {
        return ptx::to_bf16(value);
    } else {
        return ptx::to_f16(value);
    }
}

/// f(pointer to row 0) for the columns from `column` on in a slot, of the type that they have.
template <class F>
__device__ __forceinline__ void visit_columns(const ChunkState& states, int slot, int head,
                                              int column, F&& f) {
    const index_t offset = slot * states.slot_stride + head * states.head_stride + column;
    if (states.dtype == DType::f32) {
        f(static_cast<float*>(states.data) + offset);
    } else if (states.dtype == DType::bf16) {
        f(static_cast<bf16*>(states.data) + offset);
    } else {
        f(static_cast<f16*>(states.data) + offset);
    }
}

/// What the sequence starts with: zeros, or the slot's columns. 8 lanes read 8 neighbours of a row.
template <int Dk>
__device__ __forceinline__ void load_state(ScanState<Dk>& state, const ChunkState& states,
                                           const SequenceEntry& sequence, int head, int column,
                                           int lane) {
    if (sequence.fresh) {
        for_each_element(state, lane, [](int, int, float& element) { element = 0.0F; });
        return;
    }
    visit_columns(states, sequence.slot, head, column, [&](const auto* columns) {
        for_each_element(state, lane, [&](int i, int j, float& element) {
            element = read_element(columns[i * states.row_stride + j]);
        });
    });
}
/// To the slot, rounded.
template <int Dk>
__device__ __forceinline__ void store_state(ScanState<Dk>& state, const ChunkState& states,
                                            const SequenceEntry& sequence, int head, int column,
                                            int lane) {
    visit_columns(states, sequence.slot, head, column, [&]<class S>(S* columns) {
        for_each_element(state, lane, [&](int i, int j, float& element) {
            columns[i * states.row_stride + j] = rounded_element<S>(element);
        });
    });
}

/// Between windows: 16 Dk floats, as the lanes hold them, 16 bytes each.
template <int Dk>
__device__ __forceinline__ void load_carry(ScanState<Dk>& state, const float* carry, int lane) {
#pragma unroll
    for (int c = 0; c < Dk / kTile; ++c) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const auto x = load128(carry + ((c * 2 + n) * lanes_per_warp + lane) * 4);
            float(&half)[4] = state.tiles[c].half[n];
            half[0] = x.x, half[1] = x.y, half[2] = x.z, half[3] = x.w;
        }
    }
}
template <int Dk>
__device__ __forceinline__ void store_carry(const ScanState<Dk>& state, float* carry, int lane) {
#pragma unroll
    for (int c = 0; c < Dk / kTile; ++c) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const float(&half)[4] = state.tiles[c].half[n];
            store128(carry + ((c * 2 + n) * lanes_per_warp + lane) * 4,
                     make_float4(half[0], half[1], half[2], half[3]));
        }
    }
}

}  // namespace deltanet::cuda
