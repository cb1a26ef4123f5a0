// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// The few functions of the CUDA runtime, and their errors.
#include "selftest/expect.hpp"

namespace {

using namespace deltanet;
using namespace deltanet::test;

struct Parameters {
    float* y;
    float values[40];
};
__global__ void write_parameters(Parameters p, float shift) {
    if (threadIdx.x < 40) p.y[threadIdx.x] = p.values[threadIdx.x] + shift;
}
__global__ void add_one(float* y) { y[threadIdx.x] += 1.0F; }

cudaError_t launch_with(dim3 grid, dim3 block, std::size_t shared_bytes) {
    static float* memory = nullptr;
    if (memory == nullptr) require_success(cudaMalloc(&memory, 4096));
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    const cudaError_t error = cudaLaunchKernelEx(&config, add_one, memory);
    CHECK(cudaGetLastError() == error);
    CHECK(cudaGetLastError() == cudaSuccess);
    static_cast<void>(simt::take_findings());
    return error;
}

}  // namespace

TEST_CASE("cuda executor: parameters by value") {
    Buffer y;
    Parameters p{y, {}};
    for (int i = 0; i < 40; ++i) p.values[i] = static_cast<float>(i);
    expect_clean([&] { try_launch(write_parameters, 1, 64, p, 1); });
    CHECK(y.tensor.download()[39] == 40.0F);
}

TEST_CASE("cuda executor: launches that CUDA refuses") {
    CHECK(launch_with(dim3(1), dim3(1025), 0) == cudaErrorInvalidConfiguration);
    CHECK(launch_with(dim3(1), dim3(1, 1, 65), 0) == cudaErrorInvalidConfiguration);
    CHECK(launch_with(dim3(0), dim3(32), 0) == cudaErrorInvalidConfiguration);
    CHECK(launch_with(dim3(1, 65536), dim3(32), 0) == cudaErrorInvalidConfiguration);
    CHECK(launch_with(dim3(1), dim3(32), (48 << 10) + 1) == cudaErrorInvalidValue);
    CHECK(cudaFuncSetAttribute(add_one, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               (227 << 10) + 1) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
    require_success(
        cudaFuncSetAttribute(add_one, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 << 10));
    CHECK(launch_with(dim3(1), dim3(1), 227 << 10) == cudaSuccess);
}

TEST_CASE("cuda executor: launch() asks for large shared memory, throws what CUDA says") {
    Buffer y(true);
    cuda::launch(add_one, dim3(1), dim3(32), 100 << 10, nullptr, y);
    cuda::launch(add_one, dim3(0), dim3(32), 0, nullptr, y);  // an empty grid is nothing to do
    CHECK(y.tensor.download()[0] == 2.0F);
    CHECK(message_of([&] { cuda::launch(add_one, dim3(1), dim3(2000), 0, nullptr, y); }) ==
          "cudaLaunchKernelEx: invalid configuration argument");
    CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("cuda executor: copies stay inside of allocations and know their direction") {
    Buffer y(true);
    std::vector<float> host(256);
    const auto copy = [&](void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
        static_cast<void>(cudaGetLastError());
        return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    };
    float* const device = y;
    CHECK(copy(host.data(), device, 1024, cudaMemcpyDeviceToHost) == cudaSuccess);
    CHECK(host[255] == 1.0F);
    CHECK(copy(host.data(), device, 1028, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(copy(host.data(), device + 1, 1024, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(copy(device, host.data(), 1024, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK(copy(device, host.data(), 1024, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemsetAsync(device, 0, 1025, nullptr) == cudaErrorInvalidValue);
    CHECK(cudaFree(device + 1) == cudaErrorInvalidValue);
    static_cast<void>(cudaGetLastError());
}

TEST_CASE("cuda executor: strided copies, fills") {
    Buffer y;
    std::vector<float> host(6, 3.0F);
    require_success(cudaMemsetAsync(y, 0, 1024, nullptr));
    require_success(cudaMemcpy2DAsync(y, 64, host.data(), 8, 8, 3, cudaMemcpyHostToDevice));
    const std::vector<float> values = y.tensor.download();
    for (std::size_t i = 0; i < 48; ++i) CHECK(values[i] == (i % 16 < 2 ? 3.0F : 0.0F));
    CHECK(cudaMemcpy2DAsync(y, 4, host.data(), 8, 8, 3, cudaMemcpyHostToDevice) ==
          cudaErrorInvalidValue);
    static_cast<void>(cudaGetLastError());
}

TEST_CASE("cuda executor: what was copied without being written counts as not written") {
    expect_checked_finding("uninitialised global", [] {
        Buffer x;
        Buffer y;
        require_success(cudaMemcpy(y, x, 1024, cudaMemcpyDeviceToDevice));
        try_launch(add_one, 1, 64, y);
    });
}

TEST_CASE("cuda executor: captured streams run when the graph is launched") {
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    Buffer y(true);
    require_success(cudaStreamCreate(&stream));
    require_success(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    cuda::launch(add_one, dim3(1), dim3(64), 0, stream, y);
    cuda::launch(add_one, dim3(1), dim3(64), 0, stream, y);
    CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
    static_cast<void>(cudaGetLastError());
    require_success(cudaStreamEndCapture(stream, &graph));
    CHECK(y.tensor.download()[0] == 1.0F);
    require_success(cudaGraphInstantiate(&executable, graph));
    for (int i = 0; i < 3; ++i) require_success(cudaGraphLaunch(executable, stream));
    require_success(cudaStreamSynchronize(stream));
    CHECK(y.tensor.download()[0] == 7.0F);
    require_success(cudaGraphExecDestroy(executable));
    require_success(cudaGraphDestroy(graph));
    require_success(cudaStreamDestroy(stream));
    CHECK(simt::take_findings().empty());
}
