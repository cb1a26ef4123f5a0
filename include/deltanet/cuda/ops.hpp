// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The ops on a CUDA stream: what the compiled component `deltanet::cuda` defines. All views point
/// to device memory; the lists of a call (sequences, rows, parents) are host memory and are read
/// before the function returns. Nothing is allocated or synchronised, so calls can be captured into
/// a graph. Arguments are those that ops/*.hpp have checked. A CUDA error throws `Error` with the
/// function and the text of cudaGetErrorString.
#pragma once

#include <deltanet/ops/conv_gates.hpp>
#include <deltanet/ops/delta_rule.hpp>
#include <deltanet/ops/gated_rmsnorm.hpp>
#include <deltanet/ops/rmsnorm.hpp>
#include <deltanet/ops/rows.hpp>

#include <cstddef>
#include <cuda_runtime.h>
#include <span>

namespace deltanet::cuda {

void conv1d(const Conv1dArgs<float>& args, cudaStream_t stream);
void l2norm(const L2NormArgs<float>& args, cudaStream_t stream);
void rmsnorm(const RmsNormArgs<float>& args, cudaStream_t stream);
void gates(const GatesArgs<float>& args, cudaStream_t stream);
void conv_gates(const ConvGatesArgs<float>& args, cudaStream_t stream);
void gated_rmsnorm(const GatedRmsNormArgs<float>& args, cudaStream_t stream);
void gather_rows(const RowsArgs<float>& args, cudaStream_t stream);
void add_rows(const RowsArgs<float>& args, cudaStream_t stream);

/// The rows of y that are named become 0.
void clear_rows(View<float, 2> y, std::span<const index_t> rows, cudaStream_t stream);

/// Row i of y becomes row first + i, for i < count: rows move down over each other (`flush` of
/// slots moves those of the convolution).
void shift_rows(View<float, 2> y, index_t first, index_t count, cudaStream_t stream);

/// y = x, rounded to nearest: what products in bfloat16 multiply. Innermost strides are 1.
void round_rows(View<const float, 2> x, View<bf16, 2> y, cudaStream_t stream);

/// Head sizes up to 256; states of every type.
inline constexpr index_t kMaxHeadSize = 256;

/// Bytes of device memory that `delta_rule` needs as `scratch`, aligned to 64.
[[nodiscard]] index_t delta_rule_scratch_bytes(const DeltaRuleArgs<float>& args);
/// Bound over all batches of a layer with these sizes.
[[nodiscard]] index_t delta_rule_scratch_bytes(index_t d_k, index_t d_v, index_t heads_per_group);
void delta_rule(const DeltaRuleArgs<float>& args, std::span<std::byte> scratch,
                cudaStream_t stream);

/// Writes the first n pending updates of a slot into its state. Rows of the convolution are not
/// moved.
void fold_pending(const StateView<float>& states, const PendingUpdates<float>& pending,
                  HeadMap head_map, index_t slot, index_t n, cudaStream_t stream);

}  // namespace deltanet::cuda
