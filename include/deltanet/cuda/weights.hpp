// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Copies of weights in device memory, for engines whose own are in the host's. Weights that are on
/// the device already need nothing of this: a view of them is a weight.
#pragma once

#include <deltanet/cuda/memory.hpp>
#include <deltanet/detail/check.hpp>
#include <deltanet/linear/weight_matrix.hpp>
#include <deltanet/weights.hpp>

#include <utility>
#include <vector>

namespace deltanet {

/// Owns copies of arrays in a memory space. Moving it moves none of them.
class DeviceArrays {
  public:
    explicit DeviceArrays(MemorySpace& memory) : memory_(&memory) {}

    [[nodiscard]] MemorySpace& memory() const noexcept { return *memory_; }

    /// A copy of host values, dense in the same order of indices. A view without data gives one.
    template <class T, int Rank>
    [[nodiscard]] View<const T, Rank> upload(View<const T, Rank> host) {
        if (host.data() == nullptr || host.empty()) return {};
        std::vector<T> values;
        values.reserve(static_cast<std::size_t>(host.count()));
        append(host, values);
        return {keep(values), host.shape()};
    }

    /// A matrix [out, in] of any format as T: float, or bf16, to which everything is rounded.
    template <class T>
    [[nodiscard]] View<const T, 2> upload_as(const WeightMatrix& host) {
        const index_t rows = host.rows(), cols = host.cols();
        std::vector<float> row(static_cast<std::size_t>(cols));
        std::vector<T> values;
        values.reserve(static_cast<std::size_t>(rows * cols));
        for (index_t i = 0; i < rows; ++i) {
            host.load(i, 0, cols, row.data());
            for (const float value : row) values.push_back(from_float<T>(value));
        }
        return {keep(values), {rows, cols}};
    }

  private:
    template <class T, int Rank>
    static void append(View<const T, Rank> view, std::vector<T>& values) {
        for (index_t i = 0; i < view.size(0); ++i) {
            if constexpr (Rank == 1) {
                values.push_back(view(i));
            } else {
                append(view[i], values);
            }
        }
    }
    template <class T>
    [[nodiscard]] const T* keep(const std::vector<T>& values) {
        const auto bytes = static_cast<index_t>(values.size() * sizeof(T));
        arrays_.push_back(detail::allocate_in(*memory_, bytes));
        memory_->upload(arrays_.back().get(), values.data(), bytes);
        return reinterpret_cast<const T*>(arrays_.back().get());
    }

    MemorySpace* memory_;
    std::vector<detail::OwnedMemory> arrays_;
};

/// The weights of a layer in host memory as those of one on the device: `make(w)` is the operator
/// there for the operator w here, and the small tensors are copied into `arrays`, which must
/// outlive the layer. For example, with the weights that `bind_layer<EigenLinear>` finds in a
/// checkpoint:
///   upload_weights<CublasLtLinear>(bound.weights, arrays, [&](const EigenLinear& w) {
///       return CublasLtLinear(blas, arrays.upload_as<bf16>(w.weight()));
///   });
template <LinearOperator L, LinearOperator Host, class Make>
[[nodiscard]] LayerWeights<L> upload_weights(const LayerWeights<Host>& host, DeviceArrays& arrays,
                                             Make&& make) {
    LayerWeights<L> there;
    for (const Host& w : host.in_proj) there.in_proj.push_back(make(w));
    there.layout = host.layout;
    there.conv = arrays.upload(host.conv);
    there.conv_bias = arrays.upload(host.conv_bias);
    there.A_log = arrays.upload(host.A_log);
    there.dt_bias = arrays.upload(host.dt_bias);
    there.norm = arrays.upload(host.norm);
    there.pre_norm = arrays.upload(host.pre_norm);
    there.out_proj = make(host.out_proj);
    return there;
}

}  // namespace deltanet
