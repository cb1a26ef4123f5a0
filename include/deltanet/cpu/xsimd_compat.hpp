// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The bridge over xsimd's versions, 8.1 to 14: what changed its name, its meaning or its speed
/// between them. No other file asks for xsimd's version or includes it.
#pragma once

#include <deltanet/config.hpp>

#include <xsimd/xsimd.hpp>

#include <type_traits>

#if XSIMD_VERSION_MAJOR * 100 + XSIMD_VERSION_MINOR < 801
#error "deltanet: xsimd 8.1 or newer is needed"
#endif

namespace deltanet::cpu {

// Instruction sets above xsimd's for which not every version has a tag. To xsimd they are the ones
// below.

/// AVX2 with the dot product of bytes, AVX-VNNI.
struct avxvnni : xsimd::fma3<xsimd::avx2> {
#if defined(__AVXVNNI__) && defined(__AVX2__) && defined(__FMA__)
    static constexpr bool supported() noexcept { return true; }
#else
    static constexpr bool supported() noexcept { return false; }
#endif
    static constexpr const char* name() noexcept { return "avxvnni"; }
};

/// AVX-512 with the dot product of bytes.
struct avx512vnni : xsimd::avx512bw {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
    static constexpr bool supported() noexcept { return true; }
#else
    static constexpr bool supported() noexcept { return false; }
#endif
    static constexpr const char* name() noexcept { return "avx512vnni"; }
};

/// And with that of bfloat16, which no CPU has without the other.
struct avx512bf16 : avx512vnni {
#if defined(__AVX512BF16__)
    static constexpr bool supported() noexcept { return avx512vnni::supported(); }
#else
    static constexpr bool supported() noexcept { return false; }
#endif
    static constexpr const char* name() noexcept { return "avx512bf16"; }
};

}  // namespace deltanet::cpu

namespace xsimd::types {
#if XSIMD_WITH_AVX512BW
template <class T>
struct get_bool_simd_register<T, deltanet::cpu::avx512vnni> : get_bool_simd_register<T, avx512bw> {
};
template <class T>
struct get_bool_simd_register<T, deltanet::cpu::avx512bf16> : get_bool_simd_register<T, avx512bw> {
};
XSIMD_DECLARE_SIMD_REGISTER_ALIAS(deltanet::cpu::avx512vnni, avx512bw);
XSIMD_DECLARE_SIMD_REGISTER_ALIAS(deltanet::cpu::avx512bf16, avx512bw);
#endif
#if XSIMD_WITH_FMA3_AVX2
XSIMD_DECLARE_SIMD_REGISTER_ALIAS(deltanet::cpu::avxvnni, fma3<avx2>);
#endif
}  // namespace xsimd::types

namespace deltanet::cpu::compat {

/// Sum of the lanes: `hadd` until 8.x, `reduce_add` since 9.0.
template <class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE T reduce_add(const xsimd::batch<T, Arch>& x) noexcept {
#if XSIMD_VERSION_MAJOR >= 9
    return xsimd::reduce_add(x);
#else
    return xsimd::hadd(x);
#endif
}

/// a b + c. xsimd 8.1 has no fused form for AVX-512 and multiplies, then adds: half the speed, and
/// a rounding that depends on whether the compiler contracts the two.
template <class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> fma(
    const xsimd::batch<T, Arch>& a, const xsimd::batch<T, Arch>& b,
    const xsimd::batch<T, Arch>& c) noexcept {
#if XSIMD_WITH_AVX512F
    if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>) {
        if constexpr (std::is_same_v<T, float>) {
            return _mm512_fmadd_ps(a, b, c);
        } else {
            return _mm512_fmadd_pd(a, b, c);
        }
    } else
#endif
    {
        return xsimd::fma(a, b, c);
    }
}

/// Keeps the compiler from knowing how a pointer was computed, and so from computing with it.
template <class P>
DELTANET_FORCE_INLINE void hide(P& pointer) noexcept {
#if defined(__GNUC__) || defined(__clang__)
    asm("" : "+r"(pointer));
#else
    static_cast<void>(pointer);
#endif
}

/// Stops g++ from loading x again at each of its uses, as operand of a multiply-add: in a tile of 4
/// rows it would load 3 times for 2 multiply-adds where a core loads twice in that time (scan and
/// verification of 4 tokens on a Zen 3 core: 22.3 and 17.3 thousand cycles a head).
template <class Arch, class Vector>
DELTANET_FORCE_INLINE void keep_in_register(Vector& x) noexcept {
#if defined(__x86_64__)
    asm("" : "+v"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#else
    static_cast<void>(x);
#endif
}
template <class T, class Arch>
DELTANET_FORCE_INLINE void keep_in_register(xsimd::batch<T, Arch>& x) noexcept {
    typename xsimd::batch<T, Arch>::register_type r = x;
    keep_in_register<Arch>(r);
    x = r;
}

}  // namespace deltanet::cpu::compat
