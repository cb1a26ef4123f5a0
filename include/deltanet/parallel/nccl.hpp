// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Ranks that speak through NCCL, for hosts whose GPUs are wired better than their network cards.
/// COMPILED ONLY: it has never been run. Not part of deltanet.hpp; needs nccl.h and
/// cuda_runtime_api.h, and links with libnccl and libcudart.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/parallel/communicator.hpp>

#include <cuda_runtime_api.h>
#include <nccl.h>
#include <utility>

namespace deltanet {

/// Models Communicator over a communicator and a stream of the engine's, which must outlive it.
/// Values and bytes are in host memory, as everywhere in this library: they pass through a buffer
/// on the device that this class owns, grows, and frees, and each operation waits for the stream.
/// Pinned memory is copied faster. One thread at a time, with the communicator's device current.
/// Move-only. What CUDA or NCCL report as an error is an `Error`.
class NcclCommunicator {
  public:
    NcclCommunicator(ncclComm_t communicator, cudaStream_t stream)
        : communicator_(communicator), stream_(stream) {
        check("ncclCommUserRank", ncclCommUserRank(communicator, &rank_));
        check("ncclCommCount", ncclCommCount(communicator, &world_));
    }

    [[nodiscard]] index_t rank() const noexcept { return rank_; }
    [[nodiscard]] index_t world() const noexcept { return world_; }

    /// In the order that NCCL chooses.
    void all_reduce(std::span<float> values) { reduce(values, ncclFloat32); }
    void all_reduce(std::span<bf16> values) { reduce(values, ncclBfloat16); }

    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
        if (all.size() != mine.size() * static_cast<std::size_t>(world_)) {
            detail::fail("NcclCommunicator::all_gather", "all",
                         detail::concat(mine.size(), " bytes for each of ", world_, " ranks"),
                         detail::concat(all.size(), " bytes"));
        }
        if (mine.empty()) return;
        // In place: NCCL wants its own share where it will be in the result.
        std::byte* const device = memory_.at_least(all.size());
        std::byte* const share = device + static_cast<std::size_t>(rank_) * mine.size();
        copy(share, mine.data(), mine.size(), cudaMemcpyHostToDevice);
        check("ncclAllGather",
              ncclAllGather(share, device, mine.size(), ncclInt8, communicator_, stream_));
        copy(all.data(), device, all.size(), cudaMemcpyDeviceToHost);
        check("cudaStreamSynchronize", cudaStreamSynchronize(stream_));
    }

  private:
    static void check(const char* call, cudaError_t status) {
        if (status != cudaSuccess)
            detail::fail("NcclCommunicator", call, "success", cudaGetErrorString(status));
    }
    static void check(const char* call, ncclResult_t status) {
        if (status != ncclSuccess)
            detail::fail("NcclCommunicator", call, "success", ncclGetErrorString(status));
    }

    /// On the device that is current.
    class DeviceMemory {
      public:
        DeviceMemory() = default;
        DeviceMemory(DeviceMemory&& other) noexcept
            : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
        DeviceMemory& operator=(DeviceMemory&& other) noexcept {
            std::swap(data_, other.data_);
            std::swap(size_, other.size_);
            return *this;
        }
        ~DeviceMemory() { cudaFree(data_); }

        [[nodiscard]] std::byte* at_least(std::size_t bytes) {
            if (bytes > size_) {
                cudaFree(std::exchange(data_, nullptr));
                size_ = 0;
                check("cudaMalloc", cudaMalloc(&data_, bytes));
                size_ = bytes;
            }
            return static_cast<std::byte*>(data_);
        }

      private:
        void* data_ = nullptr;
        std::size_t size_ = 0;
    };

    void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind direction) {
        check("cudaMemcpyAsync", cudaMemcpyAsync(to, from, bytes, direction, stream_));
    }

    template <class T>
    void reduce(std::span<T> values, ncclDataType_t type) {
        if (values.empty()) return;
        std::byte* const device = memory_.at_least(values.size_bytes());
        copy(device, values.data(), values.size_bytes(), cudaMemcpyHostToDevice);
        check("ncclAllReduce",
              ncclAllReduce(device, device, values.size(), type, ncclSum, communicator_, stream_));
        copy(values.data(), device, values.size_bytes(), cudaMemcpyDeviceToHost);
        check("cudaStreamSynchronize", cudaStreamSynchronize(stream_));
    }

    ncclComm_t communicator_;
    cudaStream_t stream_;
    DeviceMemory memory_;
    int rank_ = 0;
    int world_ = 1;
};

static_assert(Bf16Communicator<NcclCommunicator>);

}  // namespace deltanet
