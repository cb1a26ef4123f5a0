// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Decay and beta of value heads from their raw projections:
///   decay_log[t, h] = -exp(A_log[h]) softplus(a[t, h] + dt_bias[h])
///   beta[t, h]      = factor sigmoid(b[t, h])
/// A few tokens a block, heads along the lanes. Blocks of their own, or the last blocks of the
/// convolution's launch.
#pragma once

#include "activations.cuh"
#include "lane_row.cuh"

namespace deltanet::cuda {

/// [n_tokens, groups, per_group] with strides.
struct GateInput {
    const float* data;
    index_t token, group, head;
};

struct GatesKernelArgs {
    GateInput a, b;
    const float* A_log;  ///< [H_v]
    index_t A_stride;
    const float* dt_bias;  ///< [H_v]
    index_t dt_stride;
    float* decay_log;  ///< [n_tokens, H_v]
    index_t decay_token;
    float* beta;  ///< [n_tokens, H_v]
    index_t beta_token;
    std::int64_t n_tokens;
    std::int32_t heads;
    std::int32_t per_group;
    float beta_factor;
};

inline constexpr int kGateWarps = 4;  ///< of a block, one token each

/// Block `block` of those that the gates take.
__device__ __forceinline__ void gates_block(const GatesKernelArgs& args, std::int64_t block) {
    const std::int64_t t = block * kGateWarps + warp_index();
    if (t >= args.n_tokens) return;
    for (int h = lane_index(); h < args.heads; h += lanes_per_warp) {
        const auto read = [&](const GateInput& input) {
            return input.data[t * input.token + h / args.per_group * input.group +
                              h % args.per_group * input.head];
        };
        const float a = read(args.a);
        const float b = read(args.b);
        const float rate = expf(args.A_log[h * args.A_stride]);
        args.decay_log[t * args.decay_token + h] =
            -rate * softplus(a + args.dt_bias[h * args.dt_stride]);
        args.beta[t * args.beta_token + h] = args.beta_factor * sigmoid(b);
    }
}

__global__ void __launch_bounds__(kGateWarps* lanes_per_warp)
    gates_kernel(const __grid_constant__ GatesKernelArgs args) {
    gates_block(args, blockIdx.x);
}

}  // namespace deltanet::cuda
