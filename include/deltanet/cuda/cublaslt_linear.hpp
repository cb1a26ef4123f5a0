// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Projections by cuBLASLt, with weights in float32 or bfloat16 in device memory. An optional
/// header: it needs cublasLt.h and the library, as deltanet::cuda links where they are installed.
///
/// bfloat16 weights are multiplied with activations rounded to bfloat16, sums in float32. The order
/// of a sum depends on the number of tokens of a call, so results do too, in their last bits, and
/// `LayerConfig::deterministic` does not hold with it.
#pragma once

#include <deltanet/cuda/backend.hpp>
#include <deltanet/detail/check.hpp>
#include <deltanet/linear_operator.hpp>
#include <deltanet/workspace.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cublasLt.h>
#include <memory>
#include <string_view>
#include <utility>

namespace deltanet {

namespace cuda {

/// Throws "<function>: <text of cuBLASLt>" unless it is CUBLAS_STATUS_SUCCESS.
inline void check(cublasStatus_t status, std::string_view function) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    detail::raise(detail::concat(function, ": ", cublasLtGetStatusString(status)));
}

}  // namespace cuda

/// A handle of cuBLASLt and the device memory that its products work in, of the caller or its own.
/// Must outlive the operators that are made with it. Products that share the memory run in one
/// stream.
class CublasLt {
  public:
    static constexpr index_t kWorkspaceBytes = index_t{32} << 20;  ///< as NVIDIA advises

    /// Makes a handle, and takes memory.
    explicit CublasLt(CudaMemory& memory, index_t workspace_bytes = kWorkspaceBytes)
        : own_workspace_(memory) {
        cuda::check(cublasLtCreate(&handle_), "CublasLt: cublasLtCreate");
        own_handle_.reset(handle_);
        workspace_ = own_workspace_.acquire(workspace_bytes);
    }
    /// Of the caller; the memory is aligned to 256 bytes.
    CublasLt(cublasLtHandle_t handle, std::span<std::byte> workspace)
        : handle_(handle), workspace_(workspace) {}

    [[nodiscard]] cublasLtHandle_t handle() const noexcept { return handle_; }
    [[nodiscard]] std::span<std::byte> workspace() const noexcept { return workspace_; }

  private:
    struct Destroy {
        using pointer = cublasLtHandle_t;
        void operator()(cublasLtHandle_t handle) const noexcept {
            static_cast<void>(cublasLtDestroy(handle));
        }
    };

    cublasLtHandle_t handle_ = nullptr;
    std::unique_ptr<cublasLtHandle_t, Destroy> own_handle_;
    Workspace own_workspace_;
    std::span<std::byte> workspace_;
};

namespace detail {

/// One product y [n, out] = x [n, in] W^T. cuBLASLt counts by columns: of row-major memory it sees
/// the transposes, y^T [out, n] = (W^T)^T x^T, with W^T [in, out] and x^T [in, n].
class LtProduct {
  public:
    /// Rows are `..._row` elements apart.
    LtProduct(cudaDataType_t type, index_t in, index_t out, index_t n, index_t w_row, index_t x_row,
              index_t y_row) {
        const char* const where = "CublasLtLinear: cublasLtMatrixLayoutInit";
        const auto size = [](index_t count) { return static_cast<std::uint64_t>(count); };
        cuda::check(cublasLtMatrixLayoutInit(&w, type, size(in), size(out), w_row), where);
        cuda::check(cublasLtMatrixLayoutInit(&x, type, size(in), size(n), x_row), where);
        cuda::check(cublasLtMatrixLayoutInit(&y, CUDA_R_32F, size(out), size(n), y_row), where);
        cuda::check(cublasLtMatmulDescInit(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                    "CublasLtLinear: cublasLtMatmulDescInit");
        const cublasOperation_t transposed = CUBLAS_OP_T;
        cuda::check(cublasLtMatmulDescSetAttribute(&product, CUBLASLT_MATMUL_DESC_TRANSA,
                                                   &transposed, sizeof(transposed)),
                    "CublasLtLinear: cublasLtMatmulDescSetAttribute");
    }

    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t w, x, y;
};

}  // namespace detail

/// Weights [out, in] in device memory, not owned. The kernels of cuBLASLt are chosen when it is
/// made: for every power of two of tokens, and for rows whose addresses are multiples of 16 bytes
/// or are not. A call allocates nothing and waits for nothing. Copies share the choice.
class CublasLtLinear {
  public:
    CublasLtLinear() = default;
    CublasLtLinear(const CublasLt& library, View<const float, 2> weight)
        : CublasLtLinear(library, weight, CUDA_R_32F) {}
    CublasLtLinear(const CublasLt& library, View<const bf16, 2> weight)
        : CublasLtLinear(library, weight, CUDA_R_16BF) {}

    [[nodiscard]] index_t in_features() const noexcept { return in_; }
    [[nodiscard]] index_t out_features() const noexcept { return out_; }
    /// Of bfloat16: the rounded activations.
    [[nodiscard]] index_t scratch_bytes(index_t n_tokens, index_t /*concurrency*/) const noexcept {
        return type_ == CUDA_R_16BF ? n_tokens * rounded_row() * index_t{sizeof(bf16)} : 0;
    }

    template <class E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        static_assert(
            requires { executor.stream(); }, "CublasLtLinear runs on a CUDA backend");
        if (x.size(0) == 0) return;
        if (type_ == CUDA_R_32F) return multiply(x.data(), x.stride(0), y, executor.stream());
        const View<bf16, 2> rounded(reinterpret_cast<bf16*>(scratch.data()), x.shape(),
                                    {rounded_row(), 1});
        cuda::round_rows(x, rounded, executor.stream());
        multiply(rounded.data(), rounded_row(), y, executor.stream());
    }

  private:
    static constexpr std::size_t kSizes = 15;  ///< up to 2^14 tokens; more take the same kernel
    /// Kernels by tokens, those for any rows and those for aligned ones.
    using Kernels = std::array<std::array<cublasLtMatmulHeuristicResult_t, kSizes>, 2>;

    template <class T>
    CublasLtLinear(const CublasLt& library, View<const T, 2> weight, cudaDataType_t type)
        : library_(&library),
          weight_(weight.data()),
          in_(weight.size(1)),
          out_(weight.size(0)),
          weight_row_(weight.stride(0)),
          type_(type) {
        const char* const where = "CublasLtLinear";
        detail::check_at_least(where, "weight rows", out_, 1);
        detail::check_at_least(where, "weight columns", in_, 1);
        detail::check_tensor(where, "weight", weight, weight.shape());
        auto kernels = std::make_shared<Kernels>();
        for (const bool aligned : {false, true}) {
            for (std::size_t i = 0; i < kSizes; ++i) choose((*kernels)[aligned][i], i, aligned);
        }
        kernels_ = std::move(kernels);
    }

    [[nodiscard]] index_t element_bytes() const noexcept {
        return type_ == CUDA_R_16BF ? index_t{sizeof(bf16)} : index_t{sizeof(float)};
    }
    /// Whole 16 bytes.
    [[nodiscard]] index_t rounded_row() const noexcept { return (in_ + 7) / 8 * 8; }
    [[nodiscard]] static bool is_aligned(const void* first, index_t row_bytes) noexcept {
        return reinterpret_cast<std::uintptr_t>(first) % 16 == 0 && row_bytes % 16 == 0;
    }

    void choose(cublasLtMatmulHeuristicResult_t& kernel, std::size_t log_tokens, bool aligned) {
        kernel = {};
        kernel.state = CUBLAS_STATUS_NOT_SUPPORTED;
        // Rows as far apart as they may be: the next multiple of 16 bytes, or one element more.
        const index_t more = aligned ? 0 : 1;
        const index_t x_row = (in_ + 7) / 8 * 8 + more, y_row = (out_ + 7) / 8 * 8 + more;
        detail::LtProduct p(type_, in_, out_, index_t{1} << log_tokens, weight_row_, x_row, y_row);
        cublasLtMatmulPreferenceOpaque_t preference;
        cuda::check(cublasLtMatmulPreferenceInit(&preference),
                    "CublasLtLinear: cublasLtMatmulPreferenceInit");
        const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
            cuda::check(
                cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof(value)),
                "CublasLtLinear: cublasLtMatmulPreferenceSetAttribute");
        };
        const auto element = static_cast<std::uint32_t>(element_bytes());
        const bool w_aligned = is_aligned(weight_, weight_row_ * element_bytes());
        prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
               static_cast<std::uint64_t>(library_->workspace().size()));
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, w_aligned ? 16U : element);
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, aligned ? 16U : element);
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, aligned ? 16U : 4U);
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, aligned ? 16U : 4U);
        int n_found = 0;
        const cublasStatus_t status =
            cublasLtMatmulAlgoGetHeuristic(library_->handle(), &p.product, &p.w, &p.x, &p.y, &p.y,
                                           &preference, 1, &kernel, &n_found);
        if (status == CUBLAS_STATUS_SUCCESS && n_found == 1) return;
        if (status != CUBLAS_STATUS_SUCCESS && status != CUBLAS_STATUS_NOT_SUPPORTED)
            cuda::check(status, "CublasLtLinear: cublasLtMatmulAlgoGetHeuristic");
        kernel.state = CUBLAS_STATUS_NOT_SUPPORTED;
    }

    /// Where no kernel was found, or it does not take this size, cuBLASLt looks for one itself.
    void multiply(const void* x, index_t x_row, View<float, 2> y, cudaStream_t stream) const {
        const index_t n = y.size(0);
        const bool aligned = is_aligned(x, x_row * element_bytes()) &&
                             is_aligned(y.data(), y.stride(0) * index_t{sizeof(float)});
        const auto log_tokens = static_cast<std::size_t>(
            std::bit_width(static_cast<std::uint64_t>(n - 1)));  // of the next power of two
        const cublasLtMatmulHeuristicResult_t& kernel =
            (*kernels_)[aligned][std::min(log_tokens, kSizes - 1)];
        // A stride of one row alone is never followed, and must not be less than the row.
        detail::LtProduct p(type_, in_, out_, n, weight_row_, std::max(x_row, in_),
                            std::max(y.stride(0), out_));
        const auto run = [&](const cublasLtMatmulAlgo_t* algorithm) {
            const float one = 1.0F, zero = 0.0F;
            const std::span<std::byte> workspace = library_->workspace();
            return cublasLtMatmul(library_->handle(), &p.product, &one, weight_, &p.w, x, &p.x,
                                  &zero, y.data(), &p.y, y.data(), &p.y, algorithm,
                                  workspace.data(), workspace.size(), stream);
        };
        cublasStatus_t status = kernel.state;
        if (status == CUBLAS_STATUS_SUCCESS) status = run(&kernel.algo);
        if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE)
            status = run(nullptr);
        cuda::check(status, "CublasLtLinear: cublasLtMatmul");
    }

    const CublasLt* library_ = nullptr;
    const void* weight_ = nullptr;
    index_t in_ = 0, out_ = 0, weight_row_ = 0;
    cudaDataType_t type_ = CUDA_R_32F;
    std::shared_ptr<const Kernels> kernels_;
};

static_assert(LinearOperator<CublasLtLinear>);

}  // namespace deltanet
