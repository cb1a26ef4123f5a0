// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The element types of GGUF files: numbers, names, and how many elements a block of how many bytes
/// holds. Which of them the library computes with is another matter.
#pragma once

#include <deltanet/linear/weight_format.hpp>

#include <cstdint>
#include <string_view>

namespace deltanet {

struct GgmlType {
    std::uint32_t number;
    std::string_view name;  ///< what `TensorInfo::dtype` says
    index_t block;          ///< elements
    index_t bytes;          ///< of a block
};

namespace detail {

/// One that weights can be computed with.
[[nodiscard]] constexpr GgmlType ggml_type_of(std::uint32_t number, WeightFormat format) noexcept {
    return {number, name_of(format), block_weights(format), block_bytes(format)};
}

inline constexpr GgmlType kGgmlTypes[] = {
    ggml_type_of(0, WeightFormat::f32),
    ggml_type_of(1, WeightFormat::f16),
    ggml_type_of(2, WeightFormat::q4_0),
    {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},
    {7, "Q5_1", 32, 24},
    ggml_type_of(8, WeightFormat::q8_0),
    {9, "Q8_1", 32, 40},
    {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},
    ggml_type_of(12, WeightFormat::q4_k),
    {13, "Q5_K", 256, 176},
    ggml_type_of(14, WeightFormat::q6_k),
    {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},
    {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1},
    {25, "I16", 1, 2},
    {26, "I32", 1, 4},
    {27, "I64", 1, 8},
    {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},
    ggml_type_of(30, WeightFormat::bf16),
    {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},
    {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},
};

}  // namespace detail

/// Null for a number that is not in the table.
[[nodiscard]] constexpr const GgmlType* ggml_type(std::uint32_t number) noexcept {
    for (const GgmlType& type : detail::kGgmlTypes) {
        if (type.number == number) return &type;
    }
    return nullptr;
}

}  // namespace deltanet
