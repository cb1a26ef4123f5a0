// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Vector loads and stores of 16-bit storage against the scalar conversions of dtype.hpp, bit for
/// bit: all 65536 values in, and out every float whose rounding could go another way.
#include "fixtures.hpp"
#include <deltanet/cpu/convert.hpp>

#include <bit>
#include <cmath>
#include <limits>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Arch = cpu::default_arch;
constexpr index_t kLanes = n_lanes<float>;

/// Upper halves of all floats with lower halves around the ties of both formats.
std::vector<float> difficult_floats() {
    std::vector<float> values;
    for (std::uint32_t high = 0; high < 0x10000U; ++high) {
        for (const std::uint32_t low : {0U, 1U, 0xFFFU, 0x1000U, 0x1001U, 0x2000U, 0x3000U, 0x7FFFU,
                                        0x8000U, 0x8001U, 0xEFFFU, 0xF000U, 0xFFFFU}) {
            values.push_back(std::bit_cast<float>((high << 16) | low));
        }
    }
    while (values.size() % static_cast<std::size_t>(kLanes) != 0) values.push_back(0.0F);
    return values;
}

/// What a vector store makes of x: as the scalar conversion, but that the instruction of
/// AVX512-BF16 takes subnormal numbers for zeros.
template <class S>
S rounded(float x) {
#if defined(__AVX512BF16__)
    if (std::is_same_v<S, bf16> && std::abs(x) < std::numeric_limits<float>::min())
        return from_float<S>(std::copysign(0.0F, x));
#endif
    return from_float<S>(x);
}

}  // namespace

TEMPLATE_TEST_CASE("every 16-bit value is loaded as the float that it stands for", "[convert]",
                   bf16, f16) {
    using S = TestType;
    for (std::uint32_t first = 0; first < 0x10000U; first += static_cast<std::uint32_t>(kLanes)) {
        S stored[static_cast<std::size_t>(kLanes)];
        float expected[static_cast<std::size_t>(kLanes)];
        float loaded[static_cast<std::size_t>(kLanes)];
        for (index_t i = 0; i < kLanes; ++i) {
            stored[i].bits = static_cast<std::uint16_t>(first + static_cast<std::uint32_t>(i));
            expected[i] = to_float(stored[i]);
        }
        cpu::load<Arch>(stored).store_unaligned(loaded);
        CAPTURE(first);
        REQUIRE(std::memcmp(loaded, expected, sizeof(loaded)) == 0);
    }
}

TEMPLATE_TEST_CASE("every float is stored as the scalar conversion rounds it", "[convert]", bf16,
                   f16) {
    using S = TestType;
    const std::vector<float> values = difficult_floats();
    for (std::size_t first = 0; first < values.size(); first += static_cast<std::size_t>(kLanes)) {
        S stored[static_cast<std::size_t>(kLanes)];
        S expected[static_cast<std::size_t>(kLanes)];
        for (index_t i = 0; i < kLanes; ++i)
            expected[i] = rounded<S>(values[first + static_cast<std::size_t>(i)]);
        cpu::store<Arch>(stored, cpu::load<Arch>(values.data() + first), kLanes);
        CAPTURE(std::bit_cast<std::uint32_t>(values[first]));
        REQUIRE(std::memcmp(stored, expected, sizeof(stored)) == 0);
    }
}

TEMPLATE_TEST_CASE("batches of a row are stored as each alone", "[convert]", bf16, f16, float) {
    using S = TestType;
    const std::vector<float> values = difficult_floats();
    constexpr auto row = static_cast<std::size_t>(4 * kLanes);
    for (std::size_t first = 0; first + row <= values.size(); first += 37 * row) {
        xsimd::batch<float, Arch> batches[4];
        S together[row], alone[row];
        for (index_t b = 0; b < 4; ++b) {
            batches[b] = cpu::load<Arch>(values.data() + first + b * kLanes);
            cpu::store<Arch>(alone + b * kLanes, batches[b], kLanes);
        }
        cpu::store_row<Arch>(together, batches);
        CAPTURE(std::bit_cast<std::uint32_t>(values[first]));
        REQUIRE(std::memcmp(together, alone, sizeof(alone)) == 0);
    }
}

TEMPLATE_TEST_CASE("parts of a vector: zeros behind what is loaded, nothing behind what is stored",
                   "[convert]", bf16, f16) {
    using S = TestType;
    for (index_t count = 0; count <= kLanes; ++count) {
        std::vector<S> exact;  // a read behind its end is an error of the address sanitizer
        for (index_t i = 0; i < count; ++i)
            exact.push_back(from_float<S>(1.0F + static_cast<float>(i)));
        float loaded[static_cast<std::size_t>(kLanes)];
        cpu::load<Arch>(exact.data(), count).store_unaligned(loaded);
        std::vector<S> stored(static_cast<std::size_t>(kLanes), S{0x1234});
        cpu::store<Arch>(stored.data(), cpu::load<Arch>(loaded), count);
        for (index_t i = 0; i < kLanes; ++i) {
            CAPTURE(count, i);
            CHECK(loaded[i] == (i < count ? 1.0F + static_cast<float>(i) : 0.0F));
            CHECK(stored[static_cast<std::size_t>(i)].bits ==
                  (i < count ? from_float<S>(1.0F + static_cast<float>(i)).bits : 0x1234));
        }
    }
}
