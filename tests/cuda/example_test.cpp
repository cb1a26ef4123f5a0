// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// A kernel from its launch to its result, as a pattern for tests of kernels.
#include "cuda/device.hpp"
#include "kernels_cuda/device.cuh"
#include "kernels_cuda/launch.cuh"

#include <random>

namespace {

using namespace deltanet;
using namespace deltanet::test;

constexpr int n_columns = 64;

struct ReverseStorage {
    alignas(16) float row[n_columns];
};

/// y [rows, 64] = x with its rows turned around; one block a row, through shared memory.
__global__ void __launch_bounds__(n_columns) reverse_rows(const float* x, float* y) {
    auto& shared = cuda::shared_storage<ReverseStorage>();
    const int i = static_cast<int>(threadIdx.x);
    const index_t first = static_cast<index_t>(blockIdx.x) * n_columns;
    if (i < n_columns / 4) cuda::ptx::cp_async<16>(&shared.row[i * 4], x + first + i * 4);
    cuda::ptx::cp_async_commit();
    cuda::ptx::cp_async_wait<0>();
    __syncthreads();
    y[first + i] = shared.row[n_columns - 1 - i];
}

}  // namespace

TEST_CASE("cuda example: rows turned around") {
    constexpr index_t n_rows = 3;
    std::mt19937 generator(7);
    std::vector<float> x(static_cast<std::size_t>(n_rows * n_columns));
    for (float& value : x) value = std::uniform_real_distribution<float>(-1.0F, 1.0F)(generator);

    const auto y = for_each_schedule([&] {
        DeviceTensor<float, 2> device_x({n_rows, n_columns}, x);
        DeviceTensor<float, 2> device_y({n_rows, n_columns});
        cuda::launch(reverse_rows, dim3(n_rows), dim3(n_columns), sizeof(ReverseStorage), nullptr,
                     device_x.data(), device_y.data());
        return device_y.download();
    });

    for (std::size_t row = 0; row < n_rows; ++row) {
        for (std::size_t i = 0; i < n_columns; ++i) {
            REQUIRE(y[row * n_columns + i] == x[row * n_columns + n_columns - 1 - i]);
        }
    }
}
