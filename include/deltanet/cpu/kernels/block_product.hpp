// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The product of quantised weights, as a panel or in their blocks, and a few quantised tokens.
/// Every output is summed in one order, group after group, whatever the tokens beside it: bits do
/// not depend on the batch.
///   y += sum over groups of (scale_w scale_x) * (sum of integer products) - min_w * sum_x
#pragma once

#include <deltanet/cpu/kernels/block_panel.hpp>
#include <deltanet/linear/quantized_rows.hpp>

namespace deltanet::cpu::kernels {

/// Sums of one group of `Batches` vectors of rows, a lane each, with `Tokens` tokens.
template <class Arch, WeightFormat F, index_t Tokens, index_t Batches>
class GroupSums {
  public:
    using Products = IntegerProducts<Arch, F>;
    using Number = typename Products::number;
    using Words = detail::Words<lanes<Arch, float>>;
    using Batch = xsimd::batch<float, Arch>;
    static constexpr auto n = static_cast<std::size_t>(Tokens);
    static constexpr auto m = static_cast<std::size_t>(Batches);

    /// Of the whole group, or a half of it. group(t): what goes with the activations of token t.
    template <class Group>
    DELTANET_FORCE_INLINE void start(const Group& group, index_t half = 0) noexcept {
        for (index_t t = 0; t < Tokens; ++t) {
            for (index_t b = 0; b < Batches; ++b) {
                products_[t][b] = Products::start(correction(group, t, half));
                if (half == 0) halves_[t][b] = Batch(0.0F);
            }
        }
    }

    /// A word of each row; x(t): the same word of token t.
    template <class X>
    DELTANET_FORCE_INLINE void add(const Words (&w)[m], const X& x) noexcept {
        for (index_t t = 0; t < Tokens; ++t) {
            const Words word = broadcast_word<Words>(x(t));
            for (index_t b = 0; b < Batches; ++b)
                products_[t][b] = Products::add(products_[t][b], w[b], word);
        }
    }

    /// Where halves have integer scales of their own: the sums of one, times its scale. In float,
    /// which is exact: 2 x 16 x 32 x 127 x 128 is below 2^24.
    template <class Group>
    DELTANET_FORCE_INLINE void end_half(index_t half, const Words (&scale)[m],
                                        const Group& group) noexcept {
        for (index_t t = 0; t < Tokens; ++t) {
            for (index_t b = 0; b < Batches; ++b) {
                const Batch dot =
                    as_float(Products::total(products_[t][b], correction(group, t, half)));
                halves_[t][b] = compat::fma(dot, as_float(scale[b]), halves_[t][b]);
            }
        }
    }

    /// The next term of the sums of outputs.
    template <class Group>
    DELTANET_FORCE_INLINE void end(const Batch (&scale)[m], const Batch (&min)[m],
                                   const Group& group, Batch (&out)[n][m]) const noexcept {
        for (index_t t = 0; t < Tokens; ++t) {
            for (index_t b = 0; b < Batches; ++b) {
                Batch dot;
                if constexpr (kHasHalves<Arch, F>) {
                    dot = halves_[t][b];
                } else {
                    dot = as_float(Products::total(products_[t][b], correction(group, t, 0)));
                }
                out[t][b] = compat::fma(dot, scale[b] * Batch(group(t).scale), out[t][b]);
                if constexpr (BlockTraits<F>::has_min)
                    out[t][b] = compat::fma(min[b], Batch(-group(t).sum), out[t][b]);
            }
        }
    }

  private:
    [[nodiscard]] DELTANET_FORCE_INLINE static Batch as_float(const Words& words) noexcept {
        using Lanes = detail::Lanes<lanes<Arch, float>>;
        return detail::batch_of<Arch>(detail::bits_as<typename Lanes::u32>(
            __builtin_convertvector(words, typename Lanes::f32)));
    }
    template <class Group>
    [[nodiscard]] DELTANET_FORCE_INLINE static std::int32_t correction(const Group& group,
                                                                       index_t t,
                                                                       index_t half) noexcept {
        return kHasCorrection<Arch, F> ? group(t).corrections[half] : 0;
    }

    Words products_[n][m];
    Batch halves_[n][m];
};

/// Tokens beside each other that are multiplied by the same weights, group after group.
template <class Number, index_t Tokens>
class TokenRows {
  public:
    DELTANET_FORCE_INLINE TokenRows(const QuantizedRows& x, index_t token,
                                    index_t first_group) noexcept
        : rows_(x.row_bytes(), x.numbers<Number>(token) + first_group * QuantizedRows::kGroup,
                x.groups(token) + first_group) {}

    /// Word w of the i-th group from here on.
    [[nodiscard]] DELTANET_FORCE_INLINE const std::byte* word(index_t t, index_t i,
                                                              index_t w) const noexcept {
        return rows_(t) + i * kBytes + 4 * w;
    }
    [[nodiscard]] DELTANET_FORCE_INLINE const QuantizedGroup& group(index_t t,
                                                                    index_t i) const noexcept {
        return reinterpret_cast<const QuantizedGroup*>(rows_(t, 1))[i];
    }
    DELTANET_FORCE_INLINE void move(index_t n_groups) noexcept {
        rows_.move(n_groups * kBytes);
        rows_.move(n_groups * index_t{sizeof(QuantizedGroup)}, 1);
    }

  private:
    static constexpr index_t kBytes = QuantizedRows::kGroup * index_t{sizeof(Number)};

    LaneRows<Tokens, 2> rows_;
};

/// Tokens [token, token + Tokens) of x, groups [first_group, first_group + n_groups), the first
/// `count` rows of the panel into y [Tokens, count]; `starts` sets y instead of adding to it. Takes
/// two steps of `next` a group.
template <class Arch, WeightFormat F, index_t Tokens>
DELTANET_KERNEL void block_product(const BlockPanel<Arch, F>& panel, index_t n_groups,
                                   const QuantizedRows& x, index_t token, index_t first_group,
                                   float* y, index_t y_stride, index_t count, bool starts,
                                   typename BlockPanel<Arch, F>::Fetcher& next) noexcept {
    using Panel = BlockPanel<Arch, F>;
    using Words = typename Panel::Words;
    using Batch = xsimd::batch<float, Arch>;
    constexpr index_t batches = tuning::block_panel_batches;
    constexpr index_t rows = Panel::rows, size = Panel::size;
    constexpr auto n = static_cast<std::size_t>(Tokens);
    constexpr auto m = static_cast<std::size_t>(batches);

    Batch out[n][m];
    for (index_t t = 0; t < Tokens; ++t) {
        for (index_t b = 0; b < batches; ++b) {
            out[t][b] =
                starts ? Batch(0.0F) : load<Arch>(y + t * y_stride + b * size, count - b * size);
        }
    }
    TokenRows<typename Panel::Number, Tokens> tokens(x, token, first_group);
    const float* words = panel.words;
    for (index_t g = 0; g < n_groups; ++g) {
        next.step();
        constexpr index_t parts = kHasHalves<Arch, F> ? 2 : 1;
        const auto group = [&](index_t t) noexcept -> const QuantizedGroup& {
            return tokens.group(t, 0);
        };
        GroupSums<Arch, F, Tokens, batches> sums;
        for (index_t part = 0; part < parts; ++part) {
            sums.start(group, part);
            for (index_t i = 0; i < Panel::group_words / parts; ++i, words += rows) {
                Words w[m];
                for (index_t b = 0; b < batches; ++b) {
                    std::memcpy(&w[b], words + b * size, sizeof(Words));
                    if constexpr (Tokens > 1) compat::keep_in_register<Arch>(w[b]);
                }
                sums.add(w, [&](index_t t) noexcept {
                    return tokens.word(t, 0, part * Panel::group_words / parts + i);
                });
            }
            if constexpr (parts == 2) {
                Words scale[m];
                for (index_t b = 0; b < batches; ++b) scale[b] = panel.half_scale(g, part, b);
                sums.end_half(part, scale, group);
            }
        }
        next.step();
        Batch scale[m], min[m];
        for (index_t b = 0; b < batches; ++b) {
            const index_t lane = g * rows + b * size;
            scale[b] = load<Arch>(panel.scales + lane);
            min[b] = load<Arch>(panel.mins + (Panel::Traits::has_min ? lane : 0));
        }
        sums.end(scale, min, group, out);
        tokens.move(1);
    }
    for (index_t t = 0; t < Tokens; ++t) {
        for (index_t b = 0; b < batches; ++b)
            store<Arch>(y + t * y_stride + b * size, out[t][b], count - b * size);
    }
}

/// Multiplies by the words of one vector of rows as they come out of the blocks.
template <class Arch, WeightFormat F, index_t Tokens>
struct ProductSink {
    static constexpr index_t step = BlockWords<Arch, F>::step;
    using Words = typename BlockWords<Arch, F>::Words;
    using Batch = xsimd::batch<float, Arch>;

    TokenRows<std::int8_t, Tokens> tokens;
    GroupSums<Arch, F, Tokens, 1> sums[static_cast<std::size_t>(step)] = {};
    Batch out[static_cast<std::size_t>(Tokens)][1] = {};

    DELTANET_FORCE_INLINE void put(index_t i, index_t w, const Words& numbers) noexcept {
        if (w == 0) sums[i].start(group(i));
        if (kHasHalves<Arch, F> && w == 4) sums[i].start(group(i), 1);
        sums[i].add({numbers}, [&](index_t t) noexcept { return tokens.word(t, i, w); });
    }
    DELTANET_FORCE_INLINE void end_half(index_t i, index_t half, const Words& scale) noexcept {
        sums[i].end_half(half, {scale}, group(i));
    }
    DELTANET_FORCE_INLINE void end(index_t i, const Batch& scale, const Batch& min) noexcept {
        sums[i].end({scale}, {min}, group(i), out);
        if (i == step - 1) tokens.move(step);
    }

  private:
    [[nodiscard]] DELTANET_FORCE_INLINE auto group(index_t i) const noexcept {
        return
            [this, i](index_t t) noexcept -> const QuantizedGroup& { return tokens.group(t, i); };
    }
};

/// The same product straight from the blocks of as many whole rows as a vector has lanes, which
/// lie `row_bytes` apart: for so few tokens that nothing would read a panel again.
template <class Arch, WeightFormat F, index_t Tokens>
DELTANET_KERNEL void block_row_product(const std::byte* blocks, index_t row_bytes, index_t n_groups,
                                       const QuantizedRows& x, index_t token, float* y,
                                       index_t y_stride, LineFetcher<>& next) noexcept {
    using Words = BlockWords<Arch, F>;
    ProductSink<Arch, F, Tokens> sink{{x, token, 0}};
    for (auto& of_token : sink.out) of_token[0] = xsimd::batch<float, Arch>(0.0F);
    Words::walk(LaneRows<Words::size>(row_bytes, blocks), n_groups, next, sink);
    for (index_t t = 0; t < Tokens; ++t) sink.out[t][0].store_unaligned(y + t * y_stride);
}

}  // namespace deltanet::cpu::kernels
