// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The exponential of batches, and what is made of it.
#include "fixtures.hpp"
#include <deltanet/cpu/simd.hpp>

#include <bit>
#include <cmath>
#include <limits>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Arch = cpu::default_arch;
using Batch = xsimd::batch<float, Arch>;
constexpr index_t kLanes = n_lanes<float>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <class F>
float in_every_lane(float x, F f) {
    float out[static_cast<std::size_t>(kLanes)];
    f(Batch(x)).store_unaligned(out);
    for (const float y : out) CHECK(same_bits(y, out[0]));
    return out[0];
}

/// In units of the last place of the exact result, of a subnormal one those of subnormals.
double ulps(float found, double exact) {
    const int exponent = std::max(std::ilogb(exact), -126);
    return std::abs(static_cast<double>(found) - exact) / std::ldexp(1.0, exponent - 23);
}

}  // namespace

TEST_CASE("exp is within 2 units of the last place", "[exp]") {
    // Every 100,003rd float of [-88, 88.7], where results are normal numbers: subnormal ones xsimd
    // gives as 0 on some instruction sets.
    double worst = 0.0;
    for (std::uint64_t bits = 0; bits <= 0xFFFFFFFFU; bits += 100003) {
        const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
        if (!(x >= -87.0F && x <= 88.7F)) continue;
        float y[static_cast<std::size_t>(kLanes)];
        cpu::exp(Batch(x)).store_unaligned(y);
        worst = std::max(worst, ulps(y[0], std::exp(static_cast<double>(x))));
    }
    CHECK(worst <= 2.0);  // xsimd's; the one for AVX-512 has 0.9
#if defined(__AVX512F__)
    CHECK(worst <= 1.1);
#endif
}

TEST_CASE("exp at its edges", "[exp]") {
    const auto exp = [](float x) { return in_every_lane(x, [](Batch b) { return cpu::exp(b); }); };
    CHECK(exp(0.0F) == 1.0F);
    CHECK(exp(-0.0F) == 1.0F);
    CHECK(exp(kInfinity) == kInfinity);
    CHECK(exp(-kInfinity) == 0.0F);
    CHECK(exp(1e30F) == kInfinity);
    CHECK(exp(-1e30F) == 0.0F);
    CHECK(exp(-3000.0F) == 0.0F);
    CHECK(exp(89.0F) == kInfinity);
    CHECK(std::isnan(exp(std::numeric_limits<float>::quiet_NaN())));
    CHECK(exp(1e-30F) == 1.0F);
#if defined(__AVX512F__)
    CHECK(exp(-103.0F) == std::numeric_limits<float>::denorm_min());
    CHECK(exp(-104.0F) == 0.0F);
#endif
}

TEST_CASE("several exponentials together are those of each alone", "[exp]") {
    std::mt19937 generator(1);
    std::uniform_real_distribution<float> uniform(-90.0F, 90.0F);
    Batch together[5], negated[5];
    for (int i = 0; i < 5; ++i) {
        float x[static_cast<std::size_t>(kLanes)];
        for (float& value : x) value = uniform(generator);
        together[i] = negated[i] = Batch::load_unaligned(x);
    }
    Batch inputs[5] = {together[0], together[1], together[2], together[3], together[4]};
    cpu::exp_each(together);
    cpu::exp_each<true>(negated);
    for (int i = 0; i < 5; ++i) {
        float a[static_cast<std::size_t>(kLanes)], b[static_cast<std::size_t>(kLanes)];
        cpu::exp(inputs[i]).store_unaligned(a);
        together[i].store_unaligned(b);
        for (index_t lane = 0; lane < kLanes; ++lane) CHECK(same_bits(a[lane], b[lane]));
        cpu::exp(-inputs[i]).store_unaligned(a);
        negated[i].store_unaligned(b);
        for (index_t lane = 0; lane < kLanes; ++lane) CHECK(same_bits(a[lane], b[lane]));
    }
}

TEST_CASE("sigmoid and silu far out", "[exp]") {
    const auto silu = [](float x) {
        return in_every_lane(x, [](Batch b) { return cpu::silu(b); });
    };
    const auto sigmoid = [](float x) {
        return in_every_lane(x, [](Batch b) { return cpu::sigmoid(b); });
    };
    CHECK(silu(1e30F) == 1e30F);
    CHECK(silu(kInfinity) == kInfinity);
    CHECK(std::abs(silu(-1e30F)) == 0.0F);
    CHECK(sigmoid(kInfinity) == 1.0F);
    CHECK(sigmoid(-kInfinity) == 0.0F);
    CHECK(sigmoid(0.0F) == 0.5F);
    CHECK(std::isnan(silu(std::numeric_limits<float>::quiet_NaN())));
    CHECK(std::isnan(sigmoid(std::numeric_limits<float>::quiet_NaN())));
}
