// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// RMSNorm of head rows, then the output gate:  y = x / sqrt(mean x^2 + eps) * w * act(z).
#pragma once

#include <deltanet/cpu/kernels/rmsnorm.hpp>

namespace deltanet::cpu::kernels {

/// Activations of the gate.
struct SiluGate {
    template <class Batch>
    DELTANET_FORCE_INLINE static Batch apply(const Batch& y, const Batch& z) noexcept {
        return y * silu(z);
    }
};
struct SigmoidGate {
    template <class Batch>
    DELTANET_FORCE_INLINE static Batch apply(const Batch& y, const Batch& z) noexcept {
        return y * sigmoid(z);
    }
};

/// x, z [n_rows, n] -> y [n_rows, n];  w [n].
template <class Arch, class T, class Gate>
DELTANET_KERNEL void gated_rmsnorm(const T* x, index_t x_stride, const T* z, index_t z_stride, const T* w, T* y,
                   index_t y_stride, index_t n_rows, index_t n, T eps) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    for (index_t row = 0; row < n_rows; ++row, x += x_stride, z += z_stride, y += y_stride) {
        const Batch factor = inverse_rms<Arch>(x, n, eps);
        for_each_vector<Arch, T>(n, [=](index_t i, auto count) noexcept {
            const Batch normed = load<Arch>(x + i, count) * factor * load<Arch>(w + i, count);
            store<Arch>(y + i, Gate::apply(normed, load<Arch>(z + i, count)), count);
        });
    }
}

}  // namespace deltanet::cpu::kernels
