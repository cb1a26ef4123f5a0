// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Loads and stores of 16-bit storage as batches of float; see simd.hpp for the others. xsimd 8.1
/// cannot widen, so they are written in the compiler's own vectors, with the x86 instructions where
/// GCC 12 finds much longer ways. Same results as the scalar functions of dtype.hpp, for NaN and
/// subnormals too, with one exception: where AVX512-BF16 rounds to bfloat16, subnormal numbers
/// (below 1.2e-38) become zeros.
#pragma once

#include <deltanet/cpu/simd.hpp>
#include <deltanet/dtype.hpp>

#include <cstring>

namespace deltanet::cpu {

namespace detail {

/// N lanes of 64, 32, 16 and 8 bits, and of 2 x 16 bits.
template <index_t N>
struct Lanes {
    typedef std::int64_t s64 __attribute__((vector_size(8 * N)));
    typedef std::int32_t s32 __attribute__((vector_size(4 * N)));
    typedef std::int16_t s16x2 __attribute__((vector_size(4 * N)));
    typedef std::int8_t s8 __attribute__((vector_size(N)));
    typedef std::uint8_t u8 __attribute__((vector_size(N)));
    typedef std::uint32_t u32 __attribute__((vector_size(4 * N)));
    typedef std::uint16_t u16 __attribute__((vector_size(2 * N)));
    typedef float f32 __attribute__((vector_size(4 * N)));
};

template <index_t N>
using Words = typename Lanes<N>::s32;

#if defined(__AVX512F__)
/// GCC 12 warns of its own intrinsics without a mask (bug 105593); this one costs nothing.
inline constexpr __mmask16 kAll16 = 0xFFFF;
#endif

/// The same bytes as another type, in a register.
template <class To, class From>
[[nodiscard]] DELTANET_FORCE_INLINE To bits_as(const From& from) noexcept {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

/// The lanes of a batch of float as integers, and back.
template <class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE auto bits_of(const xsimd::batch<float, Arch>& x) noexcept {
    const typename xsimd::batch<float, Arch>::register_type reg = x;
    return bits_as<typename Lanes<lanes<Arch, float>>::u32>(reg);
}
template <class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<float, Arch> batch_of(
    const typename Lanes<lanes<Arch, float>>::u32& bits) noexcept {
    using Batch = xsimd::batch<float, Arch>;
    return Batch(bits_as<typename Batch::register_type>(bits));
}

/// Zeros before every 16 bits.
template <index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE typename Lanes<N>::u32 zero_extended(
    const typename Lanes<N>::u16& bits) noexcept {
    using U32 = typename Lanes<N>::u32;
#if defined(__AVX512F__)
    if constexpr (N == 16)
        return bits_as<U32>(_mm512_maskz_cvtepu16_epi32(kAll16, bits_as<__m256i>(bits)));
#endif
#if defined(__AVX2__)
    if constexpr (N == 8) return bits_as<U32>(_mm256_cvtepu16_epi32(bits_as<__m128i>(bits)));
#endif
    return __builtin_convertvector(bits, U32);
}

template <index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE typename Lanes<N>::u32 widen(const bf16* p) noexcept {
    typename Lanes<N>::u16 bits;
    std::memcpy(&bits, p, sizeof(bits));
    return zero_extended<N>(bits) << 16;
}

template <index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE typename Lanes<N>::u32 widen(const f16* p) noexcept {
    using U32 = typename Lanes<N>::u32;
    using F32 = typename Lanes<N>::f32;
    typename Lanes<N>::u16 bits;
    std::memcpy(&bits, p, sizeof(bits));
#if defined(__AVX512F__)
    if constexpr (N == 16)
        return bits_as<U32>(_mm512_maskz_cvtph_ps(kAll16, bits_as<__m256i>(bits)));
#endif
#if defined(__F16C__)
    if constexpr (N == 8) return bits_as<U32>(_mm256_cvtph_ps(bits_as<__m128i>(bits)));
#endif
    const U32 h = zero_extended<N>(bits);
    // Exponents are 112 apart; the product is exact and turns subnormals into what they are.
    const F32 scaled = bits_as<F32>((h & 0x7FFFU) << 13) * 0x1p112F;
    const U32 special = bits_as<U32>((h & 0x7C00U) == 0x7C00U) & 0x7F800000U;  // infinity, NaN
    const U32 quiet = bits_as<U32>((h & 0x7FFFU) > 0x7C00U) & 0x00400000U;
    return bits_as<U32>(scaled) | special | quiet | ((h & 0x8000U) << 16);
}

/// The bits of the nearest bfloat16 numbers, in the lower halves of the lanes.
template <index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE typename Lanes<N>::u32 rounded_to_bf16(
    const typename Lanes<N>::u32& x) noexcept {
    using U32 = typename Lanes<N>::u32;
    const U32 upper = x >> 16;
    const U32 rounded = (x + 0x7FFFU + (upper & 1U)) >> 16;
    const auto value = bits_as<typename Lanes<N>::f32>(x);
    return value == value ? rounded : upper | 0x40U;  // not equal: NaN
}

/// The lower halves of the lanes, whose upper halves are 0.
template <index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE typename Lanes<N>::u16 without_upper_halves(
    const typename Lanes<N>::u32& x) noexcept {
    using U16 = typename Lanes<N>::u16;
#if defined(__AVX512F__)
    if constexpr (N == 16)
        return bits_as<U16>(_mm512_maskz_cvtepi32_epi16(kAll16, bits_as<__m512i>(x)));
#endif
#if defined(__AVX2__)
    if constexpr (N == 8) {
        const auto both = bits_as<__m256i>(x);
        return bits_as<U16>(
            _mm_packus_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
    }
#endif
    return __builtin_convertvector(x, U16);
}

template <index_t N>
DELTANET_FORCE_INLINE void narrow(const typename Lanes<N>::u32& x, bf16* p) noexcept {
#if defined(__AVX512BF16__)
    // One instruction for ten. It takes subnormal numbers, below 1.2e-38, for zeros.
    if constexpr (N == 16) {
        const __m256bh bits = _mm512_maskz_cvtneps_pbh(kAll16, bits_as<__m512>(x));
        std::memcpy(static_cast<void*>(p), &bits, sizeof(bits));
        return;
    }
#endif
    const auto bits = without_upper_halves<N>(rounded_to_bf16<N>(x));
    std::memcpy(static_cast<void*>(p), &bits, sizeof(bits));
}

template <index_t N>
DELTANET_FORCE_INLINE void narrow(const typename Lanes<N>::u32& x, f16* p) noexcept {
    using U32 = typename Lanes<N>::u32;
    using F32 = typename Lanes<N>::f32;
    [[maybe_unused]] constexpr int nearest_even = 0;
#if defined(__AVX512F__)
    if constexpr (N == 16) {
        const __m256i half = _mm512_maskz_cvtps_ph(kAll16, bits_as<__m512>(x), nearest_even);
        std::memcpy(static_cast<void*>(p), &half, sizeof(half));
        return;
    }
#endif
#if defined(__F16C__)
    if constexpr (N == 8) {
        const __m128i half = _mm256_cvtps_ph(bits_as<__m256>(x), nearest_even);
        std::memcpy(static_cast<void*>(p), &half, sizeof(half));
        return;
    }
#endif
    const U32 sign = (x >> 16) & 0x8000U;
    const U32 magnitude = x & 0x7FFFFFFFU;
    const U32 normal = (magnitude + 0xFFFU + ((magnitude >> 13) & 1U) - 0x38000000U) >> 13;
    // Below 2^-14: adding 0.5 shifts the subnormal into the low bits.
    const U32 subnormal = bits_as<U32>(bits_as<F32>(magnitude) + 0.5F) - 0x3F000000U;
    const U32 is_small = bits_as<U32>(magnitude < 0x38800000U);
    const U32 is_large = bits_as<U32>(magnitude >= 0x477FF000U);
    const U32 is_nan = bits_as<U32>(magnitude > 0x7F800000U);
    U32 result = (is_small & subnormal) | (~is_small & normal);
    result = (is_large & 0x7C00U) | (~is_large & result);
    result = (is_nan & (0x7E00U | ((x >> 13) & 0x3FFU))) | (~is_nan & result);
    const auto bits = without_upper_halves<N>(result | sign);
    std::memcpy(static_cast<void*>(p), &bits, sizeof(bits));
}

}  // namespace detail

/// As for float: the first `count` elements, zeros behind them.
template <class Arch, class S>
requires(std::is_same_v<S, bf16> || std::is_same_v<S, f16>)
    [[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<float, Arch> load(const S* p,
                                                                       index_t count) noexcept {
    constexpr index_t n = lanes<Arch, float>;
    S buffer[static_cast<std::size_t>(n)] = {};
    if (count < n) {
        for (index_t i = 0; i < count; ++i) buffer[i] = p[i];
        p = buffer;
    }
    return detail::batch_of<Arch>(detail::widen<n>(p));
}
template <class Arch, class S>
requires(std::is_same_v<S, bf16> || std::is_same_v<S, f16>)
    [[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<float, Arch> load(const S* p) noexcept {
    return load<Arch>(p, lanes<Arch, float>);
}

/// Rounds to nearest, ties to even.
template <class Arch, class S>
requires(std::is_same_v<S, bf16> || std::is_same_v<S, f16>) DELTANET_FORCE_INLINE
    void store(S* p, const xsimd::batch<float, Arch>& x, index_t count) noexcept {
    constexpr index_t n = lanes<Arch, float>;
    const auto bits = detail::bits_of(x);
    if (count >= n) {
        detail::narrow<n>(bits, p);
        return;
    }
    S buffer[static_cast<std::size_t>(n)];
    detail::narrow<n>(bits, buffer);
    for (index_t i = 0; i < count; ++i) p[i] = buffer[i];
}

/// Whole batches behind each other.
template <class Arch, class S, class T, std::size_t N>
DELTANET_FORCE_INLINE void store_row(S* p, const xsimd::batch<T, Arch> (&x)[N]) noexcept {
    constexpr index_t n = lanes<Arch, T>;
#if defined(__AVX512BF16__)
    if constexpr (std::is_same_v<S, bf16> && n == 16 && N % 2 == 0) {
        for (std::size_t i = 0; i < N; i += 2) {  // two batches take what one does
            const __m512 first = x[i], second = x[i + 1];
            const __m512bh bits = _mm512_cvtne2ps_pbh(second, first);
            std::memcpy(static_cast<void*>(p + static_cast<index_t>(i) * n), &bits, sizeof(bits));
        }
        return;
    }
#endif
    for (std::size_t i = 0; i < N; ++i) store<Arch>(p + static_cast<index_t>(i) * n, x[i], n);
}

}  // namespace deltanet::cpu
