// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What weight matrices are stored in: plain numbers, or blocks of a few bits a weight as in GGUF
/// files.
#pragma once

#include <deltanet/config.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

namespace deltanet {

enum class WeightFormat : std::uint8_t { f32, bf16, f16, q8_0, q4_0, q4_k, q6_k };

namespace detail {

struct WeightFormatRow {
    std::string_view name;  ///< as checkpoints write it
    index_t block;          ///< weights
    index_t bytes;          ///< of a block
};

inline constexpr WeightFormatRow kWeightFormats[] = {
    {"F32", 1, 4},    {"BF16", 1, 2},     {"F16", 1, 2},      {"Q8_0", 32, 34},
    {"Q4_0", 32, 18}, {"Q4_K", 256, 144}, {"Q6_K", 256, 210},
};

[[nodiscard]] constexpr const WeightFormatRow& row_of(WeightFormat format) noexcept {
    return kWeightFormats[static_cast<std::size_t>(format)];
}

}  // namespace detail

[[nodiscard]] constexpr std::string_view name_of(WeightFormat format) noexcept {
    return detail::row_of(format).name;
}
/// Weights of a block, 1 for plain numbers.
[[nodiscard]] constexpr index_t block_weights(WeightFormat format) noexcept {
    return detail::row_of(format).block;
}
[[nodiscard]] constexpr index_t block_bytes(WeightFormat format) noexcept {
    return detail::row_of(format).bytes;
}
/// By the name that checkpoints give it.
[[nodiscard]] constexpr std::optional<WeightFormat> weight_format(std::string_view name) noexcept {
    for (std::size_t i = 0; i < std::size(detail::kWeightFormats); ++i) {
        if (detail::kWeightFormats[i].name == name) return static_cast<WeightFormat>(i);
    }
    return std::nullopt;
}

}  // namespace deltanet
