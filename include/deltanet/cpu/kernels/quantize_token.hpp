// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Rows of numbers as integers with one scale, for products of whole rows: a token's activations,
/// or the weights of an output.
#pragma once

#include <deltanet/cpu/kernels/row_scale.hpp>
#include <deltanet/cpu/quantized.hpp>

#include <cstdint>

namespace deltanet::cpu::kernels {

/// numbers[i] = offset + the nearest integer of x[i] / scale (ties to even), in [-largest,
/// largest], as bytes; x [n]. Returns the scale: max |x| / largest, 0 for a row of zeros, and NaN
/// (with any numbers) where one x is not finite.
template <class Arch>
[[nodiscard]] float quantize_token(const float* x, index_t n, int largest, unsigned offset,
                                   std::uint8_t* numbers) noexcept {
    using F32 = typename detail::Lanes<lanes<Arch, float>>::f32;
    constexpr index_t size = lanes<Arch, float>;
    const RowScale scale = row_scale<Arch>(x, n, static_cast<float>(largest));
    const auto integers = [&](const xsimd::batch<float, Arch>& values) noexcept {
        const xsimd::batch<float, Arch> y = values * xsimd::batch<float, Arch>(scale.inverse);
        return detail::integer_bits<size>(detail::bits_as<F32>(detail::bits_of<Arch>(y))) + offset;
    };
    index_t i = 0;
    for (; i + size <= n; i += size)
        detail::narrow_to_bytes<size>(integers(load<Arch>(x + i)), numbers + i);
    if (i < n) {
        std::uint8_t rest[static_cast<std::size_t>(size)];
        detail::narrow_to_bytes<size>(integers(load<Arch>(x + i, n - i)), rest);
        for (index_t j = i; j < n; ++j) numbers[j] = rest[j - i];
    }
    return scale.scale;
}

}  // namespace deltanet::cpu::kernels
