// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The sums across the lanes of as many batches as a batch has lanes, in one batch: 3 instructions
/// a batch, where one sum alone takes about 10. In the compiler's own vectors: what xsimd has for
/// it leaves functions of other instruction sets behind.
#pragma once

#include <deltanet/cpu/convert.hpp>
#include <deltanet/cpu/simd.hpp>

#include <bit>
#include <type_traits>
#include <utility>

namespace deltanet::cpu {

namespace detail {

template <class T, index_t N>
class LaneFold {
  public:
    typedef T Vector __attribute__((vector_size(sizeof(T) * N)));

    /// a and b each hold partial sums of S batches, lane p those of batch p % S. Returns those of
    /// 2 S batches: half as many of each. Up to 16 bytes no lane crosses such a boundary, which is
    /// the cheaper shuffle.
    template <index_t S>
    [[nodiscard]] DELTANET_FORCE_INLINE static Vector fold(Vector a, Vector b) noexcept {
        return shuffled<S, 0>(a, b, Indices{}) + shuffled<S, row<S> / 2>(a, b, Indices{});
    }

  private:
    using Indices = std::make_integer_sequence<int, static_cast<int>(N)>;
    static constexpr index_t kShort = 16 / static_cast<index_t>(sizeof(T));
    template <index_t S>
    static constexpr index_t row = S < kShort ? kShort : N;

    /// Which of the 2 N lanes of a and b stands in lane p.
    template <index_t S>
    [[nodiscard]] static constexpr int lane(int p) noexcept {
        const auto r = static_cast<int>(row<S>), s = static_cast<int>(S), n = static_cast<int>(N);
        const int of_row = p % r, of_pair = of_row % (2 * s);
        return of_pair / s * n + p / r * r + of_row / (2 * s) * s + of_pair % s;
    }
    template <index_t S, index_t Offset, int... P>
    [[nodiscard]] DELTANET_FORCE_INLINE static Vector shuffled(
        Vector a, Vector b, std::integer_sequence<int, P...>) noexcept {
        return __builtin_shufflevector(a, b, (lane<S>(P) + static_cast<int>(Offset))...);
    }
};

/// Of vectors [First, First + S) of `batches`.
template <class T, index_t N, index_t S, index_t First, class Batch>
[[nodiscard]] DELTANET_FORCE_INLINE typename LaneFold<T, N>::Vector lane_sums_of(
    const Batch* batches) noexcept {
    if constexpr (S == 1) {
        const typename Batch::register_type reg = batches[First];
        return bits_as<typename LaneFold<T, N>::Vector>(reg);
    } else {
        return LaneFold<T, N>::template fold<S / 2>(
            lane_sums_of<T, N, S / 2, First>(batches),
            lane_sums_of<T, N, S / 2, First + S / 2>(batches));
    }
}

/// The sums of S batches, in every run of S lanes once more: added up in the order in which those
/// of N batches are.
template <class T, index_t N, index_t S>
[[nodiscard]] DELTANET_FORCE_INLINE typename LaneFold<T, N>::Vector repeated(
    typename LaneFold<T, N>::Vector sums) noexcept {
    if constexpr (S < N)
        return repeated<T, N, 2 * S>(LaneFold<T, N>::template fold<S>(sums, sums));
    else
        return sums;
}

}  // namespace detail

/// sums[i]: the sum of the lanes of batches[i], i < Count, each in the same order. Writes up to a
/// batch behind sums[Count - 1].
template <class Arch, index_t Count, class T>
DELTANET_FORCE_INLINE void store_lane_sums(const xsimd::batch<T, Arch>* batches, T* sums) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr index_t n = lanes<Arch, T>;
    constexpr index_t most = Count < n ? Count : n;
    constexpr index_t s = static_cast<index_t>(std::bit_floor(static_cast<std::size_t>(most)));
    const auto of_s = detail::repeated<T, n, s>(detail::lane_sums_of<T, n, s, 0>(batches));
    Batch(detail::bits_as<typename Batch::register_type>(of_s)).store_unaligned(sums);
    if constexpr (Count > s) store_lane_sums<Arch, Count - s>(batches + s, sums + s);
}

/// Lane i: the sum of the lanes of batches[i], whatever the others hold.
template <class Arch, class T>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> lane_sums(
    const xsimd::batch<T, Arch>* batches) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr index_t n = lanes<Arch, T>;
    return Batch(
        detail::bits_as<typename Batch::register_type>(detail::lane_sums_of<T, n, n, 0>(batches)));
}

/// Lane i: the sum of the n squares behind row(i), a pointer, for the first n_rows lanes; 0 in
/// others.
template <class Arch, class Row, class Length>
[[nodiscard]] DELTANET_FORCE_INLINE auto sums_of_squares(Row&& row, index_t n_rows,
                                                         Length n) noexcept {
    using T = std::remove_cvref_t<decltype(*row(index_t{0}))>;
    using Batch = xsimd::batch<T, Arch>;
    Batch sums[Batch::size];
    for (index_t i = 0; i < lanes<Arch, T>; ++i)
        sums[i] = i < n_rows ? lane_dot<Arch, T>(row(i), row(i), n) : Batch(T(0));
    return lane_sums<Arch>(sums);
}

}  // namespace deltanet::cpu
