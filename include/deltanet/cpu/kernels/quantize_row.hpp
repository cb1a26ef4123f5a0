// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Quantises activations for products with blocks of weights: 32 numbers share the scale
/// max |x| / 127, and each becomes the nearest integer of x / scale (ties to even).
#pragma once

#include <deltanet/cpu/integer_products.hpp>
#include <deltanet/cpu/kernels/block_decode.hpp>
#include <deltanet/cpu/kernels/row_scale.hpp>
#include <deltanet/cpu/quantized.hpp>
#include <deltanet/linear/quantized_rows.hpp>

#include <cstdint>

namespace deltanet::cpu::kernels {

/// x [n], n a multiple of 32. A group with a number that is not finite gets NaN for a scale, so
/// that it reaches every output.
template <class Arch, WeightFormat F>
void quantize_row(const float* x, index_t n, typename IntegerProducts<Arch, F>::number* numbers,
                  QuantizedGroup* groups) noexcept {
    using Batch = xsimd::batch<float, Arch>;
    using Products = IntegerProducts<Arch, F>;
    using F32 = typename detail::Lanes<lanes<Arch, float>>::f32;
    using U32 = typename detail::Lanes<lanes<Arch, float>>::u32;
    constexpr index_t size = lanes<Arch, float>;
    constexpr index_t group = BlockTraits<F>::group;
    constexpr int offset = Products::is_unsigned ? BlockTraits<F>::offset : 0;
    for (index_t g = 0; g < n / group; ++g, x += group, numbers += group) {
        const RowScale scale = row_scale<Arch>(x, group, 127.0F);
        const Batch inverse(scale.inverse);
        Batch sum(0.0F);
        for (index_t i = 0; i < group; i += size) {
            const Batch y = load<Arch>(x + i) * inverse;
            const auto values = detail::bits_as<F32>(detail::bits_of<Arch>(y));
            const auto bits = detail::integer_bits<size>(values);
            if constexpr (sizeof(*numbers) == 2) {
                const auto halves = detail::without_upper_halves<size>(bits & 0xFFFFU);
                std::memcpy(numbers + i, &halves, sizeof(halves));
            } else {
                detail::narrow_to_bytes<size>(bits, numbers + i);
            }
            const F32 rounded = (values + detail::kRoundingAid) - detail::kRoundingAid;
            sum = sum + detail::batch_of<Arch>(detail::bits_as<U32>(rounded));
        }
        const float total = compat::reduce_add(sum);
        groups[g].scale = scale.scale;
        groups[g].sum = scale.scale * total;
        if constexpr (kHasHalves<Arch, F>) {
            for (index_t half = 0; half < 2; ++half) {
                std::int32_t of_half = 0;
                for (index_t i = 0; i < group / 2; ++i) of_half += numbers[half * group / 2 + i];
                groups[g].corrections[half] = -offset * of_half;
            }
        } else {  // of numbers that are not finite: any integer
            groups[g].corrections[0] =
                scale.scale == scale.scale ? -offset * static_cast<std::int32_t>(total) : 0;
        }
    }
}

}  // namespace deltanet::cpu::kernels
