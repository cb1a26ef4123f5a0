// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Seeded random tensors, drawn from the domains that the layer sees.
#pragma once

#include <deltanet/views.hpp>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace deltanet::test {

class Random {
  public:
    explicit Random(std::uint32_t seed) : generator_(seed) {}

    [[nodiscard]] double normal() { return normal_(generator_); }
    [[nodiscard]] double uniform(double low, double high) {
        return std::uniform_real_distribution<double>(low, high)(generator_);
    }
    [[nodiscard]] index_t integer(index_t low, index_t high) {
        return std::uniform_int_distribution<index_t>(low, high)(generator_);
    }

    template <class T = float>
    [[nodiscard]] std::vector<T> normals(index_t n, double scale = 1.0) {
        return fill<T>(n, [&] { return scale * normal(); });
    }
    template <class T = float>
    [[nodiscard]] std::vector<T> uniforms(index_t n, double low, double high) {
        return fill<T>(n, [&] { return uniform(low, high); });
    }
    /// n rows of d, each of length 1: what q and k look like.
    template <class T = float>
    [[nodiscard]] std::vector<T> unit_rows(index_t n, index_t d) {
        std::vector<T> rows = normals<T>(n * d);
        for (index_t i = 0; i < n; ++i) {
            double sum = 0.0;
            for (index_t j = 0; j < d; ++j)
                sum += std::pow(static_cast<double>(rows[at(i * d + j)]), 2);
            for (index_t j = 0; j < d; ++j) {
                T& x = rows[at(i * d + j)];
                x = static_cast<T>(static_cast<double>(x) / std::sqrt(sum));
            }
        }
        return rows;
    }

  private:
    static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
    template <class T, class F>
    std::vector<T> fill(index_t n, F&& next) {
        std::vector<T> values(at(n));
        for (T& value : values) value = static_cast<T>(next());
        return values;
    }

    std::mt19937 generator_;
    std::normal_distribution<double> normal_;
};

}  // namespace deltanet::test
