// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Elements of states as they are stored, 16 bytes at a time: four float32, or eight bf16 or f16.
#pragma once

#include "device.cuh"
#include <deltanet/dtype.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace deltanet::cuda {

/// An array whose size is an expression of template parameters.
template <class T, int N>
using Array = T[static_cast<std::size_t>(N)];

/// Exact.
template <class S>
__device__ __forceinline__ float as_float(S value) {
    if constexpr (std::is_same_v<S, float>)
        return value;
    else
        return ptx::to_float(value);
}

/// Rounded to nearest, ties to even.
template <class S>
__device__ __forceinline__ S stored(float value) {
    if constexpr (std::is_same_v<S, float>)
        return value;
    else if constexpr (std::is_same_v<S, bf16>)
        return ptx::to_bf16(value);
    else
        return ptx::to_f16(value);
}

__device__ __forceinline__ void load_stored(const float* from, float (&to)[4]) {
    const float4 all = load128(from);
    to[0] = all.x;
    to[1] = all.y;
    to[2] = all.z;
    to[3] = all.w;
}
__device__ __forceinline__ void store_stored(float* to, const float (&from)[4]) {
    store128(to, make_float4(from[0], from[1], from[2], from[3]));
}

template <class S>
__device__ __forceinline__ void load_stored(const S* from, float (&to)[8]) {
    const auto all = load128<uint4>(from);
    const std::uint32_t pairs[4] = {all.x, all.y, all.z, all.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        to[2 * i] = as_float(S{static_cast<std::uint16_t>(pairs[i])});
        to[2 * i + 1] = as_float(S{static_cast<std::uint16_t>(pairs[i] >> 16)});
    }
}
template <class S>
__device__ __forceinline__ void store_stored(S* to, const float (&from)[8]) {
    std::uint32_t pairs[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        pairs[i] = std::is_same_v<S, bf16> ? ptx::to_bf16x2(from[2 * i], from[2 * i + 1])
                                           : ptx::to_f16x2(from[2 * i], from[2 * i + 1]);
    }
    store128(to, make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
}

}  // namespace deltanet::cuda
