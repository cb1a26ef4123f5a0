// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Memory of a CUDA device, and work on it in the order of a stream.
#pragma once

#include <deltanet/cuda/error.hpp>
#include <deltanet/cuda/ops.hpp>
#include <deltanet/memory_space.hpp>

#include <cuda_runtime.h>
#include <string>
#include <utility>

namespace deltanet {

/// Of the device that is current when it is made. Everything is queued in the stream, which is the
/// caller's, as is its life: it must outlive the space, and the space whatever was made in it.
/// `allocate` and `release` go to cudaMalloc and cudaFree; a step calls neither. `upload` and
/// `download` wait for the stream. Use by one thread at a time.
class CudaMemory final : public MemorySpace {
  public:
    explicit CudaMemory(cudaStream_t stream = nullptr) : stream_(stream) {
        cuda::check(cudaGetDevice(&device_), "CudaMemory: cudaGetDevice");
        name_ = detail::concat("CUDA device ", device_);
    }
    CudaMemory(const CudaMemory&) = delete;
    CudaMemory& operator=(const CudaMemory&) = delete;
    ~CudaMemory() { release(spare_, 0); }

    [[nodiscard]] cudaStream_t stream() const noexcept { return stream_; }
    [[nodiscard]] int device() const noexcept { return device_; }

    [[nodiscard]] std::string_view name() const noexcept override { return name_; }
    [[nodiscard]] bool is_host() const noexcept override { return false; }

    /// Aligned to 256 bytes, as cudaMalloc does it: more than anybody asks for.
    [[nodiscard]] void* allocate(index_t bytes, index_t /*alignment*/) override {
        void* memory = nullptr;
        cuda::check(cudaMalloc(&memory, size(bytes)), "CudaMemory::allocate: cudaMalloc");
        return memory;
    }
    /// Waits for what still uses it.
    void release(void* memory, index_t /*alignment*/) noexcept override {
        if (memory != nullptr) static_cast<void>(cudaFree(memory));
    }

    void clear(void* memory, index_t bytes) override {
        cuda::check(cudaMemsetAsync(memory, 0, size(bytes), stream_),
                    "CudaMemory::clear: cudaMemsetAsync");
    }
    void copy(void* to, const void* from, index_t bytes) override {
        cuda::check(cudaMemcpyAsync(to, from, size(bytes), cudaMemcpyDeviceToDevice, stream_),
                    "CudaMemory::copy: cudaMemcpyAsync");
    }
    /// Through a block of its own, which grows to the largest pieces exchanged and stays.
    void exchange(void* a, void* b, index_t bytes) override {
        if (bytes > spare_bytes_) {
            release(std::exchange(spare_, nullptr), 0);
            spare_bytes_ = 0;
            spare_ = allocate(bytes, 0);
            spare_bytes_ = bytes;
        }
        copy(spare_, a, bytes);
        copy(a, b, bytes);
        copy(b, spare_, bytes);
    }
    void upload(void* to, const void* from, index_t bytes) override {
        cuda::check(cudaMemcpyAsync(to, from, size(bytes), cudaMemcpyHostToDevice, stream_),
                    "CudaMemory::upload: cudaMemcpyAsync");
        wait("CudaMemory::upload: cudaStreamSynchronize");
    }
    void download(void* to, const void* from, index_t bytes) const override {
        cuda::check(cudaMemcpyAsync(to, from, size(bytes), cudaMemcpyDeviceToHost, stream_),
                    "CudaMemory::download: cudaMemcpyAsync");
        wait("CudaMemory::download: cudaStreamSynchronize");
    }

    void fold(const detail::SlotRows& rows, HeadMap head_map, index_t i, index_t n) override {
        cuda::fold_pending(rows.recurrent(), rows.pending(), head_map, i, n, stream_);
        cuda::shift_rows(rows.conv()[i], n, rows.layout.conv_taps, stream_);
    }

  private:
    [[nodiscard]] static std::size_t size(index_t bytes) noexcept {
        return static_cast<std::size_t>(bytes);
    }
    void wait(const char* function) const { cuda::check(cudaStreamSynchronize(stream_), function); }

    cudaStream_t stream_;
    int device_ = 0;
    std::string name_;
    void* spare_ = nullptr;
    index_t spare_bytes_ = 0;
};

}  // namespace deltanet
