// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Stands in for NVIDIA's header of this name, over the executor: the few names that
/// cublaslt_linear.hpp uses, with NVIDIA's meaning as its documentation has it. Products are plain
/// loops in a kernel; what is checked is what they are asked for. For tests alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <cuda_runtime.h>
#include <deltanet/dtype.hpp>

enum cublasStatus_t {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_NOT_SUPPORTED = 15,
};
enum cudaDataType_t { CUDA_R_32F = 0, CUDA_R_16BF = 14 };
enum cublasComputeType_t { CUBLAS_COMPUTE_32F = 68 };
enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum cublasLtMatmulDescAttributes_t { CUBLASLT_MATMUL_DESC_TRANSA = 3 };
enum cublasLtMatmulPreferenceAttributes_t {
    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8,
};

struct cublasLtContext {};
using cublasLtHandle_t = cublasLtContext*;

/// By columns: element (i, j) stands at i + j * ld.
struct cublasLtMatrixLayoutOpaque_t {
    cudaDataType_t type;
    std::uint64_t rows, cols;
    std::int64_t ld;
};
struct cublasLtMatmulDescOpaque_t {
    cublasOperation_t transa;
};
struct cublasLtMatmulPreferenceOpaque_t {
    std::uint64_t workspace = 0;
    std::uint32_t alignment[4] = {256, 256, 256, 256};  ///< of A, B, C, D
};
using cublasLtMatrixLayout_t = cublasLtMatrixLayoutOpaque_t*;
using cublasLtMatmulDesc_t = cublasLtMatmulDescOpaque_t*;
using cublasLtMatmulPreference_t = cublasLtMatmulPreferenceOpaque_t*;

/// A kernel that takes what was promised when it was chosen, and no more tokens than then.
struct cublasLtMatmulAlgo_t {
    std::uint32_t alignment[4];
    std::uint64_t workspace, most_columns;
};
struct cublasLtMatmulHeuristicResult_t {
    cublasLtMatmulAlgo_t algo;
    std::size_t workspaceSize;
    cublasStatus_t state;
    float wavesCount;
};

/// What the stand-in saw.
struct CublasLtCalls {
    long with_algorithm = 0;
    long without = 0;
    bool finds_kernels = true;  ///< set by tests: a library that finds nothing
};
inline CublasLtCalls cublaslt_calls;

inline const char* cublasLtGetStatusString(cublasStatus_t status) {
    return status == CUBLAS_STATUS_SUCCESS         ? "CUBLAS_STATUS_SUCCESS"
           : status == CUBLAS_STATUS_NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED"
                                                   : "CUBLAS_STATUS_INVALID_VALUE";
}
inline cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
    *handle = new cublasLtContext;
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t layout, cudaDataType_t type,
                                               std::uint64_t rows, std::uint64_t cols,
                                               std::int64_t ld) {
    if (ld < static_cast<std::int64_t>(rows)) return CUBLAS_STATUS_INVALID_VALUE;
    *layout = {type, rows, cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDesc_t description, cublasComputeType_t,
                                             cudaDataType_t) {
    *description = {CUBLAS_OP_N};
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                                     cublasLtMatmulDescAttributes_t,
                                                     const void* value, std::size_t) {
    std::memcpy(&description->transa, value, sizeof(description->transa));
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t preference) {
    *preference = {};
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
    const void* value, std::size_t bytes) {
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
        if (bytes != 8) return CUBLAS_STATUS_INVALID_VALUE;
        std::memcpy(&preference->workspace, value, 8);
        return CUBLAS_STATUS_SUCCESS;
    }
    if (bytes != 4) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
                value, 4);
    return CUBLAS_STATUS_SUCCESS;
}

namespace cublaslt_stand_in {

/// A^T [m, k] by B [k, n] in D [m, n]: the sizes agree.
inline bool is_product(const cublasLtMatmulDescOpaque_t& p, const cublasLtMatrixLayoutOpaque_t& a,
                       const cublasLtMatrixLayoutOpaque_t& b,
                       const cublasLtMatrixLayoutOpaque_t& d) {
    return p.transa == CUBLAS_OP_T && a.rows == b.rows && a.cols == d.rows && b.cols == d.cols &&
           a.type == b.type && d.type == CUDA_R_32F;
}

template <class T>
__global__ void product(const T* a, std::int64_t lda, const T* b, std::int64_t ldb, float* d,
                        std::int64_t ldd, int m, int k) {
    const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const auto column = static_cast<std::int64_t>(blockIdx.y);
    if (row >= m) return;
    float sum = 0.0F;
    for (int i = 0; i < k; ++i) {
        sum += deltanet::to_float(a[i + row * lda]) * deltanet::to_float(b[i + column * ldb]);
    }
    d[row + column * ldd] = sum;
}

template <class T>
cublasStatus_t run(const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                   cublasLtMatrixLayout_t b_layout, void* d, cublasLtMatrixLayout_t d_layout,
                   cudaStream_t stream) {
    cudaLaunchConfig_t config{};
    config.blockDim = dim3(32);
    config.gridDim = dim3(static_cast<unsigned>((d_layout->rows + 31) / 32),
                          static_cast<unsigned>(d_layout->cols));
    config.stream = stream;
    const cudaError_t error = cudaLaunchKernelEx(
        &config, product<T>, static_cast<const T*>(a), a_layout->ld, static_cast<const T*>(b),
        b_layout->ld, static_cast<float*>(d), d_layout->ld, static_cast<int>(d_layout->rows),
        static_cast<int>(a_layout->rows));
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

inline bool is_aligned(const void* matrix, cublasLtMatrixLayout_t layout, std::uint32_t bytes) {
    const std::int64_t element = layout->type == CUDA_R_16BF ? 2 : 4;
    return reinterpret_cast<std::uintptr_t>(matrix) % bytes == 0 &&
           layout->ld * element % bytes == 0;
}

}  // namespace cublaslt_stand_in

inline cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,
    cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
    cublasLtMatmulPreference_t preference, int wanted, cublasLtMatmulHeuristicResult_t* results,
    int* n_found) {
    *n_found = 0;
    if (wanted != 1 || c != d || !cublaslt_stand_in::is_product(*product, *a, *b, *d))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!cublaslt_calls.finds_kernels) return CUBLAS_STATUS_NOT_SUPPORTED;
    std::copy_n(preference->alignment, 4, results->algo.alignment);
    results->algo.workspace = preference->workspace;
    results->algo.most_columns = d->cols;
    results->state = CUBLAS_STATUS_SUCCESS;
    *n_found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product,
                                     const void* alpha, const void* a,
                                     cublasLtMatrixLayout_t a_layout, const void* b,
                                     cublasLtMatrixLayout_t b_layout, const void* beta,
                                     const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                                     cublasLtMatrixLayout_t d_layout,
                                     const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                                     std::size_t workspace_bytes, cudaStream_t stream) {
    namespace self = cublaslt_stand_in;
    if (!self::is_product(*product, *a_layout, *b_layout, *d_layout) || c != d ||
        c_layout != d_layout || *static_cast<const float*>(alpha) != 1.0F ||
        *static_cast<const float*>(beta) != 0.0F)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (algorithm != nullptr) {
        if (algorithm->workspace > workspace_bytes || workspace == nullptr ||
            d_layout->cols > algorithm->most_columns ||
            !self::is_aligned(a, a_layout, algorithm->alignment[0]) ||
            !self::is_aligned(b, b_layout, algorithm->alignment[1]) ||
            !self::is_aligned(d, d_layout, algorithm->alignment[3]))
            return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    ++(algorithm != nullptr ? cublaslt_calls.with_algorithm : cublaslt_calls.without);
    return a_layout->type == CUDA_R_16BF
               ? self::run<deltanet::bf16>(a, a_layout, b, b_layout, d, d_layout, stream)
               : self::run<float>(a, a_layout, b, b_layout, d, d_layout, stream);
}
