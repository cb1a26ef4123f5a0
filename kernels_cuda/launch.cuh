// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Starting kernels.
#pragma once

#include <deltanet/cuda/error.hpp>

#include <cuda_runtime.h>
#include <utility>

namespace deltanet::cuda {

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
