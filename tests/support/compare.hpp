// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// How outputs are compared: relative root mean square for numbers, bit patterns for promises of
/// equality.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/error.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace deltanet::test {

/// rms(actual - expected) / rms(expected); infinite where actual is not finite.
template <class A, class E>
[[nodiscard]] double relative_rms(const A& actual, const E& expected) {
    double difference = 0.0;
    double size = 0.0;
    if (std::size(actual) != std::size(expected)) return std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < std::size(expected); ++i) {
        const double a = static_cast<double>(actual[i]);
        const double e = static_cast<double>(expected[i]);
        if (!std::isfinite(a)) return std::numeric_limits<double>::infinity();
        difference += (a - e) * (a - e);
        size += e * e;
    }
    if (difference == 0.0) return 0.0;
    return std::sqrt(difference / size);
}

template <class T>
[[nodiscard]] bool bit_equal(std::span<const T> a, std::span<const T> b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}
template <class T>
[[nodiscard]] bool bit_equal(const std::vector<T>& a, const std::vector<T>& b) {
    return bit_equal(std::span<const T>(a), std::span<const T>(b));
}

/// Message of the `Error` that f throws; "nothing was thrown" otherwise.
template <class F>
[[nodiscard]] std::string message_of(F&& f) {
    try {
        f();
    } catch (const Error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

/// Elements of a view, in order of its indices.
template <class T, int Rank>
[[nodiscard]] std::vector<std::remove_const_t<T>> elements(View<T, Rank> view) {
    std::vector<std::remove_const_t<T>> list;
    if constexpr (Rank == 1) {
        for (index_t i = 0; i < view.size(0); ++i) list.push_back(view(i));
    } else {
        for (index_t i = 0; i < view.size(0); ++i) {
            const auto part = elements(view[i]);
            list.insert(list.end(), part.begin(), part.end());
        }
    }
    return list;
}

}  // namespace deltanet::test
