// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Products of quantised weights with a token or a few, where reading the weights is what costs:
/// row after row, in the order of memory, and nothing is put in another order but the sums of whole
/// groups. Those are added up as in block_product.hpp, with the same bits.
#pragma once

#include <deltanet/cpu/kernels/block_product.hpp>

namespace deltanet::cpu::kernels {

/// Lane i of the result: the sum of the lanes of v[i]. In shuffles and additions, as hadd is slow.
template <class Arch, index_t N>
[[nodiscard]] DELTANET_FORCE_INLINE detail::Words<N> sums_of(const detail::Words<N>* v) noexcept {
    using V = detail::Words<N>;
    if constexpr (N == 4) {
        const auto pair = [](const V& a, const V& b) noexcept {
            return __builtin_shufflevector(a, b, 0, 4, 1, 5) +
                   __builtin_shufflevector(a, b, 2, 6, 3, 7);
        };
        const V low = pair(v[0], v[1]), high = pair(v[2], v[3]);
        return __builtin_shufflevector(low, high, 0, 1, 4, 5) +
               __builtin_shufflevector(low, high, 2, 3, 6, 7);
    } else {
        static_assert(N == 8);
        const auto pair = [](const V& a, const V& b) noexcept {
            return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13) +
                   __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
        };
        const auto four = [&](index_t i) noexcept {
            const V low = pair(v[i], v[i + 1]), high = pair(v[i + 2], v[i + 3]);
            return __builtin_shufflevector(low, high, 0, 1, 8, 9, 4, 5, 12, 13) +
                   __builtin_shufflevector(low, high, 2, 3, 10, 11, 6, 7, 14, 15);
        };
        const V low = four(0), high = four(4);
        return __builtin_shufflevector(low, high, 0, 1, 2, 3, 8, 9, 10, 11) +
               __builtin_shufflevector(low, high, 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/// As many rows as a vector has lanes, up to `most_groups` groups of columns, up to `Tokens`
/// tokens.
template <class Arch, WeightFormat F>
struct BlockRows {
    static constexpr index_t rows = lanes<Arch, float>;
    static constexpr index_t most_groups = 128;
    static constexpr index_t most_tokens = tuning::block_row_tokens;
    /// Words of the vectors that go along a row.
    static constexpr index_t width = rows > 8 ? 8 : rows;
    using Products = IntegerProducts<Arch, F, width>;
    using Number = typename Products::number;
    using Traits = BlockTraits<F>;

    alignas(64) float scales[static_cast<std::size_t>(rows * most_groups)];  ///< [row][group]
    alignas(64) float mins[static_cast<std::size_t>(Traits::has_min ? rows * most_groups : rows)];
    alignas(64) std::int32_t
        dots[static_cast<std::size_t>(most_tokens * rows * most_groups)];  ///< [token][row][group]

    /// Groups [first_group, first_group + n_groups) of x, whose weights stand at `blocks`;
    /// y [n_tokens, n_rows].
    template <index_t Tokens>
    void multiply(const std::byte* blocks, index_t row_bytes, index_t n_rows, index_t n_groups,
                  const QuantizedRows& x, index_t first_group, float* y, index_t y_stride,
                  bool starts) noexcept {
        for (index_t r = 0; r < n_rows; ++r) {
            const auto span = [&](index_t g, auto n) noexcept {
                const index_t at = r * most_groups + g;
                const std::byte* const block = blocks + r * row_bytes + Traits::bytes_before(g);
                for (index_t i = 0; i < Traits::groups * Traits::group_bytes; i += 64)
                    __builtin_prefetch(block + 2048 + i);
                decode_scales<Arch, F>(block, n, scales + at, mins + (Traits::has_min ? at : 0));
                alignas(64) Number numbers[Traits::span];
                decode_numbers<Arch, F>(block, n, NumberSink<Arch, F>{numbers});
                for (index_t t = 0; t < Tokens; ++t) {
                    dot_groups(numbers, x, t, first_group + g, n,
                               dots + t * rows * most_groups + at);
                }
            };
            index_t g = 0;
            for (; g + Traits::groups <= n_groups; g += Traits::groups)
                span(g, std::integral_constant<index_t, Traits::groups>{});
            if (g < n_groups) span(g, n_groups - g);
        }
        for (index_t t = 0; t < Tokens; ++t)
            add_up(x, t, first_group, n_groups, n_rows, y + t * y_stride, starts);
    }

  private:
    using Words = typename Products::Sum;

    /// The integer products of a span: one sum a group.
    DELTANET_FORCE_INLINE static void dot_groups(const Number* numbers, const QuantizedRows& x,
                                                 index_t token, index_t group, auto n,
                                                 std::int32_t* out) noexcept {
        constexpr index_t vector = width * 4 / index_t{sizeof(Number)};
        const Number* const activations = x.numbers<Number>(token) + group * Traits::group;
        for (index_t first = 0; first < n; first += width) {
            Words v[static_cast<std::size_t>(width)] = {};
            for (index_t g = 0; g < width; ++g) {
                if (first + g >= n) break;
                for (index_t i = 0; i < Traits::group; i += vector) {
                    Words weights, values;
                    const index_t at = (first + g) * Traits::group + i;
                    std::memcpy(&weights, numbers + at, sizeof(weights));
                    std::memcpy(&values, activations + at, sizeof(values));
                    v[g] = Products::add(v[g], weights, values);
                }
                v[g] = Products::total(v[g]);
            }
            const Words sums = sums_of<Arch, width>(v);
            std::memcpy(out + first, &sums, sizeof(sums));
        }
    }

    DELTANET_FORCE_INLINE void add_up(const QuantizedRows& x, index_t token, index_t first_group,
                                      index_t n_groups, index_t n_rows, float* y,
                                      bool starts) const noexcept {
        using Batch = xsimd::batch<float, Arch>;
        using Sum = typename IntegerProducts<Arch, F>::Sum;
        alignas(64) float dot[rows * Traits::groups], scale[rows * Traits::groups];
        alignas(64) float min[rows * Traits::groups];
        const auto columns = [](const float* from, index_t g, float* to) noexcept {
            transpose(from + g, most_groups, to, rows, rows, Traits::groups);
        };
        const auto* const words = reinterpret_cast<const float*>(dots) + token * rows * most_groups;
        Batch out = starts ? Batch(0.0F) : load<Arch>(y, n_rows);
        for (index_t g = 0; g < n_groups; g += Traits::groups) {
            columns(words, g, dot);
            columns(scales, g, scale);
            if constexpr (Traits::has_min) columns(mins, g, min);
            for (index_t i = 0; i < Traits::groups && g + i < n_groups; ++i) {
                const index_t at = first_group + g + i;
                Sum sum;
                std::memcpy(&sum, dot + i * rows, sizeof(sum));
                if constexpr (kHasCorrection<Arch, F>) sum = sum + x.corrections(token)[at];
                out = add_group<Arch, F>(sum, scale + i * rows, min + i * rows, x.scales(token)[at],
                                         x.sums(token)[at], out);
            }
        }
        store<Arch>(y, out, n_rows);
    }
};

}  // namespace deltanet::cpu::kernels
