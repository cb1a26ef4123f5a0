// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What becomes of CUDA's errors.
#pragma once

#include <deltanet/error.hpp>

#include <cuda_runtime.h>
#include <string_view>

namespace deltanet::cuda {

/// Throws "<function>: <text of CUDA>" unless it is cudaSuccess.
inline void check(cudaError_t error, std::string_view function) {
    if (error == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // it would be reported by the next call too
    detail::raise(detail::concat(function, ": ", cudaGetErrorString(error)));
}

}  // namespace deltanet::cuda
