// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// How short rows (heads) lie in the lanes of a warp: four neighbouring elements a lane, one
/// 16-byte access, so a row of 128 takes a warp, one of 64 half of it, and a longer one several
/// turns. Rows whose addresses or sizes are no multiples of 16 bytes keep the same elements in the
/// same lanes, hence the same sums to the bit, and access them one by one.
#pragma once

#include "device.cuh"
#include <deltanet/config.hpp>

#include <cstdint>

namespace deltanet::cuda {

inline constexpr int kLaneElements = 4;
inline constexpr int kTurnElements = lanes_per_warp * kLaneElements;  ///< of a row, at once

/// Rows of `size` elements.
struct RowLanes {
    std::int32_t size = 0;
    std::int32_t lanes = 0;  ///< of a row, a power of two

    [[nodiscard]] static constexpr RowLanes of(index_t size) noexcept {
        std::int32_t lanes = 1;
        while (lanes < lanes_per_warp && lanes * kLaneElements < size) lanes *= 2;
        return {static_cast<std::int32_t>(size), lanes};
    }
    [[nodiscard]] constexpr int rows_per_warp() const noexcept { return lanes_per_warp / lanes; }
    [[nodiscard]] constexpr int turns() const noexcept {
        return (size + kTurnElements - 1) / kTurnElements;
    }
};

/// Four elements, of which the first `count` exist; the others are 0.
struct Quad {
    float x[kLaneElements];
};

__device__ __forceinline__ Quad load_quad(const float* from, int count, bool vector) {
    Quad quad{};
    if (vector) {
        if (count > 0) {
            const float4 all = load128(from);
            quad = {{all.x, all.y, all.z, all.w}};
        }
        return quad;
    }
#pragma unroll
    for (int i = 0; i < kLaneElements; ++i) {
        if (i < count) quad.x[i] = from[i];
    }
    return quad;
}

__device__ __forceinline__ void store_quad(float* to, const Quad& quad, int count, bool vector) {
    if (vector) {
        if (count > 0) store128(to, make_float4(quad.x[0], quad.x[1], quad.x[2], quad.x[3]));
        return;
    }
#pragma unroll
    for (int i = 0; i < kLaneElements; ++i) {
        if (i < count) to[i] = quad.x[i];
    }
}

/// Elements of a lane, `n` left in the row from its first on.
__device__ __forceinline__ int clamp_count(int n) {
    return n < 0 ? 0 : n < kLaneElements ? n : kLaneElements;
}

__device__ __forceinline__ float sum_of_squares(const Quad& quad, float sum) {
#pragma unroll
    for (int i = 0; i < kLaneElements; ++i) sum = fmaf(quad.x[i], quad.x[i], sum);
    return sum;
}

/// The sum over the lanes of a row, in all of them. All lanes of the warp take part.
__device__ __forceinline__ float row_sum(float value, int lanes) {
    for (int offset = lanes / 2; offset > 0; offset /= 2)
        value += __shfl_xor_sync(all_lanes, value, offset);
    return value;
}

/// Accesses of so many bytes fit: the address and these strides and sizes, in elements.
template <index_t Bytes = 16, class T, class... Counts>
[[nodiscard]] bool fits_vectors(const T* data, Counts... counts) noexcept {
    return reinterpret_cast<std::uintptr_t>(data) % Bytes == 0 &&
           ((static_cast<index_t>(counts) * static_cast<index_t>(sizeof(T)) % Bytes == 0) && ...);
}

}  // namespace deltanet::cuda
