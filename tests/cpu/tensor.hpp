// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tensors for tests: strided, misaligned on request, and surrounded by red zones. Every element of
/// the memory that the view does not reach holds one particular NaN, which must still be there, bit
/// for bit, after an op: a write outside is seen, and a read outside turns results into NaN.
#pragma once

#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/views.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

namespace deltanet::test {

/// A NaN that no arithmetic produces.
template <class T>
[[nodiscard]] T red_zone() {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    return std::bit_cast<T>(
        static_cast<Bits>(sizeof(T) == 4 ? 0x7FC0DEADULL : 0x7FF8DEADDEADDEADULL));
}

template <class T>
[[nodiscard]] bool same_bits(T a, T b) {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
}

template <class T, int Rank>
class Tensor {
  public:
    /// Outer strides are `padding` elements more than dense ones; the first element lies `misalign`
    /// elements behind an address that is aligned to 64 bytes.
    explicit Tensor(const Shape<Rank>& shape, index_t padding = 0, index_t misalign = 0)
        : shape_(shape) {
        index_t step = 1;
        for (int d = Rank - 1; d >= 0; --d) {
            strides_[at(d)] = step;
            step = step * shape[at(d)] + (d > 0 ? padding : 0);
        }
        constexpr index_t margin = 64;
        storage_.assign(static_cast<std::size_t>(step + 2 * margin + misalign), red_zone<T>());
        const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
        const auto to_line = static_cast<index_t>((64 - address % 64) % 64 / sizeof(T));
        first_ = to_line + 16 + misalign;  // 16 elements are whole lines for float and double
        for_each([](T& x) { x = T(0); });
    }
    Tensor(const Tensor&) = delete;  // a copy would lie at another alignment; see copy_from
    Tensor& operator=(const Tensor&) = delete;
    Tensor(Tensor&&) = default;

    [[nodiscard]] View<T, Rank> view() { return {storage_.data() + first_, shape_, strides_}; }
    [[nodiscard]] View<const T, Rank> cview() { return view(); }

    template <class F>
    void for_each(F&& f) {
        visit(view().data(), 0, f);
    }

    Tensor& fill(T value) {
        for_each([&](T& x) { x = value; });
        return *this;
    }

    /// Uniform in [low, high).
    Tensor& random(std::mt19937& generator, double low, double high) {
        for_each([&](T& x) {
            x = static_cast<T>(low +
                               (high - low) * (static_cast<double>(generator()) / 4294967296.0));
        });
        return *this;
    }

    /// Rows of the innermost dimension to unit length.
    Tensor& normalise() {
        const index_t n = shape_[at(Rank - 1)];
        std::vector<T*> elements;
        for_each([&](T& x) { elements.push_back(&x); });
        for (std::size_t row = 0; n > 0 && row < elements.size();
             row += static_cast<std::size_t>(n)) {
            double sum = 0.0;
            for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
                sum += static_cast<double>(*elements[row + i]) *
                       static_cast<double>(*elements[row + i]);
            }
            for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
                *elements[row + i] =
                    static_cast<T>(static_cast<double>(*elements[row + i]) / std::sqrt(sum));
            }
        }
        return *this;
    }

    /// The elements in order, whatever the strides.
    [[nodiscard]] std::vector<T> values() {
        std::vector<T> all;
        for_each([&](T& x) { all.push_back(x); });
        return all;
    }
    template <class U>
    Tensor& copy_from(Tensor<U, Rank>& other) {
        const std::vector<U> all = other.values();
        std::size_t i = 0;
        for_each([&](T& x) { x = static_cast<T>(all[i++]); });
        return *this;
    }

    /// True if nothing outside the view was written.
    [[nodiscard]] bool red_zone_intact() {
        std::vector<bool> inside(storage_.size(), false);
        for_each([&](T& x) { inside[static_cast<std::size_t>(&x - storage_.data())] = true; });
        for (std::size_t i = 0; i < storage_.size(); ++i) {
            if (!inside[i] && !same_bits(storage_[i], red_zone<T>())) return false;
        }
        return true;
    }

  private:
    static constexpr std::size_t at(int dim) { return static_cast<std::size_t>(dim); }

    template <class F>
    void visit(T* p, int dim, F& f) {
        for (index_t i = 0; i < shape_[at(dim)]; ++i, p += strides_[at(dim)]) {
            if (dim + 1 == Rank) {
                f(*p);
            } else {
                visit(p, dim + 1, f);
            }
        }
    }

    Shape<Rank> shape_;
    Shape<Rank> strides_{};
    index_t first_ = 0;
    std::vector<T> storage_;
};

/// Checks |actual - expected| <= relative * |expected| + absolute for every element, and names the
/// worst.
template <class T>
void check_elements(const std::vector<T>& actual, const std::vector<T>& expected, double relative,
                    double absolute) {
    REQUIRE(actual.size() == expected.size());
    std::size_t worst = 0;
    double worst_ratio = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const auto a = static_cast<double>(actual[i]);
        const auto e = static_cast<double>(expected[i]);
        if (a == e) continue;
        const double ratio = std::abs(a - e) / (relative * std::abs(e) + absolute);
        if (!(ratio <= worst_ratio)) {  // a NaN is worse than all
            worst = i;
            worst_ratio = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
        }
    }
    if (worst_ratio > 1.0) {
        CAPTURE(worst, actual[worst], expected[worst], worst_ratio);
        FAIL_CHECK("worst element beyond its bound");
    }
}

template <class T>
[[nodiscard]] constexpr double eps() {
    return static_cast<double>(std::numeric_limits<T>::epsilon());
}

/// Sizes around a vector of n lanes: those of style rule "counts" for every vectorised dimension.
[[nodiscard]] inline std::vector<index_t> counts_around(index_t n) {
    std::vector<index_t> counts{0, 1, n - 1, n, n + 1, 2 * n - 1, 3 * n + 2};
    std::sort(counts.begin(), counts.end());
    counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
    return counts;
}

}  // namespace deltanet::test
