// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// L2 norm of rows:  y = x / sqrt(sum x^2 + eps)   or   y = x / max(sqrt(sum x^2), eps).
#pragma once

#include <deltanet/cpu/lane_sums.hpp>
#include <deltanet/cpu/simd.hpp>

namespace deltanet::cpu::kernels {

/// 1 / sqrt(sum + eps), or with MaxForm 1 / max(sqrt(sum), eps), lane by lane.
template <bool MaxForm, class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> inverse_lengths(
    const xsimd::batch<T, Arch>& sum, T eps) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    Batch length;
    if constexpr (MaxForm) {
        const Batch bound(eps);
        length = xsimd::sqrt(sum);
        length = xsimd::select(length < bound, bound, length);  // a NaN stays, unlike with max()
    } else {
        length = xsimd::sqrt(sum + Batch(eps));
    }
    return Batch(T(1)) / length;
}

/// x [n_rows, n] -> y [n_rows, n], which may be x. MaxForm: the second formula. The factors of as
/// many rows at once as a vector has lanes, and in the order of sums of the convolution's own norm,
/// which gives the same bits.
template <class Arch, class T, bool MaxForm>
DELTANET_KERNEL void l2norm(const T* x, index_t x_stride, T* y, index_t y_stride, index_t n_rows,
                            index_t n, T eps) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr index_t size = lanes<Arch, T>;
    for (index_t first = 0; first < n_rows; first += size) {
        const index_t rows = least(size, n_rows - first);
        const auto row = [=](index_t r) noexcept { return x + (first + r) * x_stride; };
        alignas(64) T factors[Batch::size];
        inverse_lengths<MaxForm>(sums_of_squares<Arch>(row, rows, n), eps).store_aligned(factors);
        for (index_t r = 0; r < rows; ++r) {
            const T* const from = row(r);
            T* const to = y + (first + r) * y_stride;
            const Batch factor(factors[r]);
            for_each_vector<Arch, T>(n, [=](index_t i, auto count) noexcept {
                store<Arch>(to + i, load<Arch>(from + i, count) * factor, count);
            });
        }
    }
}

}  // namespace deltanet::cpu::kernels
