// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "runtime_api.hpp"

#include "device_memory.hpp"
#include "launch_log.hpp"
#include "metrics.hpp"
#include "shadow.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

namespace simt {

using Task = std::function<cudaError_t()>;

struct Graph {
    std::vector<Task> tasks;
};
struct Stream {
    std::unique_ptr<Graph> captured;  ///< not null while capturing
};
struct Event {};

namespace {

Stream default_stream;
cudaError_t last_error = cudaSuccess;
std::map<const void*, int> allowed_shared_bytes;  // of kernels, by cudaFuncSetAttribute
constexpr int shared_bytes_without_asking = 48 << 10;

[[nodiscard]] Stream& stream_of(cudaStream_t stream) {
    return stream == nullptr ? default_stream : *stream;
}

cudaError_t note(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

cudaError_t submit(cudaStream_t stream, Task task) {
    Stream& queue = stream_of(stream);
    if (queue.captured != nullptr) {
        queue.captured->tasks.push_back(std::move(task));
        return cudaSuccess;
    }
    return note(task());
}

/// What may not happen while the stream is captured.
cudaError_t synchronise(cudaStream_t stream) {
    ++metrics.waits;
    return note(stream_of(stream).captured != nullptr ? cudaErrorStreamCaptureUnsupported
                                                      : cudaSuccess);
}

/// One side of a copy: device memory if the kind says so, host memory otherwise.
[[nodiscard]] bool is_side(const void* memory, std::size_t bytes, bool device) {
    return device ? is_global(memory, bytes) : !is_device_address(memory);
}

cudaError_t copy_bytes(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return cudaSuccess;
    const bool any = kind == cudaMemcpyDefault;
    const bool to_device = any ? is_device_address(to)
                               : kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device =
        any ? is_device_address(from)
            : kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (!is_side(to, bytes, to_device) || !is_side(from, bytes, from_device)) {
        return cudaErrorInvalidValue;
    }
    std::memmove(to, from, bytes);
    if (to_device && from_device) shadow_copy_global(to, from, bytes);
    if (to_device && !from_device) shadow_mark_global(to, bytes, Contents::written);
    return cudaSuccess;
}

cudaError_t fill_bytes(void* memory, int value, std::size_t bytes) {
    if (bytes == 0) return cudaSuccess;
    if (!is_global(memory, bytes)) return cudaErrorInvalidValue;
    std::memset(memory, value, bytes);
    shadow_mark_global(memory, bytes, Contents::written);
    return cudaSuccess;
}

cudaError_t check_launch(const cudaLaunchConfig_t& config, const void* kernel) {
    const dim3& grid = config.gridDim;
    const dim3& block = config.blockDim;
    const auto n_threads_wanted = std::uint64_t{block.x} * block.y * block.z;
    if (n_threads_wanted == 0 || n_threads_wanted > 1024 || block.x > 1024 || block.y > 1024 ||
        block.z > 64 || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFF ||
        grid.y > 65535 || grid.z > 65535) {
        return cudaErrorInvalidConfiguration;
    }
    const auto known = allowed_shared_bytes.find(kernel);
    const int allowed =
        known == allowed_shared_bytes.end() ? shared_bytes_without_asking : known->second;
    return config.dynamicSmemBytes > static_cast<std::size_t>(allowed) ? cudaErrorInvalidValue
                                                                       : cudaSuccess;
}

}  // namespace

cudaError_t set_function_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<std::size_t>(value) > max_shared_bytes) {
        return note(cudaErrorInvalidValue);
    }
    int& allowed =
        allowed_shared_bytes.try_emplace(kernel, shared_bytes_without_asking).first->second;
    if (value > allowed) allowed = value;
    return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, void (*run_thread)(void*),
                   std::shared_ptr<void> arguments, std::size_t argument_bytes) {
    if (const cudaError_t error = check_launch(config, kernel); error != cudaSuccess) {
        return note(error);
    }
    log_launch(kernel, config.blockDim.x * config.blockDim.y * config.blockDim.z,
               config.dynamicSmemBytes);
    Grid grid{config.gridDim, config.blockDim, config.dynamicSmemBytes,
              run_thread,     arguments.get(), argument_bytes};
    return submit(config.stream, [grid, arguments] {
        return run_grid(grid) ? cudaSuccess : cudaErrorLaunchFailure;
    });
}

}  // namespace simt

const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess:
            return "cudaSuccess";
        case cudaErrorInvalidValue:
            return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation:
            return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidConfiguration:
            return "cudaErrorInvalidConfiguration";
        case cudaErrorInvalidDevice:
            return "cudaErrorInvalidDevice";
        case cudaErrorIllegalState:
            return "cudaErrorIllegalState";
        case cudaErrorLaunchFailure:
            return "cudaErrorLaunchFailure";
        case cudaErrorStreamCaptureUnsupported:
            return "cudaErrorStreamCaptureUnsupported";
    }
    return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess:
            return "no error";
        case cudaErrorInvalidValue:
            return "invalid argument";
        case cudaErrorMemoryAllocation:
            return "out of memory";
        case cudaErrorInvalidConfiguration:
            return "invalid configuration argument";
        case cudaErrorInvalidDevice:
            return "invalid device ordinal";
        case cudaErrorIllegalState:
            return "the operation cannot be performed in the present state";
        case cudaErrorLaunchFailure:
            return "unspecified launch failure";
        case cudaErrorStreamCaptureUnsupported:
            return "operation not permitted when stream is capturing";
    }
    return "unrecognized error code";
}

cudaError_t cudaGetLastError() { return std::exchange(simt::last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return simt::last_error; }

cudaError_t cudaGetDeviceCount(int* n) {
    *n = 1;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    return simt::note(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaDeviceSynchronize() { return simt::synchronise(nullptr); }

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    if (device != 0) return simt::note(cudaErrorInvalidDevice);
    switch (attribute) {
        case cudaDevAttrMultiProcessorCount:
            *value = 4;
            return cudaSuccess;
        case cudaDevAttrComputeCapabilityMajor:
            *value = 9;
            return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor:
            *value = 0;
            return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = static_cast<int>(simt::max_shared_bytes);
            return cudaSuccess;
    }
    return simt::note(cudaErrorInvalidValue);
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    if (simt::stream_of(nullptr).captured != nullptr) {
        return simt::note(cudaErrorStreamCaptureUnsupported);
    }
    ++simt::metrics.device_allocations;
    *memory = bytes == 0 ? nullptr : simt::allocate_global(bytes);
    return simt::note(bytes != 0 && *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaFree(void* memory) {
    if (memory == nullptr) return cudaSuccess;
    ++simt::metrics.device_allocations;
    return simt::note(simt::free_global(memory) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
    *memory = std::malloc(bytes);
    return simt::note(bytes != 0 && *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaFreeHost(void* memory) {
    std::free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    return simt::submit(stream, [=] { return simt::copy_bytes(to, from, bytes, kind); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (const cudaError_t error = simt::synchronise(nullptr); error != cudaSuccess) return error;
    return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
    if (width > to_pitch || width > from_pitch) return simt::note(cudaErrorInvalidValue);
    return simt::submit(stream, [=] {
        for (std::size_t row = 0; row < height; ++row) {
            const cudaError_t error =
                simt::copy_bytes(static_cast<char*>(to) + row * to_pitch,
                                 static_cast<const char*>(from) + row * from_pitch, width, kind);
            if (error != cudaSuccess) return error;
        }
        return cudaSuccess;
    });
}
cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                         std::size_t width, std::size_t height, cudaMemcpyKind kind) {
    if (const cudaError_t error = simt::synchronise(nullptr); error != cudaSuccess) return error;
    return cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, height, kind, nullptr);
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
    return simt::submit(stream, [=] { return simt::fill_bytes(memory, value, bytes); });
}
cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
    if (const cudaError_t error = simt::synchronise(nullptr); error != cudaSuccess) return error;
    return cudaMemsetAsync(memory, value, bytes, nullptr);
}
cudaError_t cudaMemset2DAsync(void* memory, std::size_t pitch, int value, std::size_t width,
                              std::size_t height, cudaStream_t stream) {
    if (width > pitch) return simt::note(cudaErrorInvalidValue);
    return simt::submit(stream, [=] {
        for (std::size_t row = 0; row < height; ++row) {
            const cudaError_t error =
                simt::fill_bytes(static_cast<char*>(memory) + row * pitch, value, width);
            if (error != cudaSuccess) return error;
        }
        return cudaSuccess;
    });
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    *stream = new simt::Stream;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    return cudaStreamCreate(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return simt::synchronise(stream); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new simt::Event;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream == nullptr) return simt::note(cudaErrorStreamCaptureUnsupported);
    if (stream->captured != nullptr) return simt::note(cudaErrorIllegalState);
    stream->captured = std::make_unique<simt::Graph>();
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    if (stream == nullptr || stream->captured == nullptr) {
        return simt::note(cudaErrorIllegalState);
    }
    *graph = stream->captured.release();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
    *executable = new simt::Graph(*graph);
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    for (const simt::Task& task : executable->tasks) {
        if (const cudaError_t error = simt::submit(stream, task); error != cudaSuccess) {
            return error;
        }
    }
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
