// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The scale under which a row of numbers becomes integers of a given size.
#pragma once

#include <deltanet/cpu/simd.hpp>

namespace deltanet::cpu::kernels {

struct RowScale {
    float scale;    ///< max |x| / largest; NaN if one x is not finite
    float inverse;  ///< largest / max |x|, to multiply with
};

/// Of x [n], for integers in [-largest, largest]. Numbers below 2^-100, whose reciprocal would
/// overflow, are zeros here: both are 0 if there are no others.
template <class Arch>
[[nodiscard]] DELTANET_FORCE_INLINE RowScale row_scale(const float* x, index_t n,
                                                       float largest) noexcept {
    using Batch = xsimd::batch<float, Arch>;
    constexpr index_t size = lanes<Arch, float>;
    Batch maximum(0.0F), poison(0.0F);
    const auto take = [&](const Batch& values) noexcept {
        maximum = xsimd::max(maximum, xsimd::abs(values));
        poison = compat::fma(values, Batch(0.0F), poison);  // NaN if one is not finite
    };
    index_t i = 0;
    for (; i + size <= n; i += size) take(load<Arch>(x + i));
    if (i < n) take(load<Arch>(x + i, n - i));
    alignas(64) float lane[static_cast<std::size_t>(size)];
    maximum.store_aligned(lane);
    float top = 0.0F;
    for (index_t j = 0; j < size; ++j) top = lane[j] > top ? lane[j] : top;
    const bool none = top < 0x1p-100F;
    return {(none ? 0.0F : top / largest) + compat::reduce_add(poison),
            none ? 0.0F : largest / top};
}

}  // namespace deltanet::cpu::kernels
