// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Transposes a small matrix, 16 bytes by 16 bytes. In the compiler's own vectors and not in
/// xsimd's: the order of `zip_lo` and `zip_hi` inside a batch differs between versions of xsimd,
/// and a 128-bit batch inside a kernel of a wider arch would leave functions of one arch compiled
/// with the flags of another.
#pragma once

#include <deltanet/config.hpp>

namespace deltanet::cpu {

namespace detail {

/// 16 bytes of T.
template <class T>
struct Vector16 {
    static constexpr index_t size = 16 / static_cast<index_t>(sizeof(T));
    typedef T type __attribute__((vector_size(16), aligned(alignof(T)), may_alias));
    [[nodiscard]] DELTANET_FORCE_INLINE static type load(const T* p) noexcept {
        return *reinterpret_cast<const type*>(p);
    }
    DELTANET_FORCE_INLINE static void store(T* p, type x) noexcept {
        *reinterpret_cast<type*>(p) = x;
    }
};

DELTANET_FORCE_INLINE void transpose_tile(const float* from, index_t from_stride, float* to,
                                          index_t to_stride) noexcept {
    using V = Vector16<float>;
    const V::type r0 = V::load(from), r1 = V::load(from + from_stride);
    const V::type r2 = V::load(from + 2 * from_stride), r3 = V::load(from + 3 * from_stride);
    const V::type lo01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    const V::type hi01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    const V::type lo23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    const V::type hi23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    V::store(to, __builtin_shufflevector(lo01, lo23, 0, 1, 4, 5));
    V::store(to + to_stride, __builtin_shufflevector(lo01, lo23, 2, 3, 6, 7));
    V::store(to + 2 * to_stride, __builtin_shufflevector(hi01, hi23, 0, 1, 4, 5));
    V::store(to + 3 * to_stride, __builtin_shufflevector(hi01, hi23, 2, 3, 6, 7));
}

DELTANET_FORCE_INLINE void transpose_tile(const double* from, index_t from_stride, double* to,
                                          index_t to_stride) noexcept {
    using V = Vector16<double>;
    const V::type r0 = V::load(from), r1 = V::load(from + from_stride);
    V::store(to, __builtin_shufflevector(r0, r1, 0, 2));
    V::store(to + to_stride, __builtin_shufflevector(r0, r1, 1, 3));
}

}  // namespace detail

/// to[c, r] = from[r, c] for r in [0, n_rows) and c in [0, n_cols). Strides in elements.
template <class T>
DELTANET_FORCE_INLINE void transpose(const T* from, index_t from_stride, T* to, index_t to_stride,
                                     index_t n_rows, index_t n_cols) noexcept {
    constexpr index_t size = detail::Vector16<T>::size;
    const index_t whole_rows = n_rows / size * size;
    const index_t whole_cols = n_cols / size * size;
    for (index_t r = 0; r < whole_rows; r += size) {
        for (index_t c = 0; c < whole_cols; c += size) {
            detail::transpose_tile(from + r * from_stride + c, from_stride, to + c * to_stride + r,
                                   to_stride);
        }
    }
    const auto rest = [=](index_t first_row, index_t last_row, index_t first_col) noexcept {
        for (index_t c = first_col; c < n_cols; ++c) {
            for (index_t r = first_row; r < last_row; ++r)
                to[c * to_stride + r] = from[r * from_stride + c];
        }
    };
    rest(0, whole_rows, whole_cols);
    rest(whole_rows, n_rows, 0);
}

}  // namespace deltanet::cpu
