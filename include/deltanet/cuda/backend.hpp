// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The CUDA backend: every op as kernels in the stream of a `CudaMemory`. Link deltanet::cuda.
///   CudaMemory memory(stream);
///   DeltaNetLayer<CudaBackend, CublasLtLinear> layer(config, weights, CudaBackend(memory));
/// A forward queues its work and returns. It waits for nothing, and allocates nothing once the
/// workspace has grown; errors of kernels show up where the caller waits for the stream.
#pragma once

#include <deltanet/cuda/memory.hpp>
#include <deltanet/cuda/ops.hpp>
#include <deltanet/executor.hpp>

#include <cstddef>
#include <span>
#include <type_traits>

namespace deltanet {

/// What linear operators get: the stream to queue their work in. Tasks of their own on the host run
/// on the calling thread, at the time of the call.
class CudaExecutor : public SequentialExecutor {
  public:
    explicit CudaExecutor(cudaStream_t stream) noexcept : stream_(stream) {}

    [[nodiscard]] cudaStream_t stream() const noexcept { return stream_; }

  private:
    cudaStream_t stream_;
};

/// In float alone. Refers to the memory space, which must outlive it. The device of the space must
/// be current in calls.
class CudaBackend {
  public:
    static constexpr const char* name = "cuda";

    explicit CudaBackend(CudaMemory& memory) noexcept
        : memory_(&memory), executor_(memory.stream()) {}

    [[nodiscard]] CudaExecutor& executor() noexcept { return executor_; }
    [[nodiscard]] CudaMemory& memory() const noexcept { return *memory_; }

    void conv1d(const Conv1dArgs<float>& args) { cuda::conv1d(args, stream()); }
    void l2norm(const L2NormArgs<float>& args) { cuda::l2norm(args, stream()); }
    void rmsnorm(const RmsNormArgs<float>& args) { cuda::rmsnorm(args, stream()); }
    void gates(const GatesArgs<float>& args) { cuda::gates(args, stream()); }
    void conv_gates(const ConvGatesArgs<float>& args) { cuda::conv_gates(args, stream()); }
    void gated_rmsnorm(const GatedRmsNormArgs<float>& args) { cuda::gated_rmsnorm(args, stream()); }
    void gather_rows(const RowsArgs<float>& args) { cuda::gather_rows(args, stream()); }
    void add_rows(const RowsArgs<float>& args) { cuda::add_rows(args, stream()); }
    void clear_rows(View<float, 2> y, std::span<const index_t> rows) {
        cuda::clear_rows(y, rows, stream());
    }

    /// The chunked form multiplies bfloat16 on tensor cores, whatever is asked for.
    [[nodiscard]] static constexpr ScanCompute scan_compute(ScanCompute /*compute*/) noexcept {
        return ScanCompute::bf16;
    }
    [[nodiscard]] index_t delta_rule_scratch_bytes(const DeltaRuleArgs<float>& args) const {
        return cuda::delta_rule_scratch_bytes(args);
    }
    /// Bound over every batch of a layer with these sizes.
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(index_t d_k, index_t d_v,
                                                   index_t heads_per_group) const {
        static_assert(std::is_same_v<T, float>, "the CUDA backend computes in float");
        return cuda::delta_rule_scratch_bytes(d_k, d_v, heads_per_group);
    }
    void delta_rule(const DeltaRuleArgs<float>& args, std::span<std::byte> scratch) {
        cuda::delta_rule(args, scratch, stream());
    }

  private:
    [[nodiscard]] cudaStream_t stream() const noexcept { return executor_.stream(); }

    CudaMemory* memory_;
    CudaExecutor executor_;
};

}  // namespace deltanet
