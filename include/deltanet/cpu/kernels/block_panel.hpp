// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A panel of quantised weights for products with many tokens: a span of columns of a few rows, the
/// words of the rows side by side, so that a lane of a vector is a row and no sum goes across
/// lanes.
#pragma once

#include <deltanet/cpu/kernels/block_decode.hpp>
#include <deltanet/cpu/transpose.hpp>
#include <deltanet/cpu/tuning.hpp>

#include <cstring>

namespace deltanet::cpu::kernels {

template <class Arch, WeightFormat F>
struct BlockPanel {
    using Number = typename IntegerProducts<Arch, F>::number;
    using Traits = BlockTraits<F>;
    static constexpr index_t size = lanes<Arch, float>;
    static constexpr index_t rows = tuning::block_panel_batches * size;
    static constexpr index_t per_word = 4 / index_t{sizeof(Number)};
    static constexpr index_t group_words = Traits::group / per_word;

    alignas(64) float words[Traits::groups * group_words * rows];  ///< [word][row]
    alignas(64) float scales[Traits::groups * rows];               ///< [group][row]
    alignas(64) float mins[Traits::has_min ? Traits::groups * rows : size];

    /// `n_groups` groups, at the start of a block, of `n_rows` rows that are `row_bytes` apart.
    /// Zeros stand for rows behind them, anything for groups behind.
    void pack(const std::byte* blocks, index_t row_bytes, index_t n_rows,
              index_t n_groups) noexcept {
        alignas(64) Number numbers[size * Traits::span];
        alignas(64) float row_scales[size * Traits::groups], row_mins[size * Traits::groups];
        for (index_t first = 0; first < rows; first += size) {
            for (index_t lane = 0; lane < size; ++lane) {
                Number* const row = numbers + lane * Traits::span;
                float* const scale = row_scales + lane * Traits::groups;
                float* const min = row_mins + lane * Traits::groups;
                if (first + lane < n_rows) {
                    const std::byte* const block = blocks + (first + lane) * row_bytes;
                    decode_numbers<Arch, F>(block, n_groups, NumberSink<Arch, F>{row});
                    decode_scales<Arch, F>(block, n_groups, scale, min);
                } else {
                    std::memset(row, 0, Traits::span * sizeof(Number));
                    std::memset(scale, 0, Traits::groups * sizeof(float));
                    std::memset(min, 0, Traits::groups * sizeof(float));
                }
            }
            transpose(reinterpret_cast<const float*>(numbers), Traits::span / per_word,
                      words + first, rows, size, n_groups * group_words);
            transpose(row_scales, Traits::groups, scales + first, rows, size, Traits::groups);
            if constexpr (Traits::has_min)
                transpose(row_mins, Traits::groups, mins + first, rows, size, Traits::groups);
        }
    }
};

}  // namespace deltanet::cpu::kernels
