// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Random inputs that the device gets as floats and the oracle as doubles of the same value.
#pragma once

#include "cpu/tensor.hpp"

#include <random>
#include <vector>

namespace deltanet::test {

[[nodiscard]] inline index_t random_index(std::mt19937& generator, index_t count) {
    return static_cast<index_t>(generator() % static_cast<std::uint32_t>(count));
}

/// Uniform floats in [low, high), as doubles.
template <int Rank>
[[nodiscard]] Tensor<double, Rank> random_tensor(const Shape<Rank>& shape, std::mt19937& generator,
                                                 double low, double high) {
    Tensor<float, Rank> rounded(shape);
    rounded.random(generator, low, high);
    Tensor<double, Rank> tensor(shape);
    tensor.copy_from(rounded);
    return tensor;
}

template <int Rank>
[[nodiscard]] std::vector<float> narrowed(Tensor<double, Rank>& tensor) {
    std::vector<float> values;
    for (const double x : tensor.values()) values.push_back(static_cast<float>(x));
    return values;
}

[[nodiscard]] inline std::vector<double> widened(const std::vector<float>& values) {
    return {values.begin(), values.end()};
}

}  // namespace deltanet::test
