// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// Asynchronous copies and wide accesses: which bytes go where.
#include "cuda/device.hpp"
#include "kernels_cuda/device.cuh"
#include "kernels_cuda/launch.cuh"

#include <cstdint>

namespace {

using namespace deltanet;
using namespace deltanet::test;

constexpr int n_threads = 32;
constexpr int slot_bytes = 32;  // of each thread, of which the copy fills a part in the middle
constexpr unsigned char untouched = 0xA5;

struct Slots {
    alignas(16) unsigned char bytes[n_threads * slot_bytes];
};

/// Thread t copies `Bytes` bytes to the offset 16 of its slot, or zeros if t is odd and `all` is
/// false. y: the slots.
template <int Bytes>
__global__ void copy_bytes(const unsigned char* x, unsigned char* y, bool all) {
    auto& shared = cuda::shared_storage<Slots>();
    const int t = static_cast<int>(threadIdx.x);
    for (int i = 0; i < slot_bytes; ++i) shared.bytes[t * slot_bytes + i] = untouched;
    unsigned char* const to = &shared.bytes[t * slot_bytes + 16];
    if (all) {
        cuda::ptx::cp_async<Bytes>(to, x + t * 16);
    } else {
        cuda::ptx::cp_async_or_zero<Bytes>(to, x + t * 16, t % 2 == 0);
    }
    cuda::ptx::cp_async_commit();
    cuda::ptx::cp_async_wait<0>();
    for (int i = 0; i < slot_bytes; ++i) y[t * slot_bytes + i] = shared.bytes[t * slot_bytes + i];
}

std::vector<unsigned char> numbered(int n) {
    std::vector<unsigned char> bytes;
    for (int i = 0; i < n; ++i) bytes.push_back(static_cast<unsigned char>(i * 7 + 1));
    return bytes;
}

template <int Bytes>
void check_copies() {
    const std::vector<unsigned char> x = numbered(n_threads * 16);
    for (const bool all : {true, false}) {
        const auto y = for_each_schedule([&] {
            DeviceTensor<unsigned char, 1> device_x({n_threads * 16}, x);
            DeviceTensor<unsigned char, 1> device_y({n_threads * slot_bytes});
            cuda::launch(copy_bytes<Bytes>, dim3(1), dim3(n_threads), sizeof(Slots), nullptr,
                         device_x.data(), device_y.data(), all);
            return device_y.download();
        });
        int n_wrong = 0;
        for (int t = 0; t < n_threads; ++t) {
            for (int i = 0; i < slot_bytes; ++i) {
                unsigned char expected = untouched;
                if (i >= 16 && i < 16 + Bytes) {
                    const bool take = all || t % 2 == 0;
                    expected = take ? x[static_cast<std::size_t>(t * 16 + i - 16)]
                                    : static_cast<unsigned char>(0);
                }
                if (y[static_cast<std::size_t>(t * slot_bytes + i)] != expected) ++n_wrong;
            }
        }
        CAPTURE(Bytes, all);
        CHECK(n_wrong == 0);
    }
}

/// A pointer that is not to be read: nothing is taken.
__global__ void copy_from_nowhere(float* y) {
    auto& shared = cuda::shared_storage<Slots>();
    auto* const row = reinterpret_cast<float*>(shared.bytes);
    cuda::ptx::cp_async_or_zero<16>(&row[threadIdx.x * 4], y + (1 << 20), false);
    cuda::ptx::cp_async_commit();
    cuda::ptx::cp_async_wait<0>();
    y[threadIdx.x] = row[threadIdx.x * 4];
}

/// The older of two groups has landed after wait<1>, both after wait<0>.
__global__ void two_groups(const float* x, float* y) {
    auto& shared = cuda::shared_storage<Slots>();
    auto* const row = reinterpret_cast<float*>(shared.bytes);
    const int t = static_cast<int>(threadIdx.x);
    cuda::ptx::cp_async<4>(&row[t], x + t);
    cuda::ptx::cp_async_commit();
    cuda::ptx::cp_async<4>(&row[n_threads + t], x + n_threads + t);
    cuda::ptx::cp_async_commit();
    cuda::ptx::cp_async_wait<1>();
    __syncthreads();
    y[t] = row[n_threads - 1 - t];
    cuda::ptx::cp_async_wait<0>();
    __syncthreads();
    y[n_threads + t] = row[2 * n_threads - 1 - t];
}

/// x reversed in pieces of 16 and of 8 bytes; and where shared memory begins, modulo 128.
__global__ void wide_accesses(const float* x, float* y, std::uint32_t* misalignment) {
    const int t = static_cast<int>(threadIdx.x);
    const int last = n_threads - 1 - t;
    cuda::store128(y + t * 4, cuda::load128(x + last * 4));
    cuda::store64(y + n_threads * 4 + t * 2, cuda::load64<float2>(x + last * 2));
    const auto address = reinterpret_cast<std::uintptr_t>(cuda::ptx::dynamic_shared_memory());
    misalignment[t] = static_cast<std::uint32_t>(address % 128);
}

std::vector<float> floats(int n) {
    std::vector<float> values;
    for (int i = 0; i < n; ++i) values.push_back(static_cast<float>(i));
    return values;
}

}  // namespace

TEST_CASE("cuda conformance: cp.async of 4, 8, 16 bytes, zeros instead") {
    check_copies<4>();
    check_copies<8>();
    check_copies<16>();
    const auto y = for_each_schedule([&] {
        DeviceTensor<float, 1> device_y({n_threads});
        cuda::launch(copy_from_nowhere, dim3(1), dim3(n_threads), sizeof(Slots), nullptr,
                     device_y.data());
        return device_y.download();
    });
    for (const float value : y) CHECK(value == 0.0F);
}

TEST_CASE("cuda conformance: groups of cp.async") {
    const auto y = for_each_schedule([&] {
        DeviceTensor<float, 1> x({2 * n_threads}, floats(2 * n_threads));
        DeviceTensor<float, 1> device_y({2 * n_threads});
        cuda::launch(two_groups, dim3(1), dim3(n_threads), sizeof(Slots), nullptr, x.data(),
                     device_y.data());
        return device_y.download();
    });
    for (int i = 0; i < 2 * n_threads; ++i) {
        const int expected = i < n_threads ? n_threads - 1 - i : 3 * n_threads - 1 - i;
        CHECK(y[static_cast<std::size_t>(i)] == static_cast<float>(expected));
    }
}

TEST_CASE("cuda conformance: accesses of 16 and 8 bytes, alignment of shared memory") {
    const auto [y, misalignment] = for_each_schedule([&] {
        DeviceTensor<float, 1> x({n_threads * 4}, floats(n_threads * 4));
        DeviceTensor<float, 1> device_y({n_threads * 6});
        DeviceTensor<std::uint32_t, 1> device_m({n_threads});
        cuda::launch(wide_accesses, dim3(1), dim3(n_threads), 128, nullptr, x.data(),
                     device_y.data(), device_m.data());
        return std::pair(device_y.download(), device_m.download());
    });
    for (int t = 0; t < n_threads; ++t) {
        for (int i = 0; i < 4; ++i) {
            CHECK(y[static_cast<std::size_t>(t * 4 + i)] ==
                  static_cast<float>((n_threads - 1 - t) * 4 + i));
        }
        for (int i = 0; i < 2; ++i) {
            CHECK(y[static_cast<std::size_t>(n_threads * 4 + t * 2 + i)] ==
                  static_cast<float>((n_threads - 1 - t) * 2 + i));
        }
    }
    for (const std::uint32_t m : misalignment) CHECK(m == 0);
}
