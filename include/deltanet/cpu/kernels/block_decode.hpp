// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The blocks of quantised formats (linear/ggml_blocks.hpp) as what integer products take: groups
/// of 32 numbers with a scale, and of Q4_K a minimum,
///   weight = scale * number - min
#pragma once

#include <deltanet/cpu/integer_products.hpp>
#include <deltanet/cpu/quantized.hpp>

#include <cstring>

namespace deltanet::cpu::kernels {

/// What no arch changes. A span is what is decoded at once: one block, or 8 of those of 32.
template <WeightFormat F>
struct BlockTraits {
    static constexpr index_t group = 32;
    static constexpr index_t groups = 8;
    static constexpr index_t span = groups * group;
    static constexpr index_t group_bytes = block_bytes(F) * group / block_weights(F);
    static constexpr index_t groups_of_block = block_weights(F) / group;
    static constexpr bool has_min = F == WeightFormat::q4_k;
    /// What unsigned numbers have more than signed ones.
    static constexpr int offset = F == WeightFormat::q8_0   ? 128
                                  : F == WeightFormat::q4_0 ? 8
                                  : F == WeightFormat::q6_k ? 32
                                                            : 0;

    /// The bytes before a group that starts a block.
    [[nodiscard]] DELTANET_FORCE_INLINE static constexpr index_t bytes_before(
        index_t first_group) noexcept {
        return first_group / groups_of_block * block_bytes(F);
    }
};

template <class Arch, WeightFormat F>
inline constexpr bool kHasCorrection =
    IntegerProducts<Arch, F>::is_unsigned&& BlockTraits<F>::offset != 0;

/// The sums of the two halves of a group are multiplied by integer scales of their own.
template <class Arch, WeightFormat F>
inline constexpr bool kHasHalves = F == WeightFormat::q6_k &&
                                   sizeof(typename IntegerProducts<Arch, F>::number) == 1;

/// A group's numbers in the compiler's own vectors. They are stored as a whole, as a load that
/// needs two stores waits for both. Functions do not return them: without AVX that has no fixed
/// ABI.
struct Group {
    typedef std::uint8_t u8 __attribute__((vector_size(32)));
    typedef std::uint8_t half_u8 __attribute__((vector_size(16)));
    typedef std::int8_t half_s8 __attribute__((vector_size(16)));
    typedef std::int16_t half_s16 __attribute__((vector_size(32)));
};

template <class Arch>
DELTANET_FORCE_INLINE void load_group(const std::byte* p, Group::u8& bytes) noexcept {
    std::memcpy(&bytes, p, sizeof(bytes));
}
/// The low halves of 16 bytes, then the high ones.
template <class Arch>
DELTANET_FORCE_INLINE void load_nibbles(const std::byte* p, Group::u8& nibbles) noexcept {
    Group::half_u8 both;
    std::memcpy(&both, p, sizeof(both));
    nibbles = __builtin_shufflevector(both, both >> 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
                                      14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
                                      29, 30, 31) &
              15;
}

/// Writes the 32 integers of a group as an arch's products want them: bytes with or without the
/// offset, or 16 bits, of Q6_K times the scales of the first and the last 16.
template <class Arch, WeightFormat F>
struct NumberSink {
    using Products = IntegerProducts<Arch, F>;
    typename Products::number* out;

    DELTANET_FORCE_INLINE void operator()(index_t i, const Group::u8& integers, int first = 1,
                                          int last = 1) const noexcept {
        if constexpr (sizeof(*out) == 1) {
            constexpr auto offset = static_cast<std::uint8_t>(BlockTraits<F>::offset);
            const Group::u8 numbers = Products::is_unsigned ? integers + offset : integers;
            std::memcpy(out + i, &numbers, sizeof(numbers));
        } else {
            Group::half_u8 halves[2];
            std::memcpy(halves, &integers, sizeof(halves));
            widen(halves[0], first, out + i);
            widen(halves[1], last, out + i + 16);
        }
    }

  private:
    DELTANET_FORCE_INLINE static void widen(const Group::half_u8& integers, int factor,
                                            std::int16_t* to) noexcept {
#if defined(__AVX2__)
        auto numbers = detail::bits_as<Group::half_s16>(
            _mm256_cvtepi8_epi16(detail::bits_as<__m128i>(integers)));
#else
        auto numbers =
            __builtin_convertvector(detail::bits_as<Group::half_s8>(integers), Group::half_s16);
#endif
        if constexpr (F == WeightFormat::q6_k) numbers *= static_cast<std::int16_t>(factor);
        std::memcpy(to, &numbers, sizeof(numbers));
    }
};

/// The numbers of up to a span of a row, from the start of a block on.
template <class Arch, WeightFormat F>
DELTANET_FORCE_INLINE void decode_numbers(const std::byte* block, auto n_groups,
                                          const NumberSink<Arch, F>& sink) noexcept {
    using Traits = BlockTraits<F>;
    if constexpr (F == WeightFormat::q8_0) {
        for (index_t g = 0; g < n_groups; ++g, block += Traits::group_bytes) {
            Group::u8 bytes;
            load_group<Arch>(block + 2, bytes);
            sink(32 * g, bytes);
        }
    } else if constexpr (F == WeightFormat::q4_0) {
        for (index_t g = 0; g < n_groups; ++g, block += Traits::group_bytes) {
            Group::u8 nibbles;
            load_nibbles<Arch>(block + 2, nibbles);
            sink(32 * g, nibbles - 8);
        }
    } else if constexpr (F == WeightFormat::q4_k) {
        for (index_t pair = 0; pair < 4; ++pair) {
            Group::u8 both;
            load_group<Arch>(block + 16 + 32 * pair, both);
            sink(64 * pair, both & 15);
            sink(64 * pair + 32, both >> 4);
        }
    } else {
        static_assert(F == WeightFormat::q6_k);
        for (index_t part = 0; part < 2; ++part) {
            Group::u8 even, odd, high;
            load_group<Arch>(block + 64 * part, even);
            load_group<Arch>(block + 64 * part + 32, odd);
            load_group<Arch>(block + 128 + 32 * part, high);
            const auto put = [&](index_t i, const Group::u8& integers) noexcept {
                const index_t group = 4 * part + i;
                const auto scale = [&](index_t half) noexcept {
                    return static_cast<std::int8_t>(block[192 + 2 * group + half]);
                };
                sink(32 * group, integers - 32, scale(0), scale(1));
            };
            put(0, (even & 15) | (high & 3) << 4);
            put(1, (odd & 15) | (high >> 2 & 3) << 4);
            put(2, even >> 4 | (high >> 4 & 3) << 4);
            put(3, odd >> 4 | high >> 6 << 4);
        }
    }
}

}  // namespace deltanet::cpu::kernels
