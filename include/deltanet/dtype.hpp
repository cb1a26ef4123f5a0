// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Storage types of weights and states and the conversions between them and float. Arithmetic is
/// always done in float or wider; bf16 and f16 are only ever loaded and stored.
#pragma once

#include <deltanet/config.hpp>

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace deltanet {

/// Element types that weights and recurrent states can be stored in; i8 is for states alone
/// (ops/state_columns.hpp).
enum class DType : std::uint8_t { f32, bf16, f16, i8 };

[[nodiscard]] constexpr index_t size_of(DType dtype) noexcept {
    return dtype == DType::f32 ? 4 : dtype == DType::i8 ? 1 : 2;
}

[[nodiscard]] constexpr std::string_view name_of(DType dtype) noexcept {
    switch (dtype) {
        case DType::f32:
            return "f32";
        case DType::bf16:
            return "bf16";
        case DType::f16:
            return "f16";
        case DType::i8:
            return "i8";
    }
    return "unknown";
}

/// bfloat16 storage: the upper half of a float.
struct bf16 {
    std::uint16_t bits = 0;
};

/// IEEE 754 binary16 storage.
struct f16 {
    std::uint16_t bits = 0;
};

/// The integer part of an element of an int8 state.
struct i8 {
    std::int8_t value = 0;
};

[[nodiscard]] constexpr float to_float(float value) noexcept { return value; }

[[nodiscard]] constexpr float to_float(bf16 value) noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// Exact: every binary16 value, subnormals and infinities included, is a float. A signalling NaN
/// becomes quiet, as in the instructions for this.
[[nodiscard]] constexpr float to_float(f16 value) noexcept {
    const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000U) << 16;
    const std::uint32_t exponent = (value.bits >> 10) & 0x1FU;
    const std::uint32_t mantissa = value.bits & 0x3FFU;
    if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
        return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
    }
    const std::uint32_t wide = exponent == 0x1FU ? 0xFFU : exponent + 112U;
    const std::uint32_t quiet = exponent == 0x1FU && mantissa != 0 ? 0x400000U : 0U;
    return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13) | quiet);
}

/// Round to nearest, ties to even; NaN stays NaN.
[[nodiscard]] constexpr bf16 to_bf16(float value) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7FFFFFFFU) > 0x7F800000U)
        return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
    return {static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}

/// Round to nearest, ties to even; overflow gives infinity, NaN stays NaN with the upper bits of
/// what it carries.
[[nodiscard]] constexpr f16 to_f16(float value) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint32_t>((bits >> 16) & 0x8000U);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U)
        return {static_cast<std::uint16_t>(sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU))};
    if (magnitude >= 0x477FF000U) return {static_cast<std::uint16_t>(sign | 0x7C00U)};
    if (magnitude <
        0x38800000U) {  // below 2^-14: adding 0.5 shifts the subnormal into the low bits
        const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
        return {static_cast<std::uint16_t>(sign |
                                           (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U))};
    }
    const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
    return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13))};
}

/// The DType of elements of type S.
template <class S>
inline constexpr DType dtype_v = [] {
    static_assert(std::is_same_v<S, float> || std::is_same_v<S, bf16> || std::is_same_v<S, f16> ||
                  std::is_same_v<S, i8>);
    return std::is_same_v<S, bf16>  ? DType::bf16
           : std::is_same_v<S, f16> ? DType::f16
           : std::is_same_v<S, i8>  ? DType::i8
                                    : DType::f32;
}();

/// Storage of type S for a value.
template <class S>
[[nodiscard]] constexpr S from_float(float value) noexcept {
    if constexpr (std::is_same_v<S, bf16>) {
        return to_bf16(value);
    } else if constexpr (std::is_same_v<S, f16>) {
        return to_f16(value);
    } else {
        return static_cast<S>(value);
    }
}

}  // namespace deltanet
