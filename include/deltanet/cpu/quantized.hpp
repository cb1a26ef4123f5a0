// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Int8 states (ops/state_columns.hpp) as batches of float: the integers of a row, and panels of
/// whole columns read with their residuals or rounded.
#pragma once

#include <deltanet/cpu/convert.hpp>
#include <deltanet/ops/state_columns.hpp>

#include <cstring>

namespace deltanet::cpu {

namespace detail {

/// N signed or unsigned bytes at p as 32-bit lanes.
template <index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE typename Lanes<N>::f32 widen_bytes(const i8* p) noexcept {
    using S32 = typename Lanes<N>::s32;
    using F32 = typename Lanes<N>::f32;
    typename Lanes<N>::s8 bytes;
    std::memcpy(&bytes, p, sizeof(bytes));
#if defined(__AVX512F__)
    if constexpr (N == 16) {
        const __m512i wide = _mm512_maskz_cvtepi8_epi32(kAll16, bits_as<__m128i>(bytes));
        return __builtin_convertvector(bits_as<S32>(wide), F32);
    }
#endif
#if defined(__AVX2__)
    if constexpr (N == 8) {
        const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&bytes));
        return __builtin_convertvector(bits_as<S32>(_mm256_cvtepi8_epi32(low)), F32);
    }
#endif
    return __builtin_convertvector(__builtin_convertvector(bytes, S32), F32);
}

template <index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE typename Lanes<N>::u32 widen_bytes(
    const std::uint8_t* p) noexcept {
    typename Lanes<N>::u8 bytes;
    std::memcpy(&bytes, p, sizeof(bytes));
#if defined(__AVX512F__)
    if constexpr (N == 16) {
        return bits_as<typename Lanes<N>::u32>(
            _mm512_maskz_cvtepu8_epi32(kAll16, bits_as<__m128i>(bytes)));
    }
#endif
#if defined(__AVX2__)
    if constexpr (N == 8) {
        const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&bytes));
        return bits_as<typename Lanes<N>::u32>(_mm256_cvtepu8_epi32(low));
    }
#endif
    return __builtin_convertvector(bytes, typename Lanes<N>::u32);
}

/// The low bytes of the lanes.
template <index_t N>
DELTANET_FORCE_INLINE void narrow_to_bytes(const typename Lanes<N>::u32& x, void* p) noexcept {
#if defined(__AVX512F__)
    if constexpr (N == 16) {
        const __m128i bytes = _mm512_maskz_cvtepi32_epi8(kAll16, bits_as<__m512i>(x));
        std::memcpy(p, &bytes, sizeof(bytes));
        return;
    }
#endif
#if defined(__AVX2__)
    if constexpr (N == 8) {
        const auto halves = bits_as<__m128i>(without_upper_halves<N>(x & 0xFFU));
        const __m128i bytes = _mm_packus_epi16(halves, halves);
        std::memcpy(p, &bytes, 8);
        return;
    }
#endif
    const auto bytes = __builtin_convertvector(x, typename Lanes<N>::u8);
    std::memcpy(p, &bytes, sizeof(bytes));
}

/// The nearest integer, |x| < 2^22, as what was added to it and its bits show.
inline constexpr float kRoundingAid = 0x1.8p23F;
template <index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE typename Lanes<N>::u32 integer_bits(
    const typename Lanes<N>::f32& x) noexcept {
    return bits_as<typename Lanes<N>::u32>(x + kRoundingAid) - 0x4B400000U;
}

}  // namespace detail

/// The integers of a row, to be multiplied by the scales of their columns.
template <class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<float, Arch> load(const i8* p) noexcept {
    constexpr index_t n = lanes<Arch, float>;
    return detail::batch_of<Arch>(
        detail::bits_as<typename detail::Lanes<n>::u32>(detail::widen_bytes<n>(p)));
}
template <class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<float, Arch> load(const i8* p,
                                                                   index_t count) noexcept {
    constexpr index_t n = lanes<Arch, float>;
    if (count >= n) return load<Arch>(p);
    i8 buffer[static_cast<std::size_t>(n)] = {};
    for (index_t i = 0; i < count; ++i) buffer[i] = p[i];
    return load<Arch>(buffer);
}

/// Columns [0, width) to a panel [d_k, Cols], zeros behind them: integers and residuals, scaled.
template <class Arch, index_t Cols>
void load_quantized(const StateColumns<i8>& from, index_t width, index_t d_k,
                    float* panel) noexcept {
    constexpr index_t n = lanes<Arch, float>;
    using Batch = xsimd::batch<float, Arch>;
    using Lanes = detail::Lanes<n>;
    const auto value = [](const typename Lanes::u32& nibble, const Batch& integer,
                          const Batch& scale) noexcept {
        const auto r = detail::bits_as<typename Lanes::s32>((nibble ^ 8U) - 8U);
        const Batch residual = detail::batch_of<Arch>(
            detail::bits_as<typename Lanes::u32>(__builtin_convertvector(r, typename Lanes::f32)));
        return scale *
               compat::fma(residual, Batch(1.0F / deltanet::detail::kResidualSteps), integer);
    };
    for (index_t c = 0; c < Cols; c += n) {
        const index_t count = width - c;
        if (count <= 0) {
            for (index_t i = 0; i < d_k; ++i) Batch(0.0F).store_aligned(panel + i * Cols + c);
            continue;
        }
        const Batch scale = load<Arch>(from.scale + c, count);
        for (index_t i = 0; i < d_k; i += 2) {
            std::uint8_t bytes[static_cast<std::size_t>(n)] = {};
            const std::uint8_t* both = from.residual_row(i) + c;
            if (count < n) {
                for (index_t j = 0; j < count; ++j) bytes[j] = both[j];
                both = bytes;
            }
            const auto r = detail::widen_bytes<n>(both);
            float* const to = panel + i * Cols + c;
            value(r & 15U, load<Arch>(from.row(i) + c, count), scale).store_aligned(to);
            if (i + 1 == d_k) break;
            value(r >> 4, load<Arch>(from.row(i + 1) + c, count), scale).store_aligned(to + Cols);
        }
    }
}

/// And back: the columns get new scales, and every element its two parts.
template <class Arch, index_t Cols>
void store_quantized(const float* panel, const StateColumns<i8>& to, index_t width,
                     index_t d_k) noexcept {
    constexpr index_t n = lanes<Arch, float>;
    using Batch = xsimd::batch<float, Arch>;
    using U32 = typename detail::Lanes<n>::u32;
    using F32 = typename detail::Lanes<n>::f32;
    const auto write = [](const U32& x, void* p, index_t count) noexcept {
        if (count >= n) return detail::narrow_to_bytes<n>(x, p);
        std::uint8_t bytes[static_cast<std::size_t>(n)];
        detail::narrow_to_bytes<n>(x, bytes);
        for (index_t j = 0; j < count; ++j) static_cast<std::uint8_t*>(p)[j] = bytes[j];
    };
    for (index_t c = 0; c < width; c += n) {
        const index_t count = width - c;
        const float* const from = panel + c;
        Batch largest(0.0F), poison(0.0F);
        for (index_t i = 0; i < d_k; ++i) {
            const Batch x = Batch::load_aligned(from + i * Cols);
            largest = xsimd::max(largest, xsimd::abs(x));
            poison = compat::fma(x, Batch(0.0F), poison);  // NaN if x is not finite
        }
        const Batch zero(0.0F);
        const auto none = largest < Batch(0x1p-100F);
        const Batch scale = xsimd::select(none, zero, largest * Batch(1.0F / 127)) + poison;
        store<Arch>(to.scale + c, scale, count);
        const Batch inverse = xsimd::select(none, zero, Batch(127.0F) / largest);
        // The integer of an element into its place, its residual in 4 bits as the result.
        const auto split = [&](index_t i) noexcept {
            const Batch x = Batch::load_aligned(from + i * Cols) * inverse;
            const auto y = detail::bits_as<F32>(detail::bits_of<Arch>(x));
            write(detail::integer_bits<n>(y), to.row(i) + c, count);
            const F32 rounded = (y + detail::kRoundingAid) - detail::kRoundingAid;
            const auto rest = detail::batch_of<Arch>(detail::bits_as<U32>(
                (y - rounded) * static_cast<float>(deltanet::detail::kResidualSteps)));
            const Batch clamped = xsimd::min(xsimd::max(rest, Batch(-7.0F)), Batch(7.0F));
            const auto bits =
                detail::integer_bits<n>(detail::bits_as<F32>(detail::bits_of<Arch>(clamped)));
            return bits & 15U;
        };
        for (index_t i = 0; i < d_k; i += 2) {
            const U32 even = split(i);
            const U32 odd = i + 1 < d_k ? split(i + 1) : even & 0U;
            write(even | odd << 4, to.residual_row(i) + c, count);
        }
    }
}

}  // namespace deltanet::cpu
