// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// L2 norm of rows:  y = x / sqrt(sum x^2 + eps)   or   y = x / max(sqrt(sum x^2), eps).
#pragma once

#include <deltanet/cpu/simd.hpp>

namespace deltanet::cpu::kernels {

/// x [n_rows, n] -> y [n_rows, n], which may be x. MaxForm: the second formula.
template <class Arch, class T, bool MaxForm>
void l2norm(const T* x, index_t x_stride, T* y, index_t y_stride, index_t n_rows, index_t n,
            T eps) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    for (index_t row = 0; row < n_rows; ++row, x += x_stride, y += y_stride) {
        const Batch sum(dot<Arch>(x, x, n));
        Batch length;
        if constexpr (MaxForm) {
            const Batch bound(eps);
            length = xsimd::sqrt(sum);
            length =
                xsimd::select(length < bound, bound, length);  // a NaN stays, unlike with max()
        } else {
            length = xsimd::sqrt(sum + Batch(eps));
        }
        const Batch factor = Batch(T(1)) / length;
        for (index_t i = 0; i < n; i += lanes<Arch, T>) {
            store<Arch>(y + i, load<Arch>(x + i, n - i) * factor, n - i);
        }
    }
}

}  // namespace deltanet::cpu::kernels
