// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// RMSNorm of head rows, then the output gate:  y = x / sqrt(mean x^2 + eps) * w * act(z).
#pragma once

#include <deltanet/cpu/kernels/rmsnorm.hpp>
#include <deltanet/cpu/lane_sums.hpp>
#include <deltanet/cpu/tuning.hpp>

namespace deltanet::cpu::kernels {

/// Activations of the gate as fractions: z becomes what is divided by the divisor.
struct SiluGate {
    template <class Batch, std::size_t N>
    DELTANET_FORCE_INLINE static void fractions(Batch (&z)[N], Batch (&divisors)[N]) noexcept {
        silu_divisors(z, divisors);
    }
};
struct SigmoidGate {
    template <class Batch, std::size_t N>
    DELTANET_FORCE_INLINE static void fractions(Batch (&z)[N], Batch (&divisors)[N]) noexcept {
        for (std::size_t i = 0; i < N; ++i) divisors[i] = z[i];
        sigmoid_divisors<true>(divisors);
        for (Batch& batch : z) batch = Batch(1);
    }
};

/// N vectors of a row, or one of fewer elements:  y = x factor w act(z).
template <class Arch, class T, int N>
struct GatedVectors {
    using Batch = xsimd::batch<T, Arch>;

    Batch gate[static_cast<std::size_t>(N)];
    Batch divisors[static_cast<std::size_t>(N)];

    template <class Gate, class Count>
    DELTANET_FORCE_INLINE void begin(const T* z, Count count) noexcept {
        for (int v = 0; v < N; ++v) gate[v] = load<Arch>(z + v * lanes<Arch, T>, count);
        Gate::fractions(gate, divisors);
    }
    template <class Count>
    DELTANET_FORCE_INLINE void finish(const T* x, T factor, const T* w, T* y,
                                      Count count) const noexcept {
        for (int v = 0; v < N; ++v) {
            const index_t i = v * lanes<Arch, T>;
            const Batch normed =
                load<Arch>(x + i, count) * Batch(factor) * load<Arch>(w + i, count);
            store<Arch>(y + i, normed * (gate[v] / divisors[v]), count);
        }
    }
};

/// y = x factor w act(z) for a row of n. Divisions come some vectors after their divisors: they
/// need not wait for these at the place of other instructions.
template <class Arch, class Gate, class T, class Length, class Fetch>
DELTANET_FORCE_INLINE void gated_rmsnorm_row(const T* x, const T* z, const T* w, T* y, T factor,
                                             Length n, Fetch&& fetch) noexcept {
    constexpr int together = tuning::activation_batches;
    constexpr std::integral_constant<index_t, lanes<Arch, T>> whole;
    constexpr index_t step = together * lanes<Arch, T>;
    index_t i = 0;
    if (n >= step) {
        fetch(i);
        GatedVectors<Arch, T, together> last;
        last.template begin<Gate>(z, whole);
        for (i = step; i + step <= n; i += step) {
            fetch(i);
            GatedVectors<Arch, T, together> next;
            next.template begin<Gate>(z + i, whole);
            last.finish(x + i - step, factor, w + i - step, y + i - step, whole);
            last = next;
        }
        last.finish(x + i - step, factor, w + i - step, y + i - step, whole);
    }
    for_each_vector<Arch, T>(n - i, [&](index_t j, auto count) noexcept {
        GatedVectors<Arch, T, 1> one;
        one.template begin<Gate>(z + i + j, count);
        one.finish(x + i + j, factor, w + i + j, y + i + j, count);
    });
}

/// The rows of `gated_rmsnorm`, of a length that the compiler knows or of any.
template <class Arch, class T, class Gate, class Length>
DELTANET_FORCE_INLINE void gated_rmsnorm_rows(const T* x, index_t x_stride, const T* z,
                                              index_t z_stride, const T* w, T* y, index_t y_stride,
                                              index_t n_rows, Length n, T eps) noexcept {
    constexpr index_t size = lanes<Arch, T>;
    alignas(64) T factors[static_cast<std::size_t>(size)];
    for (index_t row = 0; row < n_rows; ++row) {
        const T* const x_row = x + row * x_stride;
        const T* const z_row = z + row * z_stride;
        if (row % size == 0) {
            const auto at = [=](index_t r) noexcept { return x_row + r * x_stride; };
            const auto sums = sums_of_squares<Arch>(at, n_rows - row, n);
            inverse_rms(sums, index_t{n}, eps).store_aligned(factors);
        }
        const auto fetch = [=](index_t i) noexcept {
            for (index_t v = 0; v < tuning::activation_batches; ++v) {
                __builtin_prefetch(x_row + size * x_stride + i + v * size, 0, 3);
                __builtin_prefetch(z_row + tuning::norm_rows_ahead * z_stride + i + v * size, 0, 3);
            }
        };
        gated_rmsnorm_row<Arch, Gate>(x_row, z_row, w, y + row * y_stride, factors[row % size], n,
                                      fetch);
    }
}

/// x, z [n_rows, n] -> y [n_rows, n];  w [n]. Rows ahead are fetched meanwhile: what lies beyond
/// the second-level cache would be waited for.
template <class Arch, class T, class Gate>
DELTANET_KERNEL void gated_rmsnorm(const T* x, index_t x_stride, const T* z, index_t z_stride,
                                   const T* w, T* y, index_t y_stride, index_t n_rows, index_t n,
                                   T eps) noexcept {
    with_head_size(n, [&](auto length) noexcept {
        gated_rmsnorm_rows<Arch, T, Gate>(x, x_stride, z, z_stride, w, y, y_stride, n_rows, length,
                                          eps);
    });
}

}  // namespace deltanet::cpu::kernels
