// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// Conversions between float and 16 bits, and sums over lanes.
#include "cuda/device.hpp"
#include "kernels_cuda/device.cuh"
#include "kernels_cuda/launch.cuh"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace {

using namespace deltanet;
using namespace deltanet::test;

/// 16-bit floats: exponents and mantissas as IEEE 754 has them.
struct Format {
    int exponent_bits;
    int mantissa_bits;

    [[nodiscard]] double value(std::uint32_t bits) const {
        const std::uint32_t mantissa = bits & ((1U << mantissa_bits) - 1);
        const int largest = (1 << exponent_bits) - 1;
        const int exponent = static_cast<int>(bits >> mantissa_bits) & largest;
        const int bias = largest / 2;
        const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
        if (exponent == largest) return mantissa == 0 ? sign * HUGE_VAL : std::nan("");
        const double whole = exponent == 0 ? mantissa : mantissa + (1U << mantissa_bits);
        return sign * std::ldexp(whole, std::max(exponent, 1) - bias - mantissa_bits);
    }
    [[nodiscard]] std::uint32_t infinity() const {
        return static_cast<std::uint32_t>((1 << exponent_bits) - 1) << mantissa_bits;
    }

    /// By search among all magnitudes: nearest, ties to the even one. Infinity counts as the number
    /// that would follow the largest.
    [[nodiscard]] std::uint32_t nearest(float x) const {
        const std::uint32_t sign = std::signbit(x) ? 0x8000U : 0;
        const double magnitude = std::abs(static_cast<double>(x));
        std::uint32_t low = 0;
        std::uint32_t high = infinity();
        while (high - low > 1) {
            const std::uint32_t middle = (low + high) / 2;
            (value(middle) <= magnitude ? low : high) = middle;
        }
        const double after =
            high == infinity() ? std::ldexp(1.0, (1 << (exponent_bits - 1))) : value(high);
        const double below = magnitude - value(low);
        const double above = after - magnitude;
        const bool up = below > above || (below == above && low % 2 == 1);
        return sign | (up ? high : low);
    }
};
constexpr Format bf16_format{8, 7};
constexpr Format f16_format{5, 10};

/// Bits of x [n] as bf16, f16, and as halves of pairs.
__global__ void convert(const float* x, std::uint32_t* y, int n) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    y[i * 4] = cuda::ptx::to_bf16(x[i]).bits;
    y[i * 4 + 1] = cuda::ptx::to_f16(x[i]).bits;
    y[i * 4 + 2] = cuda::ptx::to_bf16x2(x[i], x[n - 1 - i]);
    y[i * 4 + 3] = cuda::ptx::to_f16x2(x[i], x[n - 1 - i]);
}

/// Every 16-bit pattern as float: y [65536, 2], bf16 and f16.
__global__ void widen(float* y) {
    const unsigned bits = blockIdx.x * blockDim.x + threadIdx.x;
    y[bits * 2] = cuda::ptx::to_float(bf16{static_cast<std::uint16_t>(bits)});
    y[bits * 2 + 1] = cuda::ptx::to_float(f16{static_cast<std::uint16_t>(bits)});
}

/// Floats around what 16 bits can express: exact ones, ties, and one bit beside ties.
std::vector<float> interesting() {
    std::vector<float> list;
    for (std::uint32_t high = 0; high < 0x8000U; high += 5) {
        for (const std::uint32_t low : {0x0000U, 0x7FFFU, 0x8000U, 0x8001U}) {
            const std::uint32_t sign = high % 2 == 0 ? 0 : 0x80000000U;
            list.push_back(std::bit_cast<float>(sign | high << 16 | low));
        }
    }
    // For binary16: multiples of half a unit, and of an eighth.
    for (const float unit : {0x1p-25F, 0x1p-14F, 0x1p-11F, 1.0F, 32.0F}) {
        for (int i = 1000; i < 2100; i += 3) list.push_back(unit * static_cast<float>(i));
        for (int i = 1000; i < 2100; i += 3) list.push_back(unit * 0.125F * static_cast<float>(i));
    }
    return list;
}

bool same(const Format& format, std::uint32_t bits, float x) {
    if (std::isnan(x)) return std::isnan(format.value(bits));
    return bits == format.nearest(x);
}

/// Lane `one` of each 32 has the value 1: sums over 32, 16, 8, 4, 2 neighbours. y [32, 32, 5].
__global__ void sums(float* y) {
    const int lane = cuda::lane_index();
    const float x = lane == static_cast<int>(blockIdx.x) ? 1.0F : 0.0F;
    float* const to = y + (blockIdx.x * 32 + threadIdx.x) * 5;
    to[0] = cuda::warp_sum(x);
    to[1] = cuda::warp_sum<16>(x);
    to[2] = cuda::warp_sum<8>(x);
    to[3] = cuda::warp_sum<4>(x);
    to[4] = cuda::warp_sum<2>(x);
}

}  // namespace

TEST_CASE("cuda conformance: float to bf16 and f16") {
    const std::vector<float> x = interesting();
    const auto n = static_cast<int>(x.size());
    const auto y = for_each_schedule([&] {
        DeviceTensor<float, 1> device_x({n}, x);
        DeviceTensor<std::uint32_t, 2> device_y({n, 4});
        cuda::launch(convert, dim3(static_cast<unsigned>(n + 127) / 128), dim3(128), 0, nullptr,
                     device_x.data(), device_y.data(), n);
        return device_y.download();
    });
    int n_wrong = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float low = x[i];
        const float high = x[x.size() - 1 - i];
        const bool right = same(bf16_format, y[i * 4], low) &&
                           same(f16_format, y[i * 4 + 1], low) &&
                           same(bf16_format, y[i * 4 + 2] & 0xFFFFU, low) &&
                           same(bf16_format, y[i * 4 + 2] >> 16, high) &&
                           same(f16_format, y[i * 4 + 3] & 0xFFFFU, low) &&
                           same(f16_format, y[i * 4 + 3] >> 16, high);
        if (!right && n_wrong++ < 5) {
            CAPTURE(low, high, y[i * 4], y[i * 4 + 1], y[i * 4 + 2], y[i * 4 + 3]);
            CHECK(right);
        }
    }
    CHECK(n_wrong == 0);
}

TEST_CASE("cuda conformance: every bf16 and f16 to float") {
    const auto y = for_each_schedule([&] {
        DeviceTensor<float, 2> device_y({65536, 2});
        cuda::launch(widen, dim3(256), dim3(256), 0, nullptr, device_y.data());
        return device_y.download();
    });
    int n_wrong = 0;
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        for (const bool is_f16 : {false, true}) {
            const double expected = (is_f16 ? f16_format : bf16_format).value(bits);
            const auto actual = static_cast<double>(y[bits * 2 + (is_f16 ? 1 : 0)]);
            const bool right =
                std::isnan(expected)
                    ? std::isnan(actual)
                    : actual == expected && std::signbit(actual) == std::signbit(expected);
            if (!right) ++n_wrong;
        }
    }
    CHECK(n_wrong == 0);
}

TEST_CASE("cuda conformance: sums over neighbouring lanes") {
    const auto y = for_each_schedule([&] {
        DeviceTensor<float, 3> device_y({32, 32, 5});
        cuda::launch(sums, dim3(32), dim3(32), 0, nullptr, device_y.data());
        return device_y.download();
    });
    std::size_t next = 0;
    int n_wrong = 0;
    for (int one = 0; one < 32; ++one) {
        for (int lane = 0; lane < 32; ++lane) {
            for (const int width : {32, 16, 8, 4, 2}) {
                const float expected = one / width == lane / width ? 1.0F : 0.0F;
                if (y[next++] != expected) ++n_wrong;
            }
        }
    }
    CHECK(n_wrong == 0);
}
