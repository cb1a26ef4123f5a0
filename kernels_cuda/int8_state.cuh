// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Elements of int8 states, S_ij = scale_j (c_ij + r_ij / 15), as ops/state_columns.hpp defines
/// them: out of the words that hold four neighbouring columns, and rounded into their parts.
///
/// Integers become floats, and floats integers, as the low bits of 2^23 or 1.5 2^23: by one sum at
/// the rate of sums, where a conversion has an eighth of it or less.
#pragma once

#include "device.cuh"
#include <deltanet/ops/state_columns.hpp>

#include <cstdint>

namespace deltanet::cuda {

inline constexpr int kWordColumns = 4;

/// Four bytes, of which the first `count` exist; the others are 0. `whole`: one access fits.
__device__ __forceinline__ std::uint32_t load_bytes(const void* from, int count, bool whole) {
    if (whole) return ptx::load<std::uint32_t>(from);
    const auto* const bytes = static_cast<const std::uint8_t*>(from);
    std::uint32_t word = 0;
#pragma unroll
    for (int c = 0; c < kWordColumns; ++c) {
        if (c < count) word |= std::uint32_t{bytes[c]} << (8 * c);
    }
    return word;
}
__device__ __forceinline__ void store_bytes(void* to, std::uint32_t word, int count, bool whole) {
    if (whole) return ptx::store(to, word);
    auto* const bytes = static_cast<std::uint8_t*>(to);
#pragma unroll
    for (int c = 0; c < kWordColumns; ++c) {
        if (c < count) bytes[c] = static_cast<std::uint8_t>(word >> (8 * c));
    }
}

/// bits - offset, bits < 2^8.
__device__ __forceinline__ float small_integer(std::uint32_t bits, float offset) {
    return __uint_as_float(0x4B000000U | bits) - (0x1p23F + offset);
}

/// c of four columns.
__device__ __forceinline__ void unpack_integers(std::uint32_t word, float (&to)[kWordColumns]) {
    word ^= 0x80808080U;  // each is c + 128
#pragma unroll
    for (int c = 0; c < kWordColumns; ++c) to[c] = small_integer(word >> (8 * c) & 0xFFU, 128.0F);
}

/// c + r / 15. `residuals`: of an even row and the next, of which this is `odd`, in a byte or more.
__device__ __forceinline__ float with_residual(float c, std::uint32_t residuals, int odd) {
    const float r = small_integer((residuals >> (4 * odd) & 15U) ^ 8U, 8.0F);
    return fmaf(r, 1.0F / deltanet::detail::kResidualSteps, c);
}
__device__ __forceinline__ float int8_element(i8 c, std::uint32_t residuals, int odd) {
    return with_residual(static_cast<float>(c.value), residuals, odd);
}
/// Of four columns, in the place of c.
__device__ __forceinline__ void add_residuals(std::uint32_t word, int odd,
                                              float (&to)[kWordColumns]) {
#pragma unroll
    for (int c = 0; c < kWordColumns; ++c) to[c] = with_residual(to[c], word >> (8 * c), odd);
}

/// What a column is rounded by.
struct Int8Scale {
    float scale;    ///< as stored; NaN if an element is not finite
    float inverse;  ///< of it, or 0

    /// `largest`: the most of `magnitude` over the column.
    static __device__ __forceinline__ Int8Scale of(std::uint32_t largest) {
        constexpr std::uint32_t infinity = 0x7F800000U;
        if (largest >= infinity) return {__uint_as_float(0x7FC00000U), 0.0F};
        const float scale = __uint_as_float(largest) * (1.0F / 127);
        // Of the quotient 2 ulp are known where the scale is below 2^126, which it is.
        if (__uint_as_float(largest) < 0x1p-100F) return {0.0F, 0.0F};
        return {scale, __fdividef(1.0F, scale)};
    }
    /// |x| as a number that grows with it, infinity and then NaN above all others.
    static __device__ __forceinline__ std::uint32_t magnitude(float x) {
        return __float_as_uint(x) & 0x7FFFFFFFU;
    }
};

/// An element of a column, divided by the scale and rounded.
struct Int8Parts {
    float integer;           ///< c
    std::uint32_t byte;      ///< c in 8 bits
    std::uint32_t residual;  ///< r in 4 bits

    static __device__ __forceinline__ Int8Parts of(float element, float inverse) {
        constexpr float aid = 0x1.8p23F;
        const float x = element * inverse;
        const float shifted = x + aid;
        const float c = shifted - aid;
        const float rest = (x - c) * static_cast<float>(deltanet::detail::kResidualSteps);
        const float r = fminf(fmaxf(rest, -7.0F), 7.0F);
        return {c, __float_as_uint(shifted) & 0xFFU, __float_as_uint(r + aid) & 15U};
    }
};

}  // namespace deltanet::cuda
