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

/// 16 bytes each of rows j, j + 4, j + 8, ...
template <index_t N, class Row>
[[nodiscard]] DELTANET_FORCE_INLINE Words<N> every_fourth_row(const Row& row, index_t j) noexcept {
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

/// Of each 16 bytes of a and b words (Low, Low) of the two, then (High, High), zipped one by one or
/// two by two.
template <index_t N, bool Upper, bool Pairs, int... I>
[[nodiscard]] DELTANET_FORCE_INLINE Words<N> zip(const Words<N>& a, const Words<N>& b,
                                                 std::integer_sequence<int, I...>) noexcept {
    constexpr int first = Upper ? 2 : 0;
    constexpr int n = static_cast<int>(N);
    return __builtin_shufflevector(
        a, b,
        (I / 4 * 4 + first + (Pairs ? I % 2 : I % 4 / 2) + (Pairs ? I % 4 / 2 : I % 2) * n)...);
}

}  // namespace detail

/// row(i) points at 16 bytes of row i; lane i of out[w] becomes word w of it.
template <index_t N, class Row>
DELTANET_FORCE_INLINE void load_word_columns(const Row& row, detail::Words<N> (&out)[4]) noexcept {
    constexpr auto all = std::make_integer_sequence<int, static_cast<int>(N)>{};
    using V = detail::Words<N>;
    const V r0 = detail::every_fourth_row<N>(row, 0), r1 = detail::every_fourth_row<N>(row, 1);
    const V r2 = detail::every_fourth_row<N>(row, 2), r3 = detail::every_fourth_row<N>(row, 3);
    const V low01 = detail::zip<N, false, false>(r0, r1, all);
    const V low23 = detail::zip<N, false, false>(r2, r3, all);
    const V high01 = detail::zip<N, true, false>(r0, r1, all);
    const V high23 = detail::zip<N, true, false>(r2, r3, all);
    out[0] = detail::zip<N, false, true>(low01, low23, all);
    out[1] = detail::zip<N, true, true>(low01, low23, all);
    out[2] = detail::zip<N, false, true>(high01, high23, all);
    out[3] = detail::zip<N, true, true>(high01, high23, all);
}

}  // namespace deltanet::cpu
