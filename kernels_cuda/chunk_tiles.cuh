// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Products of 16 x 16 tiles on tensor cores: mma.sync m16n8k16, operands in bfloat16, sums in
/// float32. A warp holds a tile of sums as two halves of 8 columns; lane 4 g + t has
///   half[n][0], half[n][1]: row g,     columns 8 n + 2 t and the next
///   half[n][2], half[n][3]: row g + 8, the same columns
/// Rounded to bfloat16 and paired, these are the lane's words of a left operand, in the order of
/// the instruction and of Tile (chunk_records.cuh). So sums become operands of the next product, or
/// a tile in memory, without a lane asking another for anything.
#pragma once

#include "chunk_records.cuh"
#include "device.cuh"

namespace deltanet::cuda {

/// A tile of sums.
struct Sums {
    float half[2][4];
};

/// A tile as the left operand, rows x depth.
struct Left {
    std::uint32_t words[4];
};

/// A tile as the right operand, depth x columns, in two halves of 8 columns.
struct Right {
    std::uint32_t half[2][2];
};

/// Where half[n][2 h] of a lane is in a tile of sums; half[n][2 h + 1] is in the next column.
__device__ __forceinline__ int row_of_sums(int h, int lane) { return (lane >> 2) + h * 8; }
__device__ __forceinline__ int column_of_sums(int n, int lane) { return n * 8 + (lane & 3) * 2; }

/// f(row, column, element) over what a lane holds of a tile of sums, rows and columns as offsets in
/// the tile.
template <class F>
__device__ __forceinline__ void for_each_element(Sums& sums, int lane, F&& f) {
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e)
            f(row_of_sums(e >> 1, lane), column_of_sums(n, lane) + (e & 1), sums.half[n][e]);
    }
}

/// Sums rounded to bfloat16.
__device__ __forceinline__ Left round_tile(const Sums& sums) {
    return {{ptx::to_bf16x2(sums.half[0][0], sums.half[0][1]),
             ptx::to_bf16x2(sums.half[0][2], sums.half[0][3]),
             ptx::to_bf16x2(sums.half[1][0], sums.half[1][1]),
             ptx::to_bf16x2(sums.half[1][2], sums.half[1][3])}};
}

/// The elements of a word.
__device__ __forceinline__ float low_bf16(std::uint32_t word) {
    return __uint_as_float(word << 16);
}
__device__ __forceinline__ float high_bf16(std::uint32_t word) {
    return __uint_as_float(word & 0xFFFF0000U);
}

/// Sums as high + low, both bfloat16: 16 bits of a float's 24 survive.
struct SplitLeft {
    Left high, low;
};
__device__ __forceinline__ SplitLeft split_tile(const Sums& sums) {
    SplitLeft split{round_tile(sums), {}};
#pragma unroll
    for (int w = 0; w < 4; ++w) {
        const float a = sums.half[w / 2][w % 2 * 2];
        const float b = sums.half[w / 2][w % 2 * 2 + 1];
        split.low.words[w] =
            ptx::to_bf16x2(a - low_bf16(split.high.words[w]), b - high_bf16(split.high.words[w]));
    }
    return split;
}

/// Word by word, 128 consecutive bytes each.
__device__ __forceinline__ void store_tile(const Left& tile, Tile& to, int lane) {
#pragma unroll
    for (int w = 0; w < 4; ++w) to.words[w][lane] = tile.words[w];
}

/// A tile in shared memory as the left operand.
__device__ __forceinline__ Left load_left(const Tile& tile, int lane) {
    Left left;
    ptx::ldmatrix_x4(left.words, &tile.words[0][0] + lane * 4);
    return left;
}
/// A tile [columns, depth] in shared memory as the right operand.
__device__ __forceinline__ Right load_right(const Tile& tile, int lane) {
    std::uint32_t words[4];
    ptx::ldmatrix_x4(words, &tile.words[0][0] + lane * 4);
    return {{{words[0], words[2]}, {words[1], words[3]}}};
}
/// A tile [depth, columns].
__device__ __forceinline__ Right load_right_transposed(const Tile& tile, int lane) {
    std::uint32_t words[4];
    ptx::ldmatrix_x4_trans(words, &tile.words[0][0] + lane * 4);
    return {{{words[0], words[1]}, {words[2], words[3]}}};
}

/// sums += left right.
__device__ __forceinline__ void multiply(Sums& sums, const Left& left, const Right& right) {
#pragma unroll
    for (int n = 0; n < 2; ++n) ptx::mma_m16n8k16_bf16(sums.half[n], left.words, right.half[n]);
}
/// The same for operands in two parts each: the product of the low parts, 2^-16 of the whole, is
/// left out.
__device__ __forceinline__ void multiply(Sums& sums, const SplitLeft& left, const Right& right_high,
                                         const Right& right_low) {
    multiply(sums, left.low, right_high);
    multiply(sums, left.high, right_low);
    multiply(sums, left.high, right_high);
}

}  // namespace deltanet::cuda
