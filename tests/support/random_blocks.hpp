// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Matrices of quantised blocks: any bits for the integers, scales of a trained model's size.
#pragma once

#include <deltanet/linear/weight_matrix.hpp>

#include <cstdint>
#include <random>
#include <vector>

namespace deltanet::test {

struct RandomBlocks {
    RandomBlocks(WeightFormat weight_format, index_t n_rows, index_t n_cols, std::uint32_t seed = 5)
        : format(weight_format), rows(n_rows), cols(n_cols) {
        std::mt19937 random(seed);
        const index_t n = rows * cols / block_weights(format);
        bytes.resize(static_cast<std::size_t>(n * block_bytes(format)));
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0xFFU);
        for (index_t block = 0; block < n; ++block) {
            set_half(block, format == WeightFormat::q6_k ? 208 : 0, random());
            if (format == WeightFormat::q4_k) set_half(block, 2, random());
        }
    }

    [[nodiscard]] WeightMatrix matrix() const { return {format, bytes.data(), {rows, cols}}; }

    WeightFormat format;
    index_t rows, cols;
    std::vector<std::byte> bytes;

  private:
    /// A number of 0.01 to 0.02 of either sign.
    void set_half(index_t block, index_t offset, std::uint_fast32_t random) {
        const float size = 0.01F + static_cast<float>(random >> 8 & 0xFFFFU) * (0.01F / 65536);
        const f16 half = to_f16(random % 2 == 0 ? size : -size);
        std::byte* const at = bytes.data() + block * block_bytes(format) + offset;
        std::memcpy(at, &half.bits, sizeof(half.bits));
    }
};

}  // namespace deltanet::test
