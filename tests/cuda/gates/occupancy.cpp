// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// Blocks that fit a multiprocessor, by the calculator that comes with the toolkit. Reads lines of
// "arch registers static_shared dynamic_shared threads" and answers each with a number.
#include <cstddef>
#include <cuda_occupancy.h>
#include <iostream>

namespace {

struct Chip {
    int arch;
    std::size_t shared_bytes;  // of a multiprocessor
    std::size_t block_shared_bytes;
    int threads;  // of a multiprocessor
};
constexpr Chip chips[] = {
    {80, 164 << 10, 163 << 10, 2048},
    {90, 228 << 10, 227 << 10, 2048},
    {100, 228 << 10, 227 << 10, 2048},
    {120, 100 << 10, 99 << 10, 1536},
};

const Chip* find_chip(int arch) {
    for (const Chip& chip : chips) {
        if (chip.arch == arch) return &chip;
    }
    return nullptr;
}

int blocks_per_multiprocessor(const Chip& chip, int registers, std::size_t static_shared,
                              std::size_t dynamic_shared, int threads) {
    cudaOccDeviceProp properties;
    properties.computeMajor = chip.arch / 10;
    properties.computeMinor = chip.arch % 10;
    properties.maxThreadsPerBlock = 1024;
    properties.maxThreadsPerMultiprocessor = chip.threads;
    properties.regsPerBlock = 65536;
    properties.regsPerMultiprocessor = 65536;
    properties.warpSize = 32;
    properties.sharedMemPerBlock = 48 << 10;
    properties.sharedMemPerMultiprocessor = chip.shared_bytes;
    properties.sharedMemPerBlockOptin = chip.block_shared_bytes;
    properties.reservedSharedMemPerBlock = 1024;
    properties.numSms = 1;
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = 1024;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = static_shared;
    kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = chip.block_shared_bytes;
    kernel.numBlockBarriers = 1;
    const cudaOccDeviceState state;
    cudaOccResult result;
    const cudaOccError error = cudaOccMaxActiveBlocksPerMultiprocessor(
        &result, &properties, &kernel, &state, threads, dynamic_shared);
    return error == CUDA_OCC_SUCCESS ? result.activeBlocksPerMultiprocessor : 0;
}

}  // namespace

int main() {
    int arch = 0;
    int registers = 0;
    std::size_t static_shared = 0;
    std::size_t dynamic_shared = 0;
    int threads = 0;
    while (std::cin >> arch >> registers >> static_shared >> dynamic_shared >> threads) {
        const Chip* const chip = find_chip(arch);
        if (chip == nullptr) return 1;
        std::cout << blocks_per_multiprocessor(*chip, registers, static_shared, dynamic_shared,
                                               threads)
                  << '\n';
    }
    return 0;
}
