// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Launches of the row traffic.
#include "launch.cuh"
#include "rows.cuh"
#include <deltanet/cuda/ops.hpp>

namespace deltanet::cuda {
namespace {

[[nodiscard]] unsigned blocks_of(index_t n, index_t per_block) {
    return static_cast<unsigned>((n + per_block - 1) / per_block);
}

using RowsKernel = void (*)(RowsKernelArgs, RowTable);

void launch_rows(RowsKernel kernel, const RowsKernelArgs& args,
                 const std::optional<std::span<const index_t>>& rows, index_t n_rows,
                 cudaStream_t stream) {
    if (args.n == 0) return;
    const unsigned columns = blocks_of(args.n, kRowThreads * kLaneElements);
    for_each_row_table(rows, n_rows, [&](const RowTable& table) {
        launch(kernel, dim3(static_cast<unsigned>(table.count), columns), dim3(kRowThreads), 0,
               stream, args, table);
    });
}

[[nodiscard]] RowsKernelArgs rows_args(const RowsArgs<float>& args) {
    const auto& [x, y, rows] = args;
    return {.input = x.data(),
            .input_row = x.stride(0),
            .output = y.data(),
            .output_row = y.stride(0),
            .n = x.size(1),
            .vector = fits_vectors(x.data(), x.stride(0), x.size(1)) &&
                      fits_vectors(y.data(), y.stride(0))};
}

}  // namespace

void gather_rows(const RowsArgs<float>& args, cudaStream_t stream) {
    launch_rows(rows_kernel<RowWork::copy>, rows_args(args), args.rows, args.output.size(0),
                stream);
}

void add_rows(const RowsArgs<float>& args, cudaStream_t stream) {
    launch_rows(rows_kernel<RowWork::add>, rows_args(args), args.rows, args.output.size(0), stream);
}

void clear_rows(View<float, 2> y, std::span<const index_t> rows, cudaStream_t stream) {
    const RowsKernelArgs args{.input = nullptr,
                              .input_row = 0,
                              .output = y.data(),
                              .output_row = y.stride(0),
                              .n = y.size(1),
                              .vector = fits_vectors(y.data(), y.stride(0), y.size(1))};
    launch_rows(clear_rows_kernel, args, rows, static_cast<index_t>(rows.size()), stream);
}

void shift_rows(View<float, 2> y, index_t first, index_t count, cudaStream_t stream) {
    if (first == 0 || count == 0) return;
    launch(shift_rows_kernel, dim3(blocks_of(y.size(1), kRowThreads)), dim3(kRowThreads), 0, stream,
           y.data(), y.stride(0), y.size(1), first, count);
}

void round_rows(View<const float, 2> x, View<bf16, 2> y, cudaStream_t stream) {
    if (x.empty()) return;
    const bool to_fits =
        reinterpret_cast<std::uintptr_t>(y.data()) % 8 == 0 && y.stride(0) % 4 == 0;
    const RoundKernelArgs args{.input = x.data(),
                               .input_row = x.stride(0),
                               .output = y.data(),
                               .output_row = y.stride(0),
                               .n = x.size(1),
                               .vector = fits_vectors(x.data(), x.stride(0), x.size(1)) && to_fits};
    launch(
        round_rows_kernel,
        dim3(static_cast<unsigned>(x.size(0)), blocks_of(x.size(1), kRowThreads * kLaneElements)),
        dim3(kRowThreads), 0, stream, args);
}

}  // namespace deltanet::cuda
