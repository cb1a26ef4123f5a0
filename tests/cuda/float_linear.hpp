// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A linear operator on the device as a user would write one: a kernel of its own in the stream
/// that the executor carries.
#pragma once

#include "kernels_cuda/launch.cuh"
#include <deltanet/cuda/backend.hpp>
#include <deltanet/cuda/weights.hpp>
#include <deltanet/linear/reference.hpp>

namespace deltanet::test {

/// y[t, o] = sum_i weight[o, i] x[t, i]; a thread an output, tokens in the second grid dimension.
__global__ inline void float_linear_kernel(const float* weight, const float* x, index_t x_stride,
                                           float* y, index_t y_stride, int n_in, int n_out) {
    const int o = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const auto t = static_cast<index_t>(blockIdx.y);
    if (o >= n_out) return;
    float sum = 0.0F;
    for (int i = 0; i < n_in; ++i) sum += weight[index_t{o} * n_in + i] * x[t * x_stride + i];
    y[t * y_stride + o] = sum;
}

class FloatLinear {
  public:
    FloatLinear() = default;
    /// Dense, in device memory.
    explicit FloatLinear(View<const float, 2> weight) : weight_(weight) {}

    [[nodiscard]] index_t in_features() const noexcept { return weight_.size(1); }
    [[nodiscard]] index_t out_features() const noexcept { return weight_.size(0); }
    [[nodiscard]] static index_t scratch_bytes(index_t /*n_tokens*/, index_t /*concurrency*/) {
        return 0;
    }
    template <class E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> /*scratch*/,
                    E& executor) const {
        constexpr unsigned threads = 64;
        const auto n_out = static_cast<unsigned>(out_features());
        cuda::launch(float_linear_kernel,
                     dim3((n_out + threads - 1) / threads, static_cast<unsigned>(x.size(0))),
                     dim3(threads), 0, executor.stream(), weight_.data(), x.data(), x.stride(0),
                     y.data(), y.stride(0), static_cast<int>(in_features()),
                     static_cast<int>(n_out));
    }

  private:
    View<const float, 2> weight_;
};
static_assert(LinearOperator<FloatLinear>);

/// Weights of a layer on the device, of those that the oracle has.
[[nodiscard]] inline LayerWeights<FloatLinear> on_device(
    const LayerWeights<ReferenceLinear>& weights, DeviceArrays& arrays) {
    return upload_weights<FloatLinear>(weights, arrays, [&arrays](const ReferenceLinear& w) {
        return FloatLinear(arrays.upload_as<float>(w.weight()));
    });
}

}  // namespace deltanet::test
