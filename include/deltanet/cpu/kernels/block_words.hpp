// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Numbers of a byte out of the blocks of quantised formats: 16 bytes of as many rows as a vector
/// has lanes become columns of words, which are taken apart into the words of groups of 32. A sink
/// gets them in registers, to store them or to multiply by them at once:
///   sink.put(i, w, words)       word w (4 numbers) of the i-th group of a step
///   sink.end_half(i, h, scale)  behind the words of the h-th half, of Q6_K: its integer scale
///   sink.end(i, scale, min)     behind the words of a group: its factors (min of Q4_K)
#pragma once

#include <deltanet/cpu/kernels/block_decode.hpp>
#include <deltanet/cpu/lane_rows.hpp>
#include <deltanet/cpu/word_columns.hpp>

#include <cstring>

namespace deltanet::cpu::kernels {

template <class Arch, WeightFormat F>
class BlockWords {
  public:
    using Products = IntegerProducts<Arch, F>;
    using Traits = BlockTraits<F>;
    static constexpr index_t size = lanes<Arch, float>;
    using Words = detail::Words<size>;
    using Batch = xsimd::batch<float, Arch>;
    using Rows = LaneRows<size>;
    /// Groups whose words come side by side.
    static constexpr index_t step = F == WeightFormat::q6_k || F == WeightFormat::q4_k ? 2 : 1;

    /// `n_groups` groups, from the start of a block on. A step of `next` a group.
    template <class Fetcher, class Sink>
    DELTANET_FORCE_INLINE static void walk(Rows rows, index_t n_groups, Fetcher& next,
                                           Sink& sink) noexcept {
        if constexpr (F == WeightFormat::q4_k) {
            for (index_t g = 0; g < n_groups; g += Traits::groups) walk_q4_k(rows, next, sink);
        } else if constexpr (F == WeightFormat::q6_k) {
            for (index_t g = 0; g < n_groups; g += Traits::groups) {
                walk_q6_k(rows, next, sink);
                rows.move(block_bytes(F));
            }
        } else {
            walk_groups(rows, n_groups, next, sink);
        }
    }

    /// The factors alone, to `sink.end`.
    template <class Sink>
    DELTANET_FORCE_INLINE static void walk_scales(const Rows& rows, index_t n_groups,
                                                  Sink& sink) noexcept {
        alignas(64) float scales[Traits::groups * size], mins[Traits::groups * size] = {};
        if constexpr (F == WeightFormat::q4_k) {
            q4_k_scales(rows, scales, mins);
        } else {
            constexpr bool one_for_all = F == WeightFormat::q6_k;
            alignas(64) f16 halves[static_cast<std::size_t>(Traits::groups)][kLanes];
            for (index_t g = 0; g < (one_for_all ? 1 : n_groups); ++g)
                gather(rows, one_for_all ? 208 : g * Traits::group_bytes, halves[g]);
            for (index_t g = 0; g < n_groups; ++g)
                load<Arch>(halves[one_for_all ? 0 : g]).store_aligned(scales + g * size);
        }
        for (index_t g = 0; g < n_groups; ++g)
            sink.end(g % step, load<Arch>(scales + g * size), load<Arch>(mins + g * size));
    }

  private:
    static constexpr std::int32_t kLow = 0x0F0F0F0F;
    static constexpr auto kLanes = static_cast<std::size_t>(size);

    DELTANET_FORCE_INLINE static void columns(const Rows& rows, index_t byte,
                                              Words (&out)[4]) noexcept {
        load_word_columns<size>([&](index_t lane) noexcept { return rows(lane) + byte; }, out);
    }

    /// Words of numbers with the format's offset as the products want them: without it, if signed.
    [[nodiscard]] DELTANET_FORCE_INLINE static Words numbers(const Words& words) noexcept {
        if constexpr (Products::is_unsigned || Traits::offset == 0) return words;
        using Bytes = typename detail::Lanes<4 * size>::s8;
        return detail::bits_as<Words>(detail::bits_as<Bytes>(words) -
                                      static_cast<signed char>(Traits::offset));
    }

    /// A scale of each row. One by one through general registers, which g++ would do through vector
    /// registers and the unit that shuffles.
    DELTANET_FORCE_INLINE static void gather(const Rows& rows, index_t byte,
                                             f16 (&halves)[kLanes]) noexcept {
        for (index_t lane = 0; lane < size; ++lane) {
            std::memcpy(&halves[lane].bits, rows(lane) + byte, sizeof(f16));
            unsigned bits = halves[lane].bits;  // 16 bits g++ would load as AVX512-FP16 does
            compat::hide(bits);
            halves[lane].bits = static_cast<std::uint16_t>(bits);
            compat::hide(halves[lane].bits);
        }
    }

    /// Q8_0, Q4_0. The scales of a group are gathered a group ahead: a load that needs several
    /// stores waits for all of them.
    template <class Fetcher, class Sink>
    DELTANET_FORCE_INLINE static void walk_groups(Rows& rows, index_t n_groups, Fetcher& next,
                                                  Sink& sink) noexcept {
        alignas(64) f16 halves[2][kLanes];
        gather(rows, 0, halves[0]);
        for (index_t g = 0; g < n_groups; ++g) {
            rows.keep_strides();
            next.step();
            if (g + 1 < n_groups) gather(rows, Traits::group_bytes, halves[(g + 1) % 2]);
            Words four[4];
            if constexpr (F == WeightFormat::q8_0) {
                constexpr std::int32_t flip =
                    Products::is_unsigned ? static_cast<std::int32_t>(0x80808080U) : 0;
                for (index_t half = 0; half < 2; ++half) {
                    columns(rows, 2 + 16 * half, four);
                    for (index_t w = 0; w < 4; ++w) sink.put(0, 4 * half + w, four[w] ^ flip);
                }
            } else {
                columns(rows, 2, four);
                for (index_t w = 0; w < 4; ++w) sink.put(0, w, numbers(four[w] & kLow));
                for (index_t w = 0; w < 4; ++w) sink.put(0, 4 + w, numbers(four[w] >> 4 & kLow));
            }
            const Batch scale = load<Arch>(halves[g % 2]);
            sink.end(0, scale, scale);
            rows.move(Traits::group_bytes);
        }
    }

    /// Two groups in the halves of 32 bytes.
    template <class Fetcher, class Sink>
    DELTANET_FORCE_INLINE static void walk_q4_k(Rows& rows, Fetcher& next, Sink& sink) noexcept {
        alignas(64) float scales[Traits::groups * size], mins[Traits::groups * size];
        q4_k_scales(rows, scales, mins);
        rows.move(16);
        for (index_t g = 0; g < Traits::groups; g += 2) {
            rows.keep_strides();
            next.step();
            next.step();
            for (index_t half = 0; half < 2; ++half) {
                Words four[4];
                columns(rows, 16 * half, four);
                for (index_t w = 0; w < 4; ++w) {
                    sink.put(0, 4 * half + w, four[w] & kLow);
                    sink.put(1, 4 * half + w, four[w] >> 4 & kLow);
                }
            }
            for (index_t i = 0; i < 2; ++i)
                sink.end(i, load<Arch>(scales + (g + i) * size), load<Arch>(mins + (g + i) * size));
            rows.move(32);
        }
    }

    /// A block begins with its two factors and 12 bytes of 6-bit integers: of groups 0 to 3 in
    /// bytes of their own, whose upper two bits belong to groups 4 to 7 (`q4_k_scale` in
    /// linear/ggml_blocks.hpp, here on 4 groups of all rows at once).
    DELTANET_FORCE_INLINE static void q4_k_scales(const Rows& rows, float* scales,
                                                  float* mins) noexcept {
        Words head[4];
        columns(rows, 0, head);
        const auto factor = [](const Words& halves) noexcept {
            const auto bits = __builtin_convertvector(halves, typename detail::Lanes<size>::u16);
            f16 values[kLanes];
            std::memcpy(static_cast<void*>(values), &bits, sizeof(bits));
            return detail::bits_as<typename detail::Lanes<size>::f32>(detail::widen<size>(values));
        };
        constexpr std::int32_t six = 0x3F3F3F3F, upper = 0x30303030;
        const auto write = [](const Words& low, const Words& high, const auto& scale,
                              float* out) noexcept {
            for (index_t g = 0; g < Traits::groups; ++g) {
                const Words integers = (g < 4 ? low : high) >> (g % 4 * 8) & 0xFF;
                const auto scaled =
                    __builtin_convertvector(integers, typename detail::Lanes<size>::f32) * scale;
                std::memcpy(out + g * size, &scaled, sizeof(scaled));
            }
        };
        write(head[1] & six, (head[3] & kLow) | (head[1] >> 2 & upper), factor(head[0]), scales);
        write(head[2] & six, (head[3] >> 4 & kLow) | (head[2] >> 2 & upper), factor(head[0] >> 16),
              mins);
    }

    /// In each half of a block 32 + 32 bytes with the lower 4 bits of 4 groups and 32 bytes with
    /// their upper two.
    template <class Fetcher, class Sink>
    DELTANET_FORCE_INLINE static void walk_q6_k(const Rows& rows, Fetcher& next,
                                                Sink& sink) noexcept {
        alignas(64) f16 factors[kLanes];
        gather(rows, 208, factors);
        Words bytes[4];
        columns(rows, 192, bytes);
        alignas(64) std::int32_t half_scales[2 * Traits::groups * size];
        for (index_t i = 0; i < 2 * Traits::groups; ++i) {
            const Words scale = bytes[i / 4] << (24 - i % 4 * 8) >> 24;
            std::memcpy(half_scales + i * size, &scale, sizeof(scale));
        }
        constexpr std::int32_t upper = 0x30303030;
        const auto part = [&](auto at) noexcept {
            Words low[2][2][4], high[2][4];  // [even or odd group][half]
            for (index_t half = 0; half < 2; ++half) {
                columns(rows, 64 * at + 16 * half, low[0][half]);
                columns(rows, 64 * at + 32 + 16 * half, low[1][half]);
                columns(rows, 128 + 32 * at + 16 * half, high[half]);
            }
            for (index_t pair = 0; pair < 2; ++pair) {
                next.step();
                next.step();
                for (index_t half = 0; half < 2; ++half) {
                    for (index_t w = 0; w < 4; ++w) {
                        const Words two = high[half][w];
                        const Words even = pair == 0 ? low[0][half][w] : low[0][half][w] >> 4;
                        const Words odd = pair == 0 ? low[1][half][w] : low[1][half][w] >> 4;
                        sink.put(0, 4 * half + w,
                                 numbers((even & kLow) | ((pair == 0 ? two << 4 : two) & upper)));
                        sink.put(
                            1, 4 * half + w,
                            numbers((odd & kLow) | ((pair == 0 ? two << 2 : two >> 2) & upper)));
                    }
                    for (index_t i = 0; i < 2; ++i) {
                        Words scale;
                        const index_t group = 4 * at + 2 * pair + i;
                        std::memcpy(&scale, half_scales + (2 * group + half) * size, sizeof(scale));
                        sink.end_half(i, half, scale);
                    }
                }
                const Batch scale = load<Arch>(factors);
                for (index_t i = 0; i < 2; ++i) sink.end(i, scale, scale);
            }
        };
        part(std::integral_constant<index_t, 0>{});
        part(std::integral_constant<index_t, 1>{});
    }
};

}  // namespace deltanet::cpu::kernels
