// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// RMSNorm of rows:  y = x / sqrt(mean x^2 + eps) * (w + offset).
#pragma once

#include <deltanet/cpu/simd.hpp>

namespace deltanet::cpu::kernels {

/// 1 / sqrt(sum / n + eps), lane by lane.
template <class T, class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> inverse_rms(
    const xsimd::batch<T, Arch>& sum, index_t n, T eps) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    return Batch(T(1)) / xsimd::sqrt(sum / Batch(static_cast<T>(n)) + Batch(eps));
}

/// x [n_rows, n] -> y [n_rows, n], which may be x;  w [n].
template <class Arch, class T>
void rmsnorm(const T* x, index_t x_stride, const T* w, T offset, T* y, index_t y_stride,
             index_t n_rows, index_t n, T eps) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    for (index_t row = 0; row < n_rows; ++row, x += x_stride, y += y_stride) {
        const Batch factor = inverse_rms(Batch(dot<Arch>(x, x, n)), n, eps);
        for_each_vector<Arch, T>(n, [=](index_t i, auto count) noexcept {
            const Batch weight = load<Arch>(w + i, count) + Batch(offset);
            store<Arch>(y + i, load<Arch>(x + i, count) * factor * weight, count);
        });
    }
}

}  // namespace deltanet::cpu::kernels
