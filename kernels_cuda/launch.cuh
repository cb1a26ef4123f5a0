// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Starting kernels, and what becomes of CUDA's errors: deltanet::Error.
#pragma once

#include <deltanet/config.hpp>
#include <deltanet/error.hpp>

#include <cuda_runtime.h>
#include <string_view>
#include <utility>

namespace deltanet::cuda {

/// Throws "<function>: <text of CUDA>" unless it is cudaSuccess.
inline void check(cudaError_t error, std::string_view function) {
    if (error == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // it would be reported by the next call too
    detail::raise(detail::concat(function, ": ", cudaGetErrorString(error)));
}

/// Starts `kernel` in `stream` with `shared_bytes` of dynamic shared memory; nothing if the grid is
/// empty. The arguments become the kernel's parameters as in a call.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, index_t shared_bytes,
            cudaStream_t stream, Arguments&&... arguments) {
    constexpr index_t shared_bytes_without_asking = 48 << 10;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    if (shared_bytes > shared_bytes_without_asking) {
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(shared_bytes)),
              "cudaFuncSetAttribute");
    }
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...),
          "cudaLaunchKernelEx");
}

}  // namespace deltanet::cuda
