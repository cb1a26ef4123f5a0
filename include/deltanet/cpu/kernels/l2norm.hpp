// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// L2 norm of rows:  y = x / sqrt(sum x^2 + eps)   or   y = x / max(sqrt(sum x^2), eps).
#pragma once

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

/// x [n_rows, n] -> y [n_rows, n], which may be x. MaxForm: the second formula.
template <class Arch, class T, bool MaxForm>
void l2norm(const T* x, index_t x_stride, T* y, index_t y_stride, index_t n_rows, index_t n,
            T eps) noexcept {
    for (index_t row = 0; row < n_rows; ++row, x += x_stride, y += y_stride) {
        const auto factor =
            inverse_lengths<MaxForm>(xsimd::batch<T, Arch>(dot<Arch>(x, x, n)), eps);
        for_each_vector<Arch, T>(n, [=](index_t i, auto count) noexcept {
            store<Arch>(y + i, load<Arch>(x + i, count) * factor, count);
        });
    }
}

}  // namespace deltanet::cpu::kernels
