// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A panel of quantised weights: a span of columns of a few rows, the
/// words of the rows side by side, so that a lane of a vector is a row and no sum goes across
/// lanes.
#pragma once

#include <deltanet/cpu/kernels/block_decode.hpp>
#include <deltanet/cpu/line_fetcher.hpp>
#include <deltanet/cpu/transpose.hpp>
#include <deltanet/cpu/tuning.hpp>
#include <deltanet/cpu/word_columns.hpp>

#include <cstring>

namespace deltanet::cpu::kernels {

template <class Arch, WeightFormat F>
struct BlockPanel {
    using Products = IntegerProducts<Arch, F>;
    using Number = typename Products::number;
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
                              index_t n_groups, LineFetcher& next) noexcept {
        for (index_t first = 0; first < rows; first += size) {
            const std::byte* row_at[static_cast<std::size_t>(size)];
            for (index_t lane = 0; lane < size; ++lane)
                row_at[lane] = blocks + least(first + lane, n_rows - 1) * row_bytes;
            const auto row = [&](index_t lane) noexcept { return row_at[lane]; };
            pack_scales(row, first, n_groups);
            if constexpr (sizeof(Number) == 1) {
                pack_bytes(row, first, n_groups, next);
            } else {
                pack_numbers(row, first, n_groups, next);
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
    /// Numbers of a byte: as they stand in the blocks, 16 bytes of all rows at a time.
    template <class Row>
    DELTANET_FORCE_INLINE void pack_bytes(const Row& row, index_t first, index_t n_groups,
                                          LineFetcher& next) noexcept {
        using Bytes = typename detail::Lanes<4 * size>::s8;
        const auto columns = [&](index_t byte, auto&& f) noexcept {
            Words four[4];
            load_word_columns<size>([&](index_t lane) noexcept { return row(lane) + byte; }, four);
            for (index_t w = 0; w < 4; ++w) f(w, four[w]);
        };
        // The number that stands for 0 is the format's offset, or 0.
        const auto put = [&](index_t group, index_t word, const Words& numbers) noexcept {
            constexpr int offset =
                F == WeightFormat::q8_0 || Products::is_unsigned ? 0 : Traits::offset;
            const auto bytes = detail::bits_as<Words>(detail::bits_as<Bytes>(numbers) -
                                                      static_cast<signed char>(offset));
            std::memcpy(words + (group * group_words + word) * rows + first, &bytes, sizeof(bytes));
        };
        constexpr std::int32_t low_halves = 0x0F0F0F0F;
        constexpr index_t step = F == WeightFormat::q6_k ? 4 : F == WeightFormat::q4_k ? 2 : 1;
        for (index_t g = 0; g < n_groups; g += step) {
            for (index_t i = 0; i < step; ++i) next.step();
            const index_t block = g * Traits::group_bytes;
            if constexpr (F == WeightFormat::q8_0) {
                constexpr std::int32_t flip =
                    Products::is_unsigned ? static_cast<std::int32_t>(0x80808080U) : 0;
                for (index_t half = 0; half < 2; ++half) {
                    columns(block + 2 + 16 * half, [&](index_t w, const Words& x) noexcept {
                        put(g, 4 * half + w, x ^ flip);
                    });
                }
            } else if constexpr (F == WeightFormat::q4_0) {
                columns(block + 2, [&](index_t w, const Words& x) noexcept {
                    put(g, w, x & low_halves);
                    put(g, 4 + w, x >> 4 & low_halves);
                });
            } else if constexpr (F == WeightFormat::q6_k) {
                pack_q6_k(row, g, put);
            } else {
                static_assert(F == WeightFormat::q4_k);
                for (index_t half = 0; half < 2; ++half) {
                    columns(16 + 16 * g + 16 * half, [&](index_t w, const Words& x) noexcept {
                        put(g, 4 * half + w, x & low_halves);
                        put(g + 1, 4 * half + w, x >> 4 & low_halves);
                    });
                }
            }
        }
    }

    /// Half a block: 32 + 32 bytes with the lower 4 bits of 4 groups, 32 with their upper two.
    template <class Row, class Put>
    DELTANET_FORCE_INLINE void pack_q6_k(const Row& row, index_t g, const Put& put) noexcept {
        const index_t part = g / 4;
        for (index_t half = 0; half < 2; ++half) {
            const auto columns = [&](index_t byte, Words(&out)[4]) noexcept {
                const index_t at = byte + 16 * half;
                load_word_columns<size>([&](index_t lane) noexcept { return row(lane) + at; }, out);
            };
            Words even[4], odd[4], high[4];
            columns(64 * part, even);
            columns(64 * part + 32, odd);
            columns(128 + 32 * part, high);
            constexpr std::int32_t low = 0x0F0F0F0F, upper = 0x30303030;
            for (index_t w = 0; w < 4; ++w) {
                const index_t word = 4 * half + w;
                put(g, word, (even[w] & low) | (high[w] << 4 & upper));
                put(g + 1, word, (odd[w] & low) | (high[w] << 2 & upper));
                put(g + 2, word, (even[w] >> 4 & low) | (high[w] & upper));
                put(g + 3, word, (odd[w] >> 4 & low) | (high[w] >> 2 & upper));
            }
        }
    }

    /// Wider numbers: one row after the other.
    template <class Row>
    void pack_numbers(const Row& row, index_t first, index_t n_groups, LineFetcher& next) noexcept {
        alignas(64) Number numbers[size * Traits::span];
        for (index_t lane = 0; lane < size; ++lane) {
            decode_numbers<Arch, F>(row(lane), n_groups,
                                    NumberSink<Arch, F>{numbers + lane * Traits::span});
        }
        for (index_t g = 0; g < n_groups; ++g) next.step();
        transpose(reinterpret_cast<const float*>(numbers), Traits::span / per_word, words + first,
                  rows, size, n_groups * group_words);
    }

    template <class Row>
    DELTANET_FORCE_INLINE void pack_scales(const Row& row, index_t first,
                                           index_t n_groups) noexcept {
        if constexpr (F == WeightFormat::q4_k) return pack_q4_k_scales(row, first);
        constexpr bool one_for_all = F == WeightFormat::q6_k;
        for (index_t g = 0; g < (one_for_all ? 1 : n_groups); ++g) {
            const index_t at = one_for_all ? 208 : g * Traits::group_bytes;
            f16 halves[static_cast<std::size_t>(size)];
            for (index_t lane = 0; lane < size; ++lane)
                std::memcpy(&halves[lane].bits, row(lane) + at, sizeof(halves[lane].bits));
            const auto scale = load<Arch>(halves);
            for (index_t i = g; i < (one_for_all ? n_groups : g + 1); ++i)
                scale.store_aligned(scales + i * rows + first);
        }
        if constexpr (kHasHalves<Arch, F>) {
            Words bytes[4];
            load_word_columns<size>([&](index_t lane) noexcept { return row(lane) + 192; }, bytes);
            for (index_t i = 0; i < 2 * n_groups; ++i) {
                const Words scale = bytes[i / 4] << (24 - i % 4 * 8) >> 24;
                std::memcpy(half_scales + i * rows + first, &scale, sizeof(scale));
            }
        }
    }

    /// A block begins with its two factors and 12 bytes of 6-bit integers: of groups 0 to 3 in
    /// bytes of their own, whose upper two bits belong to groups 4 to 7 (`q4_k_scale` in
    /// linear/ggml_blocks.hpp, here on 4 groups of all rows at once).
    template <class Row>
    DELTANET_FORCE_INLINE void pack_q4_k_scales(const Row& row, index_t first) noexcept {
        Words head[4];
        load_word_columns<size>(row, head);
        const auto factor = [](const Words& halves) noexcept {
            const auto bits = __builtin_convertvector(halves, typename detail::Lanes<size>::u16);
            f16 values[static_cast<std::size_t>(size)];
            std::memcpy(static_cast<void*>(values), &bits, sizeof(bits));
            return detail::bits_as<typename detail::Lanes<size>::f32>(detail::widen<size>(values));
        };
        constexpr std::int32_t six = 0x3F3F3F3F, four = 0x0F0F0F0F, upper = 0x30303030;
        const auto write = [first](const Words& low, const Words& high, const auto& scale,
                                   float* out) noexcept {
            for (index_t g = 0; g < Traits::groups; ++g) {
                const Words integers = (g < 4 ? low : high) >> (g % 4 * 8) & 0xFF;
                const auto scaled =
                    __builtin_convertvector(integers, typename detail::Lanes<size>::f32) * scale;
                std::memcpy(out + g * rows + first, &scaled, sizeof(scaled));
            }
        };
        write(head[1] & six, (head[3] & four) | (head[1] >> 2 & upper), factor(head[0]), scales);
        write(head[2] & six, (head[3] >> 4 & four) | (head[2] >> 2 & upper), factor(head[0] >> 16),
              mins);
    }
};

}  // namespace deltanet::cpu::kernels
