// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// RMSNorm of head rows, then the output gate:  y = x / sqrt(mean x^2 + eps) * w * act(z).
#pragma once

#include <deltanet/cpu/kernels/rmsnorm.hpp>
#include <deltanet/cpu/lane_sums.hpp>
#include <deltanet/cpu/tuning.hpp>

namespace deltanet::cpu::kernels {

/// Activations of the gate, each for some batches at once.
struct SiluGate {
    template <class Batch, std::size_t N>
    DELTANET_FORCE_INLINE static void apply(Batch (&z)[N]) noexcept {
        silu_each(z);
    }
};
struct SigmoidGate {
    template <class Batch, std::size_t N>
    DELTANET_FORCE_INLINE static void apply(Batch (&z)[N]) noexcept {
        sigmoid_each(z);
    }
};

/// y = x factor w act(z) for one vector of `count` elements, or for N whole ones behind each other.
template <class Arch, class Gate, int N, class T, class Count>
DELTANET_FORCE_INLINE void gated_rmsnorm_vectors(const T* x, const T* z, const T* w, T* y, T factor,
                                                 Count count) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    Batch gate[static_cast<std::size_t>(N)];
    for (int v = 0; v < N; ++v) gate[v] = load<Arch>(z + v * lanes<Arch, T>, count);
    Gate::apply(gate);
    for (int v = 0; v < N; ++v) {
        const index_t i = v * lanes<Arch, T>;
        const Batch normed = load<Arch>(x + i, count) * Batch(factor) * load<Arch>(w + i, count);
        store<Arch>(y + i, normed * gate[v], count);
    }
}

/// 1 / rms of as many rows as a vector has lanes: one sum across lanes, one square root and one
/// division for all of them. Of rows that are not there, anything.
template <class Arch, class T>
DELTANET_FORCE_INLINE void inverse_rms_of_rows(const T* x, index_t x_stride, index_t n_rows,
                                               index_t n, T eps, T* factors) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    Batch sums[Batch::size];
    for (index_t r = 0; r < lanes<Arch, T>; ++r, x += x_stride)
        sums[r] = r < n_rows ? lane_dot<Arch>(x, x, n) : Batch(T(0));
    inverse_rms(lane_sums<Arch>(sums), n, eps).store_aligned(factors);
}

/// x, z [n_rows, n] -> y [n_rows, n];  w [n]. Rows ahead are fetched meanwhile: what lies beyond
/// the second-level cache would be waited for.
template <class Arch, class T, class Gate>
DELTANET_KERNEL void gated_rmsnorm(const T* x, index_t x_stride, const T* z, index_t z_stride,
                                   const T* w, T* y, index_t y_stride, index_t n_rows, index_t n,
                                   T eps) noexcept {
    constexpr int together = tuning::activation_batches;
    constexpr index_t size = lanes<Arch, T>;
    alignas(64) T factors[static_cast<std::size_t>(size)];
    for (index_t row = 0; row < n_rows; ++row) {
        if (row % size == 0) {
            inverse_rms_of_rows<Arch>(x + row * x_stride, x_stride, n_rows - row, n, eps, factors);
        }
        const T factor = factors[row % size];
        const T* const x_row = x + row * x_stride;
        const T* const z_row = z + row * z_stride;
        T* const y_row = y + row * y_stride;
        index_t i = 0;
        for (; i + together * size <= n; i += together * size) {
            for (index_t v = 0; v < together; ++v) {
                __builtin_prefetch(x_row + size * x_stride + i + v * size, 0, 3);
                __builtin_prefetch(z_row + tuning::norm_rows_ahead * z_stride + i + v * size, 0, 3);
            }
            gated_rmsnorm_vectors<Arch, Gate, together>(x_row + i, z_row + i, w + i, y_row + i,
                                                        factor,
                                                        std::integral_constant<index_t, size>{});
        }
        for_each_vector<Arch, T>(n - i, [=](index_t j, auto count) noexcept {
            gated_rmsnorm_vectors<Arch, Gate, 1>(x_row + i + j, z_row + i + j, w + i + j,
                                                 y_row + i + j, factor, count);
        });
    }
}

}  // namespace deltanet::cpu::kernels
