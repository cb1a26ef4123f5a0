// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Words of many rows side by side: 16 bytes of each of as many rows as a vector has lanes, as four
/// vectors of one word a row. In the compiler's own vectors (see transpose.hpp).
#pragma once

#include <deltanet/cpu/convert.hpp>

#include <cstddef>
#include <cstring>
#include <utility>

namespace deltanet::cpu {

namespace detail {

template <index_t N, int... I>
[[nodiscard]] DELTANET_FORCE_INLINE Words<2 * N> side_by_side(
    const Words<N>& a, const Words<N>& b, std::integer_sequence<int, I...>) noexcept {
    return __builtin_shufflevector(a, b, I...);
}

/// 16 bytes each of rows j, j + 4, j + 8, ... As loads into a part of a vector, which need no unit
/// that shuffles: g++ 12 would load them apart and shuffle.
template <index_t N, class Row>
[[nodiscard]] DELTANET_FORCE_INLINE Words<N> every_fourth_row(const Row& row, index_t j) noexcept {
#if defined(__AVX2__)
    const auto part = [&](index_t i) noexcept {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row(j + 4 * i)));
    };
#endif
#if defined(__AVX512F__)
    if constexpr (N == 16) {
        __m512i words = _mm512_castsi128_si512(part(0));
        words = _mm512_mask_broadcast_i32x4(words, 0xF0, part(1));
        words = _mm512_mask_broadcast_i32x4(words, 0xF00, part(2));
        words = _mm512_mask_broadcast_i32x4(words, 0xF000, part(3));
        return bits_as<Words<16>>(words);
    }
#endif
#if defined(__AVX2__)
    if constexpr (N == 8) {
        return bits_as<Words<8>>(
            _mm256_inserti128_si256(_mm256_castsi128_si256(part(0)), part(1), 1));
    }
#endif
    if constexpr (N == 4) {
        Words<4> words;
        std::memcpy(&words, row(j), sizeof(words));
        return words;
    } else {
        return side_by_side<N / 2>(every_fourth_row<N / 2>(row, j),
                                   every_fourth_row<N / 2>(row, j + N / 2),
                                   std::make_integer_sequence<int, static_cast<int>(N)>{});
    }
}

/// Of each 16 bytes of a and b elements (Low, Low) of the two, then (High, High), zipped one by
/// one. V: vectors of words, or of pairs of them.
template <bool Upper, class V, int... I>
[[nodiscard]] DELTANET_FORCE_INLINE V zip(const V& a, const V& b,
                                          std::integer_sequence<int, I...>) noexcept {
    constexpr int n = sizeof...(I), of_16_bytes = 16 * n / static_cast<int>(sizeof(V));
    constexpr int first = Upper ? of_16_bytes / 2 : 0;
    return __builtin_shufflevector(
        a, b, (I / of_16_bytes * of_16_bytes + first + I % of_16_bytes / 2 + I % 2 * n)...);
}

}  // namespace detail

/// row(i) points at 16 bytes of row i; lane i of out[w] becomes word w of it.
template <index_t N, class Row>
DELTANET_FORCE_INLINE void load_word_columns(const Row& row, detail::Words<N> (&out)[4]) noexcept {
    constexpr auto all = std::make_integer_sequence<int, static_cast<int>(N)>{};
    constexpr auto half = std::make_integer_sequence<int, static_cast<int>(N / 2)>{};
    using V = detail::Words<N>;
    using Pairs = typename detail::Lanes<N / 2>::s64;
    const V r0 = detail::every_fourth_row<N>(row, 0), r1 = detail::every_fourth_row<N>(row, 1);
    const V r2 = detail::every_fourth_row<N>(row, 2), r3 = detail::every_fourth_row<N>(row, 3);
    const auto pairs = [&](const V& x) noexcept { return detail::bits_as<Pairs>(x); };
    const Pairs low01 = pairs(detail::zip<false>(r0, r1, all));
    const Pairs low23 = pairs(detail::zip<false>(r2, r3, all));
    const Pairs high01 = pairs(detail::zip<true>(r0, r1, all));
    const Pairs high23 = pairs(detail::zip<true>(r2, r3, all));
    out[0] = detail::bits_as<V>(detail::zip<false>(low01, low23, half));
    out[1] = detail::bits_as<V>(detail::zip<true>(low01, low23, half));
    out[2] = detail::bits_as<V>(detail::zip<false>(high01, high23, half));
    out[3] = detail::bits_as<V>(detail::zip<true>(high01, high23, half));
}

}  // namespace deltanet::cpu
