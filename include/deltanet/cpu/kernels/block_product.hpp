// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The product of a panel of quantised weights and a few quantised tokens. Every output is summed
/// in one order, group after group, whatever the tokens beside it: bits do not depend on the batch.
///   y += sum over groups of (scale_w scale_x) * (sum of integer products) - min_w * sum_x
#pragma once

#include <deltanet/cpu/kernels/block_panel.hpp>
#include <deltanet/linear/quantized_rows.hpp>

namespace deltanet::cpu::kernels {

/// The next term of a sum of outputs, in a lane each: that of one group and one token.
template <class Arch, WeightFormat F>
[[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<float, Arch> add_group(
    const detail::Words<lanes<Arch, float>>& dots, const float* scales, const float* mins,
    float scale_x, float sum_x, const xsimd::batch<float, Arch>& y) noexcept {
    using Batch = xsimd::batch<float, Arch>;
    using Lanes = detail::Lanes<lanes<Arch, float>>;
    const Batch dot = detail::batch_of<Arch>(
        detail::bits_as<typename Lanes::u32>(__builtin_convertvector(dots, typename Lanes::f32)));
    const Batch sum = compat::fma(dot, load<Arch>(scales) * Batch(scale_x), y);
    if constexpr (!BlockTraits<F>::has_min) return sum;
    return compat::fma(load<Arch>(mins), Batch(-sum_x), sum);
}

/// Tokens [token, token + Tokens) of x, groups [first_group, first_group + n_groups), the first
/// `count` rows of the panel into y [Tokens, count]; `starts` sets y instead of adding to it. Takes
/// two steps of `next` a group.
template <class Arch, WeightFormat F, index_t Tokens>
DELTANET_KERNEL void block_product(const BlockPanel<Arch, F>& panel, index_t n_groups,
                                   const QuantizedRows& x, index_t token, index_t first_group,
                                   float* y, index_t y_stride, index_t count, bool starts,
                                   LineFetcher& next) noexcept {
    using Panel = BlockPanel<Arch, F>;
    using Products = IntegerProducts<Arch, F>;
    using Number = typename Panel::Number;
    using Sum = typename Products::Sum;
    using Batch = xsimd::batch<float, Arch>;
    constexpr index_t batches = tuning::block_panel_batches;
    constexpr index_t rows = Panel::rows, size = Panel::size;
    constexpr auto n = static_cast<std::size_t>(Tokens);
    constexpr auto m = static_cast<std::size_t>(batches);

    const Number* numbers[n];
    Batch out[n][m];
    for (index_t t = 0; t < Tokens; ++t) {
        numbers[t] = x.numbers<Number>(token + t) + first_group * Panel::Traits::group;
        for (index_t b = 0; b < batches; ++b) {
            out[t][b] =
                starts ? Batch(0.0F) : load<Arch>(y + t * y_stride + b * size, count - b * size);
        }
    }
    const float* words = panel.words;
    for (index_t g = 0; g < n_groups; ++g) {
        next.step();
        constexpr index_t parts = kHasHalves<Arch, F> ? 2 : 1;
        Sum sum[n][m] = {};
        for (index_t part = 0; part < parts; ++part) {
            Sum products[n][m] = {};
            for (index_t word = 0; word < Panel::group_words / parts; ++word, words += rows) {
                Sum w[m];
                for (index_t b = 0; b < batches; ++b) {
                    std::memcpy(&w[b], words + b * size, sizeof(Sum));
                    if constexpr (Tokens > 1) compat::keep_in_register<Arch>(w[b]);
                }
                for (index_t t = 0; t < Tokens; ++t) {
                    std::int32_t both;
                    std::memcpy(&both, numbers[t], sizeof(both));
                    numbers[t] += Panel::per_word;
                    for (index_t b = 0; b < batches; ++b)
                        products[t][b] = Products::add(products[t][b], w[b], Sum{} + both);
                }
            }
            for (index_t t = 0; t < Tokens; ++t) {
                const std::int32_t* const corrections = x.corrections(token + t);
                for (index_t b = 0; b < batches; ++b) {
                    Sum total = Products::total(products[t][b]);
                    if constexpr (kHasCorrection<Arch, F>)
                        total = total + corrections[(first_group + g) * parts + part];
                    sum[t][b] =
                        parts == 1 ? total : sum[t][b] + total * panel.half_scale(g, part, b);
                }
            }
        }
        next.step();
        for (index_t t = 0; t < Tokens; ++t) {
            const index_t at = first_group + g;
            for (index_t b = 0; b < batches; ++b) {
                const index_t lane = g * rows + b * size;
                out[t][b] =
                    add_group<Arch, F>(sum[t][b], panel.scales + lane, panel.mins + lane,
                                       x.scales(token + t)[at], x.sums(token + t)[at], out[t][b]);
            }
        }
    }
    for (index_t t = 0; t < Tokens; ++t) {
        for (index_t b = 0; b < batches; ++b)
            store<Arch>(y + t * y_stride + b * size, out[t][b], count - b * size);
    }
}

}  // namespace deltanet::cpu::kernels
