// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a matrix product of the chunked delta rule multiplies. Operands are arrays of words; a step
/// of a product takes one word of each and adds `depth` products to a float32 sum:
///   PlainProducts          a word is a number of the arithmetic's type
///   Bf16Products<Arch>     a word is two bfloat16 numbers, neighbours along the contracted index,
///                          multiplied by the CPU's dot-product instruction
///   EmulatedBf16Products   the same words without the instruction, for any CPU: slower than plain
/// Pairs are kept in arrays of float, which nobody reads as numbers.
#pragma once

#include <deltanet/cpu/arch.hpp>
#include <deltanet/cpu/convert.hpp>

namespace deltanet::cpu {

struct PlainProducts {
    static constexpr index_t depth = 1;
    template <class Batch>
    [[nodiscard]] DELTANET_FORCE_INLINE static Batch add(const Batch& a, const Batch& b,
                                                         const Batch& sum) noexcept {
        return compat::fma(a, b, sum);
    }
};

struct EmulatedBf16Products {
    static constexpr index_t depth = 2;
    template <class Batch>
    [[nodiscard]] DELTANET_FORCE_INLINE static Batch add(const Batch& a, const Batch& b,
                                                         const Batch& sum) noexcept {
        return compat::fma(second(a), second(b), compat::fma(first(a), first(b), sum));
    }

  private:
    /// The number in the lower half of every word, and that in the upper half.
    template <class Arch>
    [[nodiscard]] DELTANET_FORCE_INLINE static xsimd::batch<float, Arch> first(
        const xsimd::batch<float, Arch>& words) noexcept {
        return detail::batch_of<Arch>(detail::bits_of(words) << 16);
    }
    template <class Arch>
    [[nodiscard]] DELTANET_FORCE_INLINE static xsimd::batch<float, Arch> second(
        const xsimd::batch<float, Arch>& words) noexcept {
        return detail::batch_of<Arch>(detail::bits_of(words) & 0xFFFF0000U);
    }
};

/// Whether the compiler's flags allow the dot-product instruction of an arch. The instructions
/// treat subnormal numbers as zeros.
template <class Arch>
inline constexpr bool has_bf16_products = false;

template <class Arch>
struct Bf16Products;

#if defined(__AVX512BF16__)
template <>
inline constexpr bool has_bf16_products<avx512bf16> = true;
template <>
struct Bf16Products<avx512bf16> {
    static constexpr index_t depth = 2;
    template <class Batch>
    [[nodiscard]] DELTANET_FORCE_INLINE static Batch add(const Batch& a, const Batch& b,
                                                         const Batch& sum) noexcept {
        const __m512 a_words = a, b_words = b, c = sum;
        return Batch(_mm512_dpbf16_ps(c, detail::bits_as<__m512bh>(a_words),
                                      detail::bits_as<__m512bh>(b_words)));
    }
};
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
template <>
inline constexpr bool has_bf16_products<xsimd::neon64> = true;
template <>
struct Bf16Products<xsimd::neon64> {
    static constexpr index_t depth = 2;
    template <class Batch>
    [[nodiscard]] DELTANET_FORCE_INLINE static Batch add(const Batch& a, const Batch& b,
                                                         const Batch& sum) noexcept {
        const float32x4_t a_words = a, b_words = b, c = sum;
        return Batch(
            vbfdotq_f32(c, vreinterpretq_bf16_f32(a_words), vreinterpretq_bf16_f32(b_words)));
    }
};
#endif

/// from [n_rows, n_cols] -> words [(n_rows + 1) / 2, n_cols] of rows 2 i and 2 i + 1, rounded to
/// nearest even. A zero goes with the last row of an odd number.
template <class Arch>
DELTANET_FORCE_INLINE void pack_rows(const float* from, index_t from_stride, float* to,
                                     index_t to_stride, index_t n_rows, index_t n_cols) noexcept {
    const auto rounded = [](const float* p, auto count) noexcept {
        return detail::rounded_to_bf16<lanes<Arch, float>>(detail::bits_of(load<Arch>(p, count)));
    };
    index_t row = 0;
    for (; row + 2 <= n_rows; row += 2, from += 2 * from_stride, to += to_stride) {
        for_each_vector<Arch, float>(n_cols, [=](index_t i, auto count) noexcept {
            const auto upper = rounded(from + from_stride + i, count) << 16;
            store<Arch>(to + i, detail::batch_of<Arch>(rounded(from + i, count) | upper), count);
        });
    }
    if (row < n_rows) {
        for_each_vector<Arch, float>(n_cols, [=](index_t i, auto count) noexcept {
            store<Arch>(to + i, detail::batch_of<Arch>(rounded(from + i, count)), count);
        });
    }
}

/// from [n] -> words of elements 2 i and 2 i + 1, with zeros behind the last up to `padded`
/// elements, an even number.
template <class Arch>
DELTANET_FORCE_INLINE void pack_neighbours(const float* from, float* to, index_t n,
                                           index_t padded) noexcept {
    auto* const pairs = reinterpret_cast<bf16*>(to);
    for_each_vector<Arch, float>(n, [=](index_t i, auto count) noexcept {
        store<Arch>(pairs + i, load<Arch>(from + i, count), count);
    });
    for (index_t i = n; i < padded; ++i) pairs[i] = bf16{};
}

}  // namespace deltanet::cpu
