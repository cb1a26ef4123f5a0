// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A panel of quantised weights: a span of columns of a few rows, the
/// words of the rows side by side, so that a lane of a vector is a row and no sum goes across
/// lanes.
#pragma once

#include <deltanet/cpu/kernels/block_words.hpp>
#include <deltanet/cpu/line_fetcher.hpp>
#include <deltanet/cpu/transpose.hpp>
#include <deltanet/cpu/tuning.hpp>

#include <cstring>

namespace deltanet::cpu::kernels {

template <class Arch, WeightFormat F>
struct BlockPanel {
    using Products = IntegerProducts<Arch, F>;
    using Number = typename Products::number;
    using Fetcher = LineFetcher<tuning::panel_fetch_streams>;
    using Traits = BlockTraits<F>;
    static constexpr index_t size = lanes<Arch, float>;
    static constexpr index_t rows = tuning::block_panel_batches * size;
    static constexpr index_t per_word = 4 / index_t{sizeof(Number)};
    static constexpr index_t group_words = Traits::group / per_word;

    alignas(64) float words[Traits::groups * group_words * rows];  ///< [word][row]
    alignas(64) float scales[Traits::groups * rows];               ///< [group][row]
    alignas(64) float mins[Traits::has_min ? Traits::groups * rows : size];
    alignas(64) std::int32_t half_scales[kHasHalves<Arch, F> ? 2 * Traits::groups * rows
                                                             : size];  ///< [group][half][row]

    /// `n_groups` groups, at the start of a block, of `n_rows` rows that are `row_bytes` apart.
    /// Anything stands for rows and groups behind them. `next` is fetched meanwhile, in as many
    /// steps as there are groups and vectors of rows.
    DELTANET_KERNEL void pack(const std::byte* blocks, index_t row_bytes, index_t n_rows,
                              index_t n_groups, Fetcher& next) noexcept {
        constexpr index_t span_bytes = Traits::bytes_before(Traits::groups);
        for (index_t first = 0; first < rows; first += size) {
            const std::byte* at = blocks;
            index_t stride = row_bytes;
            std::byte copies[static_cast<std::size_t>(size * span_bytes)];
            if (n_rows - first >= size) {
                at += first * row_bytes;
            } else {  // the last row again and again in place of those behind it
                const index_t bytes = Traits::bytes_before(n_groups);
                for (index_t lane = 0; lane < size; ++lane) {
                    std::memcpy(copies + lane * span_bytes,
                                blocks + least(first + lane, n_rows - 1) * row_bytes,
                                static_cast<std::size_t>(bytes));
                }
                at = copies;
                stride = span_bytes;
            }
            if constexpr (sizeof(Number) == 1) {
                Sink sink{*this, first, 0};
                BlockWords<Arch, F>::walk(LaneRows<size>(stride, at), n_groups, next, sink);
            } else {
                pack_numbers(LaneRows<size>(stride, at), first, n_groups, next);
            }
        }
    }

    using Words = detail::Words<size>;

    /// Of the half-th half of a group, of the batch-th vector of rows.
    [[nodiscard]] DELTANET_FORCE_INLINE Words half_scale(index_t group, index_t half,
                                                         index_t batch) const noexcept {
        Words scale;
        std::memcpy(&scale, half_scales + (2 * group + half) * rows + batch * size, sizeof(scale));
        return scale;
    }

  private:
    static constexpr index_t step = BlockWords<Arch, F>::step;

    /// Stores the words of one vector of rows.
    struct Sink {
        BlockPanel& panel;
        index_t first, group;

        DELTANET_FORCE_INLINE void put(index_t i, index_t w, const Words& numbers) const noexcept {
            std::memcpy(panel.words + ((group + i) * group_words + w) * rows + first, &numbers,
                        sizeof(numbers));
        }
        DELTANET_FORCE_INLINE void end_half(index_t i, index_t half,
                                            const Words& scale) const noexcept {
            std::memcpy(panel.half_scales + (2 * (group + i) + half) * rows + first, &scale,
                        sizeof(scale));
        }
        DELTANET_FORCE_INLINE void end(index_t i, const xsimd::batch<float, Arch>& scale,
                                       const xsimd::batch<float, Arch>& min) noexcept {
            scale.store_aligned(panel.scales + (group + i) * rows + first);
            if constexpr (Traits::has_min)
                min.store_aligned(panel.mins + (group + i) * rows + first);
            if (i == step - 1) group += step;
        }
    };

    /// Wider numbers: one row after the other.
    void pack_numbers(const LaneRows<size>& row, index_t first, index_t n_groups,
                      Fetcher& next) noexcept {
        alignas(64) Number numbers[size * Traits::span];
        for (index_t lane = 0; lane < size; ++lane) {
            decode_numbers<Arch, F>(row(lane), n_groups,
                                    NumberSink<Arch, F>{numbers + lane * Traits::span});
        }
        for (index_t g = 0; g < n_groups; ++g) next.step();
        transpose(reinterpret_cast<const float*>(numbers), Traits::span / per_word, words + first,
                  rows, size, n_groups * group_words);
        Sink sink{*this, first, 0};
        BlockWords<Arch, F>::walk_scales(row, n_groups, sink);
    }
};

}  // namespace deltanet::cpu::kernels
