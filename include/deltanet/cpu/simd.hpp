// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Loads and stores that take a count of elements, and the scalar functions of the layer on
/// batches. A loop over n elements asks for min(n - i, lanes) of them in every step: whether an
/// element lies in a full vector or in the tail, its arithmetic is the same instructions.
#pragma once

#include <deltanet/cpu/exp.hpp>

#include <type_traits>
#include <utility>

namespace deltanet::cpu {

/// Elements of a batch, signed.
template <class Arch, class T>
inline constexpr index_t lanes = static_cast<index_t>(xsimd::batch<T, Arch>::size);

/// The first `count` elements from p, zeros behind them; nothing behind them is read. A count above
/// the number of lanes means all of them, one below zero none.
template <class Arch, class T>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> load(const T* p, index_t count) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    if (count >= lanes<Arch, T>) return Batch::load_unaligned(p);
    alignas(64) T buffer[Batch::size] = {};
    if (count > 0) {
        for (index_t i = 0; i < count; ++i) buffer[i] = p[i];
    }
    return Batch::load_aligned(buffer);
}

template <class Arch, class T>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> load(const T* p) noexcept {
    return xsimd::batch<T, Arch>::load_unaligned(p);
}

/// Writes the first `count` lanes and nothing behind them.
template <class Arch, class T>
DELTANET_FORCE_INLINE void store(T* p, const xsimd::batch<T, Arch>& x, index_t count) noexcept {
    if (count >= lanes<Arch, T>) {
        x.store_unaligned(p);
        return;
    }
    if (count <= 0) return;
    alignas(64) T buffer[xsimd::batch<T, Arch>::size];
    x.store_aligned(buffer);
    for (index_t i = 0; i < count; ++i) p[i] = buffer[i];
}

/// f(i, count) for vectors of elements that cover [0, n): whole ones with the number of lanes as a
/// constant, so that `load` and `store` fold to one instruction and the loop keeps its registers,
/// then the tail.
template <class Arch, class T, class F>
DELTANET_FORCE_INLINE void for_each_vector(index_t n, F&& f) noexcept {
    index_t i = 0;
    for (; i + lanes<Arch, T> <= n; i += lanes<Arch, T>)
        f(i, std::integral_constant<index_t, lanes<Arch, T>>{});
    if (i < n) f(i, n - i);
}

/// The same with N vectors a turn, as long as there are so many: short loops end before the core
/// has learnt when (a wrong guess costs 20 cycles, as much as the vectors of a whole head).
template <int N, class Arch, class T, class F>
DELTANET_FORCE_INLINE void for_each_vectors(index_t n, F&& f) noexcept {
    constexpr std::integral_constant<index_t, lanes<Arch, T>> whole;
    index_t i = 0;
    for (; i + N * whole <= n; i += N * whole) {
        [&]<int... V>(std::integer_sequence<int, V...>) noexcept { (f(i + V * whole, whole), ...); }
        (std::make_integer_sequence<int, N>{});
    }
    for_each_vector<Arch, T>(n - i, [&](index_t j, auto count) noexcept { f(i + j, count); });
}

/// f(n), for common sizes of heads with a constant: loops of known length need no branches that the
/// core would guess.
template <class F>
DELTANET_FORCE_INLINE void with_head_size(index_t n, F&& f) noexcept {
    if (n == 128) return f(std::integral_constant<index_t, 128>{});
    f(n);
}

/// As std::min and std::max, which kernels do not use: what the compiler does not inline of the
/// standard library is code of one instruction set under a name that every other shares.
[[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t least(index_t a, index_t b) noexcept {
    return b < a ? b : a;
}
[[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t most(index_t a, index_t b) noexcept {
    return a < b ? b : a;
}

/// n rounded up to whole vectors.
template <class Arch, class T>
[[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t whole_vectors(index_t n) noexcept {
    return (n + lanes<Arch, T> - 1) / lanes<Arch, T> * lanes<Arch, T>;
}

/// Lane 0, without a detour through memory.
template <class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE T first_lane(const xsimd::batch<T, Arch>& x) noexcept {
    typedef T Lanes __attribute__((
        vector_size(sizeof(typename xsimd::batch<T, Arch>::register_type)), may_alias));
    const typename xsimd::batch<T, Arch>::register_type reg = x;
    return reinterpret_cast<const Lanes&>(reg)[0];
}

/// n elements, or zeros.
template <class Arch, class T>
DELTANET_FORCE_INLINE void copy(const T* from, T* to, index_t n) noexcept {
    for_each_vector<Arch, T>(n, [=](index_t i, auto count) noexcept {
        store<Arch>(to + i, load<Arch>(from + i, count), count);
    });
}
template <class Arch, class T>
DELTANET_FORCE_INLINE void fill_zero(T* to, index_t n) noexcept {
    for_each_vector<Arch, T>(n, [=](index_t i, auto count) noexcept {
        store<Arch>(to + i, xsimd::batch<T, Arch>(T(0)), count);
    });
}

/// sum x[i] y[i], lane by lane.
template <class Arch, class T>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> lane_dot(const T* x, const T* y,
                                                                   index_t n) noexcept {
    xsimd::batch<T, Arch> sum(T(0));
    for_each_vectors<8, Arch, T>(n, [&](index_t i, auto count) noexcept {
        sum = compat::fma(load<Arch>(x + i, count), load<Arch>(y + i, count), sum);
    });
    return sum;
}
/// And then across the lanes.
template <class Arch, class T>
[[nodiscard]] DELTANET_FORCE_INLINE T dot(const T* x, const T* y, index_t n) noexcept {
    return compat::reduce_add(lane_dot<Arch>(x, y, n));
}

/// x = 1 + exp(-x) for each of some batches, what the next two divide by. KeepNan: see exp_each.
template <bool KeepNan, class T, class Arch, std::size_t N>
DELTANET_FORCE_INLINE void sigmoid_divisors(xsimd::batch<T, Arch> (&x)[N]) noexcept {
    exp_each<true, KeepNan>(x);
    for (xsimd::batch<T, Arch>& batch : x) batch = xsimd::batch<T, Arch>(T(1)) + batch;
}

/// 1 / (1 + exp(-x)).
template <class T, class Arch, std::size_t N>
DELTANET_FORCE_INLINE void sigmoid_each(xsimd::batch<T, Arch> (&x)[N]) noexcept {
    sigmoid_divisors<true>(x);
    for (xsimd::batch<T, Arch>& batch : x) batch = xsimd::batch<T, Arch>(T(1)) / batch;
}
template <class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> sigmoid(
    const xsimd::batch<T, Arch>& x) noexcept {
    xsimd::batch<T, Arch> one[] = {x};
    sigmoid_each(one);
    return one[0];
}

/// What x is divided by for x sigmoid(x). Of a NaN any number: their quotient is a NaN.
template <class T, class Arch, std::size_t N>
DELTANET_FORCE_INLINE void silu_divisors(const xsimd::batch<T, Arch> (&x)[N],
                                         xsimd::batch<T, Arch> (&divisors)[N]) noexcept {
    for (std::size_t i = 0; i < N; ++i) divisors[i] = x[i];
    sigmoid_divisors<false>(divisors);
}

/// x sigmoid(x).
template <class T, class Arch, std::size_t N>
DELTANET_FORCE_INLINE void silu_each(xsimd::batch<T, Arch> (&x)[N]) noexcept {
    xsimd::batch<T, Arch> divisors[N];
    silu_divisors(x, divisors);
    for (std::size_t i = 0; i < N; ++i) x[i] = x[i] / divisors[i];
}
template <class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> silu(
    const xsimd::batch<T, Arch>& x) noexcept {
    xsimd::batch<T, Arch> one[] = {x};
    silu_each(one);
    return one[0];
}

/// log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|)): the exponent is never positive, and for very
/// negative x the result is exp(x) and not 0.
template <class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> softplus(
    const xsimd::batch<T, Arch>& x) noexcept {
    const xsimd::batch<T, Arch> zero(T(0));
    return xsimd::max(x, zero) + xsimd::log1p(cpu::exp(-xsimd::abs(x)));
}

}  // namespace deltanet::cpu
