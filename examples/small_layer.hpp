// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A layer with small random weights, the same numbers on every machine: what the numbered examples
/// run when their subject is something else. 01_minimal.cpp shows the same without this header.
#pragma once

#include <deltanet/deltanet.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace example {

using deltanet::index_t;
using deltanet::View;

/// Uniform in (-scale, scale).
inline std::vector<float> numbers(index_t count, float scale, std::uint32_t seed) {
    std::mt19937 generator(seed);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) {
        value = scale * (static_cast<float>(generator()) * 0x1p-31F - 1.0F);
    }
    return values;
}

/// Values as rows of `width`, all of them or some.
inline View<float, 2> rows(std::vector<float>& values, index_t width) {
    return {values.data(), {static_cast<index_t>(values.size()) / width, width}};
}
inline View<float, 2> rows(std::vector<float>& values, index_t width, index_t first,
                           index_t count) {
    return rows(values, width).slice(0, first, count);
}

/// Root mean square of a - b over that of b.
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
    double difference = 0.0;
    double size = 0.0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
        size += std::pow(static_cast<double>(b[i]), 2);
    }
    return std::sqrt(difference / size);
}

/// Owns the memory that `weights()` points into.
struct SmallLayer {
    deltanet::LayerConfig config{
        .hidden = 64, .n_heads_k = 2, .n_heads_v = 4, .d_k = 16, .d_v = 32};
    index_t in_rows = config.conv_dim() + config.value_dim() + 2 * config.n_heads_v;  // q k v z b a
    std::vector<float> in_proj = numbers(in_rows * config.hidden, 0.2F, 1);
    std::vector<float> out_proj = numbers(config.hidden * config.value_dim(), 0.1F, 2);
    std::vector<float> conv = numbers(config.conv_dim() * config.conv_width, 0.5F, 3);
    std::vector<float> A_log = numbers(config.n_heads_v, 1.0F, 4);
    std::vector<float> dt_bias = numbers(config.n_heads_v, 1.0F, 5);
    std::vector<float> norm = std::vector<float>(static_cast<std::size_t>(config.d_v), 1.0F);

    template <class L = deltanet::EigenLinear>
    [[nodiscard]] deltanet::LayerWeights<L> weights() const {
        const auto vector = [](const std::vector<float>& values) {
            return View<const float, 1>(values.data(), {static_cast<index_t>(values.size())});
        };
        deltanet::LayerWeights<L> w;
        w.in_proj = {L(View<const float, 2>(in_proj.data(), {in_rows, config.hidden}))};
        w.layout = deltanet::ProjectionLayout::split(config);
        w.conv = {conv.data(), {config.conv_dim(), config.conv_width}};
        w.A_log = vector(A_log);
        w.dt_bias = vector(dt_bias);
        w.norm = vector(norm);
        w.out_proj = L(View<const float, 2>(out_proj.data(), {config.hidden, config.value_dim()}));
        return w;
    }
};

}  // namespace example
