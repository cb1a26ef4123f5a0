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

/// Floats as sums of three bfloat16, each of which has 8 more of their 24 bits.
inline constexpr int kParts = 3;
template <class Operand>
struct Split {
    Operand parts[kParts];
};

/// sums += sign part. The parts of floats add up to them exactly, the last one first.
__device__ __forceinline__ void add_part(Sums& sums, const Left& part, float sign = 1.0F) {
#pragma unroll
    for (int w = 0; w < 4; ++w) {
        sums.half[w / 2][w % 2 * 2] += sign * low_bf16(part.words[w]);
        sums.half[w / 2][w % 2 * 2 + 1] += sign * high_bf16(part.words[w]);
    }
}
/// The next part of floats, and what it leaves of them.
__device__ __forceinline__ Left take_part(Sums& rest) {
    const Left part = round_tile(rest);
    add_part(rest, part, -1.0F);
    return part;
}
__device__ __forceinline__ Split<Left> split_tile(Sums sums) {
    Split<Left> split;
#pragma unroll
    for (int p = 0; p < kParts; ++p) split.parts[p] = take_part(sums);
    return split;
}
/// A left operand as the right one, with rows as columns.
__device__ __forceinline__ Right as_right(const Left& tile) {
    return {{{tile.words[0], tile.words[2]}, {tile.words[1], tile.words[3]}}};
}

/// Word by word, 128 consecutive bytes each.
__device__ __forceinline__ void store_tile(const Left& tile, Tile& to, int lane) {
#pragma unroll
    for (int w = 0; w < 4; ++w) to.words[w][lane] = tile.words[w];
}

__device__ __forceinline__ void store_tile(const Sums& tile, FloatTile& to, int lane) {
#pragma unroll
    for (int n = 0; n < 2; ++n) {
        const float(&half)[4] = tile.half[n];
        store128(&to.half[n][lane], make_float4(half[0], half[1], half[2], half[3]));
    }
}
__device__ __forceinline__ Sums load_sums(const FloatTile& from, int lane) {
    Sums sums;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
        const float4 x = load128(&from.half[n][lane]);
        float(&half)[4] = sums.half[n];
        half[0] = x.x, half[1] = x.y, half[2] = x.z, half[3] = x.w;
    }
    return sums;
}

__device__ __forceinline__ void store_tile(const Split<Left>& tile, Split<Tile>& to, int lane) {
#pragma unroll
    for (int p = 0; p < kParts; ++p) store_tile(tile.parts[p], to.parts[p], lane);
}

/// A tile in shared memory as the left operand.
__device__ __forceinline__ Left load_left(const Tile& tile, int lane) {
    Left left;
    ptx::ldmatrix_x4(left.words, &tile.words[0][0] + lane * 4);
    return left;
}
__device__ __forceinline__ Split<Left> load_left(const Split<Tile>& tile, int lane) {
    Split<Left> left;
#pragma unroll
    for (int p = 0; p < kParts; ++p) left.parts[p] = load_left(tile.parts[p], lane);
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
/// The same for floats, as exact as products and sums of floats are: of the nine products of parts
/// those of 2^-24 of the whole and less are left out. (Henry, Tang, Heinecke: Leveraging the
/// bfloat16 artificial intelligence datatype for higher-precision computations. ARITH 2019.)
/// right(p): the p-th part of the right operand, asked for once, in order.
template <class F>
__device__ __forceinline__ void multiply_split(Sums& sums, const Split<Left>& left, F&& right) {
#pragma unroll
    for (int r = 0; r < kParts; ++r) {
        const Right part = right(r);
#pragma unroll
        for (int l = kParts - 1 - r; l >= 0; --l) multiply(sums, left.parts[l], part);
    }
}

}  // namespace deltanet::cuda
