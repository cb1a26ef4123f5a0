// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// e^x on batches: xsimd's, and for floats with AVX-512 one that takes 12 instructions instead of
/// about 30, as its scaling by a power of two knows what overflow and underflow are and a register
/// holds a table of 16 powers. Most of the instructions of the passes around the delta rule are in
/// here.
///   e^x = 2^n e^r,   n = round(16 x / ln 2) / 16,   r = x - n ln 2,   |r| <= ln(2) / 32
#pragma once

#include <deltanet/cpu/xsimd_compat.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace deltanet::cpu {

#if XSIMD_WITH_AVX512F
namespace detail {

/// 2^(i / 16). With the type's name: what is not inlined is an arch's own.
template <class Batch>
alignas(64) inline constexpr float kSixteenths[16] = {
    0x1p+0F,        0x1.0b5586p+0F, 0x1.172b84p+0F, 0x1.2387a6p+0F, 0x1.306fep+0F,  0x1.3dea64p+0F,
    0x1.4bfdaep+0F, 0x1.5ab07ep+0F, 0x1.6a09e6p+0F, 0x1.7a1148p+0F, 0x1.8ace54p+0F, 0x1.9c4918p+0F,
    0x1.ae89fap+0F, 0x1.c199bep+0F, 0x1.d5818ep+0F, 0x1.ea4afap+0F};

/// x = e^x, or e^-x with Negate. Within 1.1 ulp (`tests/cpu/exp_test.cpp`), subnormal results too;
/// 0 and infinity beyond; a NaN stays one. Step by step for all of x: one chain after another would
/// fill the scheduler with instructions that wait.
template <bool Negate, bool KeepNan, class Batch, std::size_t N, int... I>
DELTANET_FORCE_INLINE void exp_avx512(Batch (&x)[N], std::integer_sequence<int, I...>) noexcept {
    constexpr __mmask16 all = 0xFFFF;  // without a mask GCC 12 warns of its own header (bug 105593)
    // A float that ends in sixteenths: adding it rounds, and leaves them in the lowest bits.
    const __m512 magic = _mm512_set1_ps(0x1.8p19F);
    const __m512 log2_e = _mm512_set1_ps(Negate ? -0x1.715476p+0F : 0x1.715476p+0F);
    const __m512 table = _mm512_load_ps(kSixteenths<Batch>);
    // Far outside of what a float can hold, and near enough for n and r to be numbers. Of a NaN and
    // a bound the first two return their second operand, the NaN, and the third the bound.
    const __m512 bound = _mm512_set1_ps(200.0F);
    __m512 r[] = {__m512(x[I])...};
    if constexpr (KeepNan) {
        ((r[I] = _mm512_maskz_max_ps(all, _mm512_set1_ps(-200.0F), r[I])), ...);
        ((r[I] = _mm512_maskz_min_ps(all, bound, r[I])), ...);
    } else {
        constexpr int smaller_magnitude = 2;
        ((r[I] = _mm512_maskz_range_ps(all, r[I], bound, smaller_magnitude)), ...);
    }
    __m512 n[] = {_mm512_fmadd_ps(r[I], log2_e, magic)...};
    // 2^(n - floor(n)): of an index only the lowest 4 bits count.
    __m512 power[] = {_mm512_maskz_permutexvar_ps(all, _mm512_castps_si512(n[I]), table)...};
    ((n[I] = _mm512_sub_ps(n[I], magic)), ...);
    const __m512 ln2 = _mm512_set1_ps(0x1.62e4p-1F);  // its upper bits: the product is exact
    ((r[I] = Negate ? _mm512_fnmsub_ps(n[I], ln2, r[I]) : _mm512_fnmadd_ps(n[I], ln2, r[I])), ...);
    ((r[I] = _mm512_fnmadd_ps(n[I], _mm512_set1_ps(0x1.7f7d1cp-20F), r[I])), ...);
    // e^r = 1 + r p. Least largest relative error, 2e-9 in exact arithmetic.
    __m512 p[] = {
        _mm512_fmadd_ps(_mm512_set1_ps(0x1.55574ep-3F), r[I], _mm512_set1_ps(0x1.00022p-1F))...};
    ((p[I] = _mm512_fmadd_ps(p[I], r[I], _mm512_set1_ps(1.0F))), ...);
    ((r[I] = _mm512_mul_ps(r[I], power[I])), ...);
    ((p[I] = _mm512_fmadd_ps(p[I], r[I], power[I])), ...);
    ((x[I] = Batch(_mm512_maskz_scalef_ps(all, p[I], n[I]))), ...);  // by 2^floor(n)
}

}  // namespace detail
#endif

/// x = e^x, or e^-x, for each of some batches. Without KeepNan a NaN may become any number: for
/// callers whose result is one anyway.
template <bool Negate = false, bool KeepNan = true, class T, class Arch, std::size_t N>
DELTANET_FORCE_INLINE void exp_each(xsimd::batch<T, Arch> (&x)[N]) noexcept {
#if XSIMD_WITH_AVX512F
    if constexpr (std::is_base_of_v<xsimd::avx512f, Arch> && std::is_same_v<T, float>) {
        return detail::exp_avx512<Negate, KeepNan>(
            x, std::make_integer_sequence<int, static_cast<int>(N)>{});
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
