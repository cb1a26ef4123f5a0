// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// How a product of quantised numbers multiplies on each instruction set. Operands are vectors of N
/// words of 32 bits, each a few neighbours along the contracted index; a step adds the products of
/// the words of weights and activations to the sums of their lanes. What each kind has:
///   number            what weights and activations are stored as in their words
///   is_unsigned       weights are stored with their format's offset, 0 or above
///   add(sum, w, x)    a step; the sums of 32 weights do not overflow
///   start(c)          sums to begin with, total(sum, c) the sums as 32-bit integers plus c
///   kinds             PairProducts    two 16-bit numbers: pmaddwd, or its parts; any CPU
///                     QuadProducts    four bytes: vpdpbusd (AVX-VNNI, AVX512-VNNI), sdot (Arm)
///                     NibbleProducts  four bytes, weights below 16: pmaddubsw, and pmaddwd once
/// All of them are exact, so that results do not depend on the kind.
#pragma once

#include <deltanet/cpu/arch.hpp>
#include <deltanet/cpu/convert.hpp>
#include <deltanet/linear/weight_format.hpp>

#include <cstring>
#include <type_traits>

namespace deltanet::cpu {

namespace detail {

/// Products of signed 16-bit neighbours, added in pairs.
template <class Arch, index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE Words<N> multiply_pairs(const Words<N>& a,
                                                            const Words<N>& b) noexcept {
#if defined(__AVX512BW__)
    if constexpr (N == 16) {
        return bits_as<Words<N>>(
            _mm512_maskz_madd_epi16(kAll16, bits_as<__m512i>(a), bits_as<__m512i>(b)));
    }
#endif
#if defined(__AVX2__)
    if constexpr (N == 8)
        return bits_as<Words<N>>(_mm256_madd_epi16(bits_as<__m256i>(a), bits_as<__m256i>(b)));
#endif
#if defined(__SSE2__)
    if constexpr (N == 4)
        return bits_as<Words<N>>(_mm_madd_epi16(bits_as<__m128i>(a), bits_as<__m128i>(b)));
#elif defined(__aarch64__)
    if constexpr (N == 4) {
        const auto x = bits_as<int16x8_t>(a), y = bits_as<int16x8_t>(b);
        return bits_as<Words<N>>(
            vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
    }
#endif
    const auto low = [](const Words<N>& x) noexcept { return x << 16 >> 16; };
    return low(a) * low(b) + (a >> 16) * (b >> 16);
}

}  // namespace detail

/// 4 bytes in every lane.
template <class Words>
[[nodiscard]] DELTANET_FORCE_INLINE Words broadcast_word(const void* x) noexcept {
    std::int32_t word;
    std::memcpy(&word, x, sizeof(word));
    return Words{} + word;
}

template <class Arch, index_t N>
struct PairProducts {
    using number = std::int16_t;
    using Sum = detail::Words<N>;
    static constexpr bool is_unsigned = false;
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum add(const Sum& sum, const Sum& w,
                                                       const Sum& x) noexcept {
        return sum + detail::multiply_pairs<Arch, N>(w, x);
    }
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum start(std::int32_t c) noexcept {
        return Sum{} + c;
    }
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum total(const Sum& sum, std::int32_t) noexcept {
        return sum;
    }
};

#if defined(__AVX2__)
/// A lane sums 2 x 16 products of 32 weights in 16 bits: 16 x 15 x 127 = 30480 at most.
template <class Arch, index_t N>
struct NibbleProducts {
    using number = std::int8_t;
    using Sum = detail::Words<N>;
    static constexpr bool is_unsigned = true;
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum add(const Sum& sum, const Sum& w,
                                                       const Sum& x) noexcept {
        using Halves = typename detail::Lanes<N>::s16x2;
        return detail::bits_as<Sum>(detail::bits_as<Halves>(sum) +
                                    detail::bits_as<Halves>(multiply(w, x)));
    }
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum start(std::int32_t) noexcept { return Sum{}; }
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum total(const Sum& sum, std::int32_t c) noexcept {
        return detail::multiply_pairs<Arch, N>(sum, Sum{} + 0x00010001) + c;
    }

  private:
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum multiply(const Sum& w, const Sum& x) noexcept {
#if defined(__AVX512BW__)
        if constexpr (N == 16) {
            return detail::bits_as<Sum>(_mm512_maskz_maddubs_epi16(
                0xFFFFFFFFU, detail::bits_as<__m512i>(w), detail::bits_as<__m512i>(x)));
        } else
#endif
        {
            return detail::bits_as<Sum>(
                _mm256_maddubs_epi16(detail::bits_as<__m256i>(w), detail::bits_as<__m256i>(x)));
        }
    }
};
#endif

/// Whether the compiler's flags allow the dot-product instruction of an arch.
template <class Arch>
inline constexpr bool has_quad_products = false;
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
template <>
inline constexpr bool has_quad_products<avx512vnni> = true;
template <>
inline constexpr bool has_quad_products<avx512bf16> = true;
#elif defined(__AVXVNNI__)
template <>
inline constexpr bool has_quad_products<avxvnni> = true;
#elif defined(__ARM_FEATURE_DOTPROD)
template <>
inline constexpr bool has_quad_products<xsimd::neon64> = true;
#endif

template <class Arch, index_t N>
struct QuadProducts {
    static_assert(has_quad_products<Arch>);
    using number = std::int8_t;
    using Sum = detail::Words<N>;
    static constexpr bool is_unsigned = !std::is_base_of_v<xsimd::neon64, Arch>;
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum add(const Sum& sum, const Sum& w,
                                                       const Sum& x) noexcept {
        using detail::bits_as;
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
        if constexpr (N == 16) {
            return bits_as<Sum>(_mm512_dpbusd_epi32(bits_as<__m512i>(sum), bits_as<__m512i>(w),
                                                    bits_as<__m512i>(x)));
        } else {
            return bits_as<Sum>(_mm256_dpbusd_epi32(bits_as<__m256i>(sum), bits_as<__m256i>(w),
                                                    bits_as<__m256i>(x)));
        }
#elif defined(__AVXVNNI__)
        return bits_as<Sum>(_mm256_dpbusd_avx_epi32(bits_as<__m256i>(sum), bits_as<__m256i>(w),
                                                    bits_as<__m256i>(x)));
#elif defined(__ARM_FEATURE_DOTPROD)
        return bits_as<Sum>(
            vdotq_s32(bits_as<int32x4_t>(sum), bits_as<int8x16_t>(w), bits_as<int8x16_t>(x)));
#else
        return sum + w + x;  // never: see the assertion above
#endif
    }
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum start(std::int32_t c) noexcept {
        return Sum{} + c;
    }
    [[nodiscard]] DELTANET_FORCE_INLINE static Sum total(const Sum& sum, std::int32_t) noexcept {
        return sum;
    }
};

namespace detail {

template <class Arch, WeightFormat F, index_t N>
[[nodiscard]] constexpr auto choose_products() noexcept {
    if constexpr (has_quad_products<Arch>) {
        return std::type_identity<QuadProducts<Arch, N>>{};
    } else {
#if defined(__AVX2__)
        if constexpr (N >= 8 && (F == WeightFormat::q4_0 || F == WeightFormat::q4_k)) {
            return std::type_identity<NibbleProducts<Arch, N>>{};
        } else
#endif
        {
            return std::type_identity<PairProducts<Arch, N>>{};
        }
    }
}

}  // namespace detail

/// What a quantised format is multiplied by on an arch, in vectors of N words. The 6 bits of Q6_K
/// come with 8 bits of scale for every 16: among pairs they are 16-bit numbers with them, among
/// quads the sums of 16 are multiplied by them.
template <class Arch, WeightFormat F, index_t N = lanes<Arch, float>>
using IntegerProducts = typename decltype(detail::choose_products<Arch, F, N>())::type;

}  // namespace deltanet::cpu
