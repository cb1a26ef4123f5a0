// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The quantised blocks of GGUF files as the weights that they stand for, in plain loops. Layouts
/// as in ggml (github.com/ggml-org/ggml, src/ggml-common.h): little-endian, f16 scales.
///   Q8_0  32 weights  [ d f16 | q int8 x 32 ]                          w = d q
///   Q4_0  32          [ d f16 | q 4 bits x 32 ]                        w = d (q - 8)
///   Q4_K  256         [ d f16, m f16 | 8 x (scale, min) 6 bits | q 4 bits x 256 ]
///                                                                      w = d scale q - m min
///   Q6_K  256         [ low 4 bits x 256 | high 2 bits x 256 | scale int8 x 16 | d f16 ]
///                                                                      w = d scale (q - 32)
#pragma once

#include <deltanet/dtype.hpp>
#include <deltanet/linear/weight_format.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace deltanet {

namespace detail {

[[nodiscard]] inline unsigned byte_at(const std::byte* p, index_t i) noexcept {
    return std::to_integer<unsigned>(p[i]);
}
[[nodiscard]] inline int signed_at(const std::byte* p, index_t i) noexcept {
    return static_cast<std::int8_t>(byte_at(p, i));
}
[[nodiscard]] inline float half_at(const std::byte* p) noexcept {
    f16 value;
    std::memcpy(&value.bits, p, sizeof(value.bits));
    return to_float(value);
}
[[nodiscard]] inline float as_float(unsigned value) noexcept { return static_cast<float>(value); }
[[nodiscard]] inline float as_float(int value) noexcept { return static_cast<float>(value); }

inline void unpack_q8_0(const std::byte* block, float* out) noexcept {
    const float d = half_at(block);
    for (index_t i = 0; i < 32; ++i) out[i] = d * as_float(signed_at(block + 2, i));
}

/// The low halves of the bytes are the first 16 weights.
inline void unpack_q4_0(const std::byte* block, float* out) noexcept {
    const float d = half_at(block);
    for (index_t i = 0; i < 16; ++i) {
        const unsigned both = byte_at(block + 2, i);
        out[i] = d * as_float(static_cast<int>(both & 15U) - 8);
        out[i + 16] = d * as_float(static_cast<int>(both >> 4) - 8);
    }
}

/// Scale and minimum of 32 weights in 6 bits each: those of the first four groups in bytes of their
/// own, whose upper two bits belong to the other four.
struct Q4KScale {
    unsigned scale, min;
};
[[nodiscard]] inline Q4KScale q4_k_scale(const std::byte* scales, index_t group) noexcept {
    if (group < 4) return {byte_at(scales, group) & 63U, byte_at(scales, group + 4) & 63U};
    const unsigned both = byte_at(scales, group + 4);
    return {(both & 15U) | (byte_at(scales, group - 4) >> 6) << 4,
            both >> 4 | (byte_at(scales, group) >> 6) << 4};
}

/// 64 weights share 32 bytes: the low halves are the first 32.
inline void unpack_q4_k(const std::byte* block, float* out) noexcept {
    const float d = half_at(block);
    const float m = half_at(block + 2);
    const std::byte* const scales = block + 4;
    const std::byte* const quants = block + 16;
    for (index_t group = 0; group < 8; ++group) {
        const Q4KScale s = q4_k_scale(scales, group);
        const float scale = d * as_float(s.scale);
        const float min = m * as_float(s.min);
        const unsigned shift = group % 2 == 0 ? 0U : 4U;
        for (index_t i = 0; i < 32; ++i) {
            const unsigned q = byte_at(quants, group / 2 * 32 + i) >> shift & 15U;
            out[group * 32 + i] = scale * as_float(q) - min;
        }
    }
}

/// Of 128 weights, group g of 32 has its low bits in the low (g < 2) or high halves of 32 bytes, of
/// the first 32 for even g and the next 32 for odd ones, and its high bits at 2 g of 32 others.
inline void unpack_q6_k(const std::byte* block, float* out) noexcept {
    const float d = half_at(block + 208);
    for (index_t half = 0; half < 2; ++half) {
        const std::byte* const low = block + 64 * half;
        const std::byte* const high = block + 128 + 32 * half;
        const std::byte* const scales = block + 192 + 8 * half;
        for (index_t group = 0; group < 4; ++group) {
            for (index_t i = 0; i < 32; ++i) {
                const unsigned four =
                    byte_at(low, group % 2 * 32 + i) >> (group < 2 ? 0U : 4U) & 15U;
                const unsigned two = byte_at(high, i) >> (2U * static_cast<unsigned>(group)) & 3U;
                const int q = static_cast<int>(four | two << 4) - 32;
                out[half * 128 + group * 32 + i] =
                    d * as_float(signed_at(scales, group * 2 + i / 16)) * as_float(q);
            }
        }
    }
}

}  // namespace detail

/// `n_blocks` blocks of a quantised format as floats; bytes of any alignment.
inline void unpack_blocks(WeightFormat format, const std::byte* blocks, index_t n_blocks,
                          float* out) noexcept {
    const index_t weights = block_weights(format), bytes = block_bytes(format);
    for (index_t b = 0; b < n_blocks; ++b, blocks += bytes, out += weights) {
        switch (format) {
            case WeightFormat::q8_0:
                detail::unpack_q8_0(blocks, out);
                break;
            case WeightFormat::q4_0:
                detail::unpack_q4_0(blocks, out);
                break;
            case WeightFormat::q4_k:
                detail::unpack_q4_k(blocks, out);
                break;
            case WeightFormat::q6_k:
                detail::unpack_q6_k(blocks, out);
                break;
            case WeightFormat::f32:
            case WeightFormat::bf16:
            case WeightFormat::f16:
                return;  // no blocks
        }
    }
}

}  // namespace deltanet
