// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// bf16 and f16 against definitions that share nothing with the library's bit tricks: values by
/// ldexp, and rounding by looking for the nearer of two neighbours.
#include "support/catch_compat.hpp"
#include "support/random.hpp"
#include <deltanet/dtype.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// A 16-bit format: sign, exponent, mantissa.
struct Format {
    int mantissa_bits;
    int bias;

    [[nodiscard]] std::uint32_t infinity() const {
        return 0x7FFFU >> mantissa_bits << mantissa_bits;
    }
    /// Of a pattern without sign. Infinity counts as the number that would follow the largest:
    /// where rounding to nearest overflows.
    [[nodiscard]] double magnitude(std::uint32_t pattern) const {
        const int exponent = static_cast<int>(pattern >> mantissa_bits);
        const double fraction = static_cast<double>(pattern & ((1U << mantissa_bits) - 1U));
        const double one = std::ldexp(1.0, mantissa_bits);
        if (exponent == 0) return std::ldexp(fraction, 1 - bias - mantissa_bits);
        return std::ldexp(one + fraction, exponent - bias - mantissa_bits);
    }
    /// The pattern whose value is nearest to |x|, the even one of two that are equally near.
    [[nodiscard]] std::uint32_t nearest(double x) const {
        const double wanted = std::abs(x);
        std::uint32_t low = 0;
        std::uint32_t high = infinity();
        if (wanted >= magnitude(high)) return high;
        while (high - low > 1) {
            const std::uint32_t middle = (low + high) / 2;
            (magnitude(middle) <= wanted ? low : high) = middle;
        }
        const double below = wanted - magnitude(low);
        const double above = magnitude(high) - wanted;
        if (below == above) return low % 2 == 0 ? low : high;
        return below < above ? low : high;
    }
};

constexpr Format kF16{10, 15};
constexpr Format kBf16{7, 127};

std::uint32_t rounded_f16(float x) { return to_f16(x).bits; }
std::uint32_t rounded_bf16(float x) { return to_bf16(x).bits; }

/// Counts mismatches instead of half a million CHECKs, and keeps the first.
struct Mismatches {
    long count = 0;
    float first = 0.0F;
    void expect(bool equal, float x) {
        if (equal) return;
        if (count++ == 0) first = x;
    }
};

template <class Round>
void check_rounding(const Format& format, Round round) {
    Mismatches wrong;
    const auto check = [&](float x) {
        for (const float signed_x : {x, -x}) {
            const std::uint32_t sign = std::signbit(signed_x) ? 0x8000U : 0U;
            wrong.expect(round(signed_x) == (format.nearest(static_cast<double>(x)) | sign),
                         signed_x);
        }
    };
    const float infinity = std::numeric_limits<float>::infinity();
    for (std::uint32_t pattern = 0; pattern < format.infinity(); ++pattern) {
        const double low = format.magnitude(pattern);
        const double high = format.magnitude(pattern + 1);
        const auto middle = static_cast<float>(0.5 * (low + high));
        REQUIRE((static_cast<double>(middle) == 0.5 * (low + high)));  // a tie is a float
        check(static_cast<float>(low));
        check(std::nextafter(static_cast<float>(low), infinity));
        check(std::nextafter(middle, 0.0F));
        check(middle);
        check(std::nextafter(middle, infinity));
    }
    Random random(3);
    for (int i = 0; i < 200'000; ++i) {
        const auto bits = static_cast<std::uint32_t>(random.integer(0, 0x7F7FFFFF));
        check(std::bit_cast<float>(bits));
    }
    for (const float x : {0.0F, std::numeric_limits<float>::denorm_min(),
                          std::numeric_limits<float>::min(), std::numeric_limits<float>::max()}) {
        check(x);
    }
    CAPTURE(wrong.first);
    CHECK(wrong.count == 0);
}

}  // namespace

TEST_CASE("sizes and names of storage types", "[dtype]") {
    CHECK(size_of(DType::f32) == 4);
    CHECK(size_of(DType::bf16) == 2);
    CHECK(size_of(DType::f16) == 2);
    CHECK(name_of(DType::f32) == "f32");
    CHECK(name_of(DType::bf16) == "bf16");
    CHECK(name_of(DType::f16) == "f16");
    CHECK(name_of(static_cast<DType>(9)) == "unknown");
    CHECK(sizeof(bf16) == 2);
    CHECK(sizeof(f16) == 2);
}

TEST_CASE("every 16-bit pattern has the value that its format defines", "[dtype]") {
    for (const bool half : {true, false}) {
        const Format& format = half ? kF16 : kBf16;
        Mismatches wrong;
        for (std::uint32_t bits = 0; bits <= 0xFFFFU; ++bits) {
            const auto pattern = static_cast<std::uint16_t>(bits);
            const float x = half ? to_float(f16{pattern}) : to_float(bf16{pattern});
            const std::uint32_t unsigned_bits = bits & 0x7FFFU;
            bool right = std::signbit(x) == (bits >= 0x8000U);
            if (unsigned_bits > format.infinity()) {
                right = right && std::isnan(x);
            } else if (unsigned_bits == format.infinity()) {
                right = right && std::isinf(x);
            } else {
                right =
                    right && static_cast<double>(std::abs(x)) == format.magnitude(unsigned_bits);
            }
            wrong.expect(right, x);
        }
        CAPTURE(half, wrong.first);
        CHECK(wrong.count == 0);
    }
}

TEST_CASE("every 16-bit pattern survives the way through float", "[dtype]") {
    Mismatches wrong;
    for (std::uint32_t bits = 0; bits <= 0xFFFFU; ++bits) {
        const auto pattern = static_cast<std::uint16_t>(bits);
        const float half = to_float(f16{pattern});
        const float brain = to_float(bf16{pattern});
        // a NaN stays a NaN of the same sign; its payload is nobody's promise
        const auto same = [&](std::uint32_t back, const Format& format, float x) {
            if (std::isnan(x))
                return (back & 0x7FFFU) > format.infinity() && back >> 15U == bits >> 15U;
            return back == bits;
        };
        wrong.expect(same(rounded_f16(half), kF16, half), half);
        wrong.expect(same(rounded_bf16(brain), kBf16, brain), brain);
    }
    CAPTURE(wrong.first);
    CHECK(wrong.count == 0);
}

TEST_CASE("to_f16 rounds to nearest and ties to even", "[dtype]") {
    check_rounding(kF16, rounded_f16);
}

TEST_CASE("to_bf16 rounds to nearest and ties to even", "[dtype]") {
    check_rounding(kBf16, rounded_bf16);
}

TEST_CASE("rounding by examples", "[dtype]") {
    CHECK(to_f16(1.0F).bits == 0x3C00U);
    CHECK(to_f16(-2.0F).bits == 0xC000U);
    CHECK(to_f16(65504.0F).bits == 0x7BFFU);    // the largest
    CHECK(to_f16(65519.996F).bits == 0x7BFFU);  // just below half way to what would follow it
    CHECK(to_f16(65520.0F).bits == 0x7C00U);    // half way: to even, which is infinity
    CHECK(to_f16(0x1p-24F).bits == 0x0001U);    // the smallest subnormal
    CHECK(to_f16(0x1p-25F).bits == 0x0000U);    // a tie, to even
    CHECK(to_f16(0x1.8p-25F).bits == 0x0001U);
    CHECK(to_f16(0x1.ff8p-15F).bits == 0x03FFU);  // the largest subnormal
    CHECK(to_f16(0x1.ffbp-15F).bits == 0x03FFU);
    CHECK(to_f16(0x1.ffcp-15F).bits == 0x0400U);  // a tie, to even: up into the normal numbers
    CHECK(to_f16(-0.0F).bits == 0x8000U);
    CHECK(to_bf16(1.0F).bits == 0x3F80U);
    CHECK(to_bf16(0x1.01p0F).bits == 0x3F80U);  // ties to even: down here,
    CHECK(to_bf16(0x1.03p0F).bits == 0x3F82U);  // up here
    CHECK(to_bf16(std::numeric_limits<float>::max()).bits == 0x7F80U);
    CHECK(to_bf16(-0.0F).bits == 0x8000U);
}

TEST_CASE("infinities and NaN stay what they are", "[dtype]") {
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(to_f16(infinity).bits == 0x7C00U);
    CHECK(to_f16(-infinity).bits == 0xFC00U);
    CHECK(to_bf16(infinity).bits == 0x7F80U);
    CHECK(to_bf16(-infinity).bits == 0xFF80U);
    // payloads that rounding could turn into an infinity or carry into the sign
    for (const std::uint32_t bits :
         {0x7F800001U, 0x7F80FFFFU, 0x7FC00000U, 0x7FFFFFFFU, 0xFF800001U, 0xFFFFFFFFU}) {
        const auto nan = std::bit_cast<float>(bits);
        CAPTURE(bits);
        CHECK(std::isnan(to_float(to_f16(nan))));
        CHECK(std::isnan(to_float(to_bf16(nan))));
        CHECK((to_f16(nan).bits >> 15U) == (bits >> 31U));
        CHECK((to_bf16(nan).bits >> 15U) == (bits >> 31U));
    }
}

static_assert(to_float(bf16{0x4049}) == 3.140625F, "conversions are constant expressions");
static_assert(to_float(f16{0x0001}) == 0x1p-24F);
static_assert(to_f16(1.5F).bits == 0x3E00 && to_bf16(1.5F).bits == 0x3FC0);
