// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Launches of the norms.
#include "gated_rmsnorm.cuh"
#include "l2norm.cuh"
#include "launch.cuh"
#include "length_norm.hpp"
#include "rmsnorm.cuh"
#include <deltanet/cuda/ops.hpp>

namespace deltanet::cuda {

void l2norm(const L2NormArgs<float>& args, cudaStream_t stream) {
    const View<const float, 3>& x = args.input;
    if (x.empty()) return;
    const RowLanes row = RowLanes::of(x.size(2));
    const L2NormKernelArgs kernel_args{
        .input = x.data(),
        .input_token = x.stride(0),
        .input_head = x.stride(1),
        .output = args.output.data(),
        .output_token = args.output.stride(0),
        .output_head = args.output.stride(1),
        .heads = static_cast<std::int32_t>(x.size(1)),
        .n_rows = x.size(0) * x.size(1),
        .row = row,
        .norm = length_norm(args.form, args.eps),
        .vector = fits_vectors(x.data(), x.stride(0), x.stride(1), x.size(2)) &&
                  fits_vectors(args.output.data(), args.output.stride(0), args.output.stride(1))};
    const index_t rows_per_block = kNormWarps * row.rows_per_warp();
    const auto blocks =
        static_cast<unsigned>((kernel_args.n_rows + rows_per_block - 1) / rows_per_block);
    const auto kernel = row.turns() == 1   ? l2norm_kernel<1>
                        : row.turns() == 2 ? l2norm_kernel<2>
                                           : l2norm_kernel<0>;
    launch(kernel, dim3(blocks), dim3(kNormWarps * lanes_per_warp), 0, stream, kernel_args);
}

void rmsnorm(const RmsNormArgs<float>& args, cudaStream_t stream) {
    const View<const float, 2>& x = args.input;
    if (x.empty()) return;
    const RmsNormKernelArgs kernel_args{
        .input = x.data(),
        .input_row = x.stride(0),
        .weight = args.weight.data(),
        .output = args.output.data(),
        .output_row = args.output.stride(0),
        .n = static_cast<std::int32_t>(x.size(1)),
        .inverse_n = static_cast<float>(1.0 / static_cast<double>(x.size(1))),
        .eps = static_cast<float>(args.eps),
        .weight_offset = static_cast<float>(args.weight_offset),
        .vector = fits_vectors(x.data(), x.stride(0), x.size(1)) &&
                  fits_vectors(args.output.data(), args.output.stride(0)) &&
                  fits_vectors(args.weight.data())};
    launch(rmsnorm_kernel, dim3(static_cast<unsigned>(x.size(0))), dim3(kRmsWarps * lanes_per_warp),
           0, stream, kernel_args);
}

namespace {

template <OutputGate kGate>
void launch_gated(const GatedRmsNormKernelArgs& args, const RowTable& rows, cudaStream_t stream) {
    const index_t items = static_cast<index_t>(rows.count) * args.heads;
    const index_t items_per_block = kGatedWarps * args.row.rows_per_warp();
    const auto blocks = static_cast<unsigned>((items + items_per_block - 1) / items_per_block);
    const auto kernel = args.row.turns() == 1   ? gated_rmsnorm_kernel<kGate, 1>
                        : args.row.turns() == 2 ? gated_rmsnorm_kernel<kGate, 2>
                                                : gated_rmsnorm_kernel<kGate, 0>;
    launch(kernel, dim3(blocks), dim3(kGatedWarps * lanes_per_warp), 0, stream, args, rows);
}

}  // namespace

void gated_rmsnorm(const GatedRmsNormArgs<float>& args, cudaStream_t stream) {
    if (args.output.empty()) return;
    const View<const float, 3>& x = args.input;
    const View<const float, 4>& z = args.z;
    const bool has_z = args.gate != OutputGate::none;
    GatedRmsNormKernelArgs kernel_args{
        .input = x.data(),
        .input_token = x.stride(0),
        .input_head = x.stride(1),
        .z = z.data(),
        .z_token = z.stride(0),
        .z_group = z.stride(1),
        .z_head = z.stride(2),
        .weight = args.weight.data(),
        .output = args.output.data(),
        .output_row = args.output.stride(0),
        .output_head = args.output.stride(1),
        .heads = static_cast<std::int32_t>(x.size(1)),
        .per_group = has_z ? static_cast<std::int32_t>(z.size(2)) : 1,
        .row = RowLanes::of(x.size(2)),
        .inverse_d = static_cast<float>(1.0 / static_cast<double>(x.size(2))),
        .eps = static_cast<float>(args.eps),
        .vector = fits_vectors(x.data(), x.stride(0), x.stride(1), x.size(2)) &&
                  fits_vectors(args.output.data(), args.output.stride(0), args.output.stride(1)) &&
                  fits_vectors(args.weight.data())};
    if (has_z) {
        kernel_args.vector =
            kernel_args.vector && fits_vectors(z.data(), z.stride(0), z.stride(1), z.stride(2));
    }
    for_each_row_table(args.rows, args.output.size(0), [&](const RowTable& rows) {
        switch (args.gate) {
            case OutputGate::silu:
                return launch_gated<OutputGate::silu>(kernel_args, rows, stream);
            case OutputGate::sigmoid:
                return launch_gated<OutputGate::sigmoid>(kernel_args, rows, stream);
            case OutputGate::none:
                return launch_gated<OutputGate::none>(kernel_args, rows, stream);
        }
    });
}

}  // namespace deltanet::cuda
