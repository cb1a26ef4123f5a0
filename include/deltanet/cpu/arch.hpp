// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Instruction sets as types: which ones the library is tuned and tested for, which one the
/// compiler's flags allow, and what they are called. An arch is one of xsimd's tags; kernels are
/// templates on it.
#pragma once

#include <deltanet/cpu/xsimd_compat.hpp>

#include <type_traits>

namespace deltanet::cpu {

namespace detail {

/// The first arch of the list that the flags of this translation unit allow, or `Fallback`.
template <class Fallback, class... Archs>
struct FirstSupported {
    using type = Fallback;
};
template <class Fallback, class Arch, class... Archs>
struct FirstSupported<Fallback, Arch, Archs...> {
    using type = typename std::conditional_t<Arch::supported(), std::type_identity<Arch>,
                                             FirstSupported<Fallback, Archs...>>::type;
};

}  // namespace detail

/// The x86 archs that the test suite runs, best first; their flags are in
/// cmake/DeltanetArchs.cmake. On other machines `default_arch` is xsimd's choice (neon64 on 64-bit
/// Arm).
using x86_archs =
    xsimd::arch_list<avx512bf16, xsimd::avx512bw, xsimd::fma3<xsimd::avx2>, xsimd::sse2>;

/// What the compiler's flags allow. Asked of the tags and not of `xsimd::default_arch` alone: newer
/// versions have tags above these that change nothing for us but would make other symbols.
using default_arch =
    typename detail::FirstSupported<xsimd::default_arch, avx512bf16, avx512vnni, xsimd::avx512bw,
                                    avxvnni, xsimd::fma3<xsimd::avx2>>::type;

/// A name that is the same in every version of xsimd.
template <class Arch>
[[nodiscard]] constexpr const char* arch_name() noexcept {
    if constexpr (std::is_same_v<Arch, xsimd::avx512bw>) {
        return "avx512";
    } else if constexpr (std::is_same_v<Arch, xsimd::fma3<xsimd::avx2>>) {
        return "avx2";
    } else {
        return Arch::name();
    }
}

/// Vector registers that a kernel can count on.
template <class Arch>
inline constexpr int n_registers =
    std::is_base_of_v<xsimd::avx512f, Arch> || std::is_base_of_v<xsimd::neon64, Arch> ? 32 : 16;

}  // namespace deltanet::cpu
