// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// e^x on batches: xsimd's, and for floats with AVX-512 one that takes 13 instructions instead of
/// about 30, as its scaling by a power of two knows what overflow and underflow are. Three of four
/// instructions of the passes around the delta rule are in here.
///   e^x = 2^n e^r,   n = round(x / ln 2),   r = x - n ln 2,   |r| <= ln(2) / 2
#pragma once

#include <deltanet/cpu/xsimd_compat.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace deltanet::cpu {

#if XSIMD_WITH_AVX512F
namespace detail {

/// x = e^x, or e^-x with Negate. Within 1.1 ulp (`tests/cpu/exp_test.cpp`), subnormal results too;
/// 0 and infinity beyond; a NaN stays one. Step by step for all of x: one chain after another would
/// fill the scheduler with instructions that wait.
template <bool Negate, class Batch, std::size_t N, int... I>
DELTANET_FORCE_INLINE void exp_avx512(Batch (&x)[N], std::integer_sequence<int, I...>) noexcept {
    constexpr __mmask16 all = 0xFFFF;  // without a mask GCC 12 warns of its own header (bug 105593)
    const auto fma = [](__m512 a, __m512 b, float c) noexcept {
        return _mm512_fmadd_ps(a, b, _mm512_set1_ps(c));
    };
    const __m512 magic = _mm512_set1_ps(0x1.8p23F);  // a float that ends in units: adding rounds
    const __m512 log2_e = _mm512_set1_ps(Negate ? -0x1.715476p+0F : 0x1.715476p+0F);
    // Far outside of what a float can hold, and near enough for n and r to be numbers. Of a NaN and
    // a bound these two return their second operand, the NaN.
    __m512 r[] = {_mm512_maskz_max_ps(all, _mm512_set1_ps(-200.0F), x[I])...};
    ((r[I] = _mm512_maskz_min_ps(all, _mm512_set1_ps(200.0F), r[I])), ...);
    __m512 n[] = {_mm512_fmadd_ps(r[I], log2_e, magic)...};
    ((n[I] = _mm512_sub_ps(n[I], magic)), ...);
    const __m512 ln2 = _mm512_set1_ps(0x1.62e4p-1F);  // its upper bits: the product is exact
    ((r[I] = Negate ? _mm512_fnmsub_ps(n[I], ln2, r[I]) : _mm512_fnmadd_ps(n[I], ln2, r[I])), ...);
    ((r[I] = _mm512_fnmadd_ps(n[I], _mm512_set1_ps(0x1.7f7d1cp-20F), r[I])), ...);
    // Least largest relative error, 4e-9 in exact arithmetic.
    __m512 p[] = {fma(_mm512_set1_ps(0x1.6a215ap-10F), r[I], 0x1.123b9ap-7F)...};
    ((p[I] = fma(p[I], r[I], 0x1.5558fcp-5F)), ...);
    ((p[I] = fma(p[I], r[I], 0x1.55549p-3F)), ...);
    ((p[I] = fma(p[I], r[I], 0x1.fffffcp-2F)), ...);
    ((p[I] = fma(p[I], r[I], 1.0F)), ...);
    ((p[I] = fma(p[I], r[I], 1.0F)), ...);
    ((x[I] = Batch(_mm512_maskz_scalef_ps(all, p[I], n[I]))), ...);
}

}  // namespace detail
#endif

/// x = e^x, or e^-x, for each of some batches.
template <bool Negate = false, class T, class Arch, std::size_t N>
DELTANET_FORCE_INLINE void exp_each(xsimd::batch<T, Arch> (&x)[N]) noexcept {
#if XSIMD_WITH_AVX512F
    if constexpr (std::is_base_of_v<xsimd::avx512f, Arch> && std::is_same_v<T, float>) {
        return detail::exp_avx512<Negate>(x,
                                          std::make_integer_sequence<int, static_cast<int>(N)>{});
    } else
#endif
    {
        for (xsimd::batch<T, Arch>& batch : x) batch = xsimd::exp(Negate ? -batch : batch);
    }
}

template <class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> exp(
    const xsimd::batch<T, Arch>& x) noexcept {
    xsimd::batch<T, Arch> one[] = {x};
    exp_each(one);
    return one[0];
}

}  // namespace deltanet::cpu
