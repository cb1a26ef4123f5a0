// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The state of a warp of chunk_scan.cuh, S^T [16, d_k] as float32 sums in its registers: from and
/// to a slot, of whatever type, and between windows.
#pragma once

#include "chunk_tiles.cuh"
#include "int8_state.cuh"
#include "storage.cuh"

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

/// The columns of a slot from `column` on, of one storage type.
template <int Dk, class S>
__device__ __forceinline__ void load_columns(ScanState<Dk>& state, const StateColumns<S>& from,
                                             int lane) {
    for_each_element(state, lane,
                     [&](int i, int j, float& element) { element = as_float(from.row(i)[j]); });
}
template <int Dk, class S>
__device__ __forceinline__ void store_columns(ScanState<Dk>& state, const StateColumns<S>& to,
                                              int lane) {
    for_each_element(state, lane,
                     [&](int i, int j, float& element) { to.row(i)[j] = stored<S>(element); });
}

/// f(key channel, its element, that of the next channel) over what a lane holds of the column that
/// is row_of_sums(h, lane).
template <int Dk, class F>
__device__ __forceinline__ void for_each_channel_pair(ScanState<Dk>& state, int h, int lane,
                                                      F&& f) {
#pragma unroll
    for (int c = 0; c < Dk / kTile; ++c) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            float(&sums)[4] = state.tiles[c].half[n];
            f(c * kTile + column_of_sums(n, lane), sums[2 * h], sums[2 * h + 1]);
        }
    }
}

/// Of int8 states a lane has whole bytes of residuals, and four lanes a column.
template <int Dk>
__device__ __forceinline__ void load_columns(ScanState<Dk>& state, const StateColumns<i8>& from,
                                             int lane) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        const int j = row_of_sums(h, lane);
        const float scale = from.scale[j];
        for_each_channel_pair(state, h, lane, [&](int i, float& even, float& odd) {
            const std::uint32_t residuals = from.residual_row(i)[j];
            even = scale * int8_element(from.row(i)[j], residuals, 0);
            odd = scale * int8_element(from.row(i + 1)[j], residuals, 1);
        });
    }
}
template <int Dk>
__device__ __forceinline__ void store_columns(ScanState<Dk>& state, const StateColumns<i8>& to,
                                              int lane) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        const int j = row_of_sums(h, lane);
        std::uint32_t largest = 0;
        for_each_channel_pair(state, h, lane, [&](int, float even, float odd) {
            largest = max(largest, max(Int8Scale::magnitude(even), Int8Scale::magnitude(odd)));
        });
#pragma unroll
        for (int offset = 1; offset < 4; offset *= 2)
            largest = max(largest, __shfl_xor_sync(all_lanes, largest, offset));
        const Int8Scale scale = Int8Scale::of(largest);
        if (lane % 4 == 0) to.scale[j] = scale.scale;
        for_each_channel_pair(state, h, lane, [&](int i, float even, float odd) {
            const Int8Parts a = Int8Parts::of(even, scale.inverse);
            const Int8Parts b = Int8Parts::of(odd, scale.inverse);
            to.row(i)[j].value = static_cast<std::int8_t>(a.byte);
            to.row(i + 1)[j].value = static_cast<std::int8_t>(b.byte);
            to.residual_row(i)[j] = static_cast<std::uint8_t>(a.residual | b.residual << 4);
        });
    }
}

/// f(columns of a slot from `column` on) with the type that they have.
template <int Dk, class F>
__device__ __forceinline__ void visit_columns(const ChunkArgs& args, int slot, int head, int column,
                                              F&& f) {
    const auto columns = [&]<class S>(S) {
        const auto d_v = static_cast<int>(args.v.size(2));
        f(args.states.columns<S>(slot, head, Dk, d_v).from(column));
    };
    if (args.states.dtype == DType::f32) return columns(float{});
    if (args.states.dtype == DType::bf16) return columns(bf16{});
    if (args.states.dtype == DType::f16) return columns(f16{});
    columns(i8{});
}

/// What the sequence starts with: zeros, or the slot's columns. 8 lanes read 8 neighbours of a row.
template <int Dk>
__device__ __forceinline__ void load_state(ScanState<Dk>& state, const ChunkArgs& args,
                                           const SequenceEntry& sequence, int head, int column,
                                           int lane) {
    if (sequence.fresh) {
        for_each_element(state, lane, [](int, int, float& element) { element = 0.0F; });
        return;
    }
    visit_columns<Dk>(args, sequence.slot, head, column,
                      [&](const auto& columns) { load_columns(state, columns, lane); });
}
/// To the slot, rounded.
template <int Dk>
__device__ __forceinline__ void store_state(ScanState<Dk>& state, const ChunkArgs& args,
                                            const SequenceEntry& sequence, int head, int column,
                                            int lane) {
    visit_columns<Dk>(args, sequence.slot, head, column,
                      [&](const auto& columns) { store_columns(state, columns, lane); });
}

/// Between windows.
template <int Dk>
__device__ __forceinline__ void load_carry(ScanState<Dk>& state, const FloatTile* carry, int lane) {
#pragma unroll
    for (int c = 0; c < Dk / kTile; ++c) state.tiles[c] = load_sums(carry[c], lane);
}
template <int Dk>
__device__ __forceinline__ void store_carry(const ScanState<Dk>& state, FloatTile* carry,
                                            int lane) {
#pragma unroll
    for (int c = 0; c < Dk / kTile; ++c) store_tile(state.tiles[c], carry[c], lane);
}

}  // namespace deltanet::cuda
