// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What kernels are written with: shared memory as a struct, wide accesses, sums over the lanes of
/// a warp. Includes ptx.cuh.
#pragma once

#include "ptx.cuh"
#include <deltanet/config.hpp>

namespace deltanet::cuda {

inline constexpr int lanes_per_warp = 32;
inline constexpr unsigned all_lanes = 0xFFFFFFFFU;

__device__ __forceinline__ int lane_index() {
    return static_cast<int>(threadIdx.x) % lanes_per_warp;
}
__device__ __forceinline__ int warp_index() {
    return static_cast<int>(threadIdx.x) / lanes_per_warp;
}

/// The block's dynamic shared memory as a struct, of which the launch asks for sizeof(Storage). Its
/// contents are undefined.
template <class Storage>
__device__ __forceinline__ Storage& shared_storage() {
    static_assert(alignof(Storage) <= 128);
    return *reinterpret_cast<Storage*>(ptx::dynamic_shared_memory());
}

/// 16 bytes in one access, of memory aligned to 16.
template <class V = float4>
__device__ __forceinline__ V load128(const void* memory) {
    static_assert(sizeof(V) == 16);
    return ptx::load<V>(memory);
}
template <class V>
__device__ __forceinline__ void store128(void* memory, V value) {
    static_assert(sizeof(V) == 16);
    ptx::store(memory, value);
}

/// 8 bytes in one access, of memory aligned to 8: four 16-bit elements.
template <class V = uint2>
__device__ __forceinline__ V load64(const void* memory) {
    static_assert(sizeof(V) == 8);
    return ptx::load<V>(memory);
}
template <class V>
__device__ __forceinline__ void store64(void* memory, V value) {
    static_assert(sizeof(V) == 8);
    ptx::store(memory, value);
}

/// Sum over each `Width` neighbouring lanes (a power of two), in the same order in all of them. All
/// lanes of the warp take part.
template <int Width = lanes_per_warp>
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int offset = Width / 2; offset > 0; offset /= 2) {
        value += __shfl_xor_sync(all_lanes, value, offset);
    }
    return value;
}

}  // namespace deltanet::cuda
