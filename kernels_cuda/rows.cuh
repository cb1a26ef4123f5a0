// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Row traffic around the layer: gathering, adding, clearing and moving rows.
#pragma once

#include "lane_row.cuh"
#include "row_table.cuh"

namespace deltanet::cuda {

inline constexpr int kRowThreads = 256;

struct RowsKernelArgs {
    const float* input;  ///< [n_rows, n]
    index_t input_row;
    float* output;  ///< [n_selected, n]
    index_t output_row;
    std::int64_t n;
    bool vector;
};

/// A lane's elements [at, at + count) of a row of n, in a grid's blocks of columns.
struct LanePiece {
    std::int64_t at;
    int count;
};
__device__ __forceinline__ LanePiece lane_piece(std::int64_t n) {
    const std::int64_t at =
        (static_cast<std::int64_t>(blockIdx.y) * kRowThreads + threadIdx.x) * kLaneElements;
    const std::int64_t left = n - at;
    return {at, left < kLaneElements ? clamp_count(static_cast<int>(left)) : kLaneElements};
}

enum class RowWork : std::uint8_t { copy, add };

/// grid: (rows of the table, blocks of kRowThreads * 4 columns).
template <RowWork kWork>
__global__ void __launch_bounds__(kRowThreads)
    rows_kernel(const __grid_constant__ RowsKernelArgs args,
                const __grid_constant__ RowTable rows) {
    const auto [at, count] = lane_piece(args.n);
    const auto entry = static_cast<int>(blockIdx.x);
    const float* const from = args.input + rows.row(entry) * args.input_row + at;
    float* const to = args.output + (rows.first + entry) * args.output_row + at;
    Quad x = load_quad(from, count, args.vector);
    if constexpr (kWork == RowWork::add) {
        const Quad y = load_quad(to, count, args.vector);
#pragma unroll
        for (int i = 0; i < kLaneElements; ++i) x.x[i] += y.x[i];
    }
    store_quad(to, x, count, args.vector);
}

/// The rows of the table become 0; grid as above.
__global__ void __launch_bounds__(kRowThreads)
    clear_rows_kernel(const __grid_constant__ RowsKernelArgs args,
                      const __grid_constant__ RowTable rows) {
    const auto [at, count] = lane_piece(args.n);
    store_quad(args.output + rows.row(static_cast<int>(blockIdx.x)) * args.output_row + at, Quad{},
               count, args.vector);
}

struct RoundKernelArgs {
    const float* input;  ///< [n_rows, n]
    index_t input_row;
    bf16* output;  ///< [n_rows, n]
    index_t output_row;
    std::int64_t n;
    bool vector;  ///< of both sides
};

/// Output row i is input row i in bfloat16. grid: (rows, blocks of kRowThreads * 4 columns).
__global__ void __launch_bounds__(kRowThreads)
    round_rows_kernel(const __grid_constant__ RoundKernelArgs args) {
    const auto [at, count] = lane_piece(args.n);
    const auto row = static_cast<std::int64_t>(blockIdx.x);
    const Quad x = load_quad(args.input + row * args.input_row + at, count, args.vector);
    bf16* const to = args.output + row * args.output_row + at;
    if (args.vector) {
        if (count > 0)
            store64(to, make_uint2(ptx::to_bf16x2(x.x[0], x.x[1]), ptx::to_bf16x2(x.x[2], x.x[3])));
        return;
    }
#pragma unroll
    for (int i = 0; i < kLaneElements; ++i) {
        if (i < count) to[i] = ptx::to_bf16(x.x[i]);
    }
}

/// Row i becomes row first + i, i < count, a thread a column: ascending, none is overwritten before
/// it is read. grid: blocks of kRowThreads columns.
__global__ void __launch_bounds__(kRowThreads)
    shift_rows_kernel(float* rows, index_t row_stride, std::int64_t n, std::int64_t first,
                      std::int64_t count) {
    const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
    if (at >= n) return;
    for (std::int64_t i = 0; i < count; ++i)
        rows[i * row_stride + at] = rows[(first + i) * row_stride + at];
}

}  // namespace deltanet::cuda
