// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What linear operators over weights that are plain numbers promise, whoever computes them: the
/// oracle's numbers, and equal bits wherever a row stands in the matrix, however x and y lie and
/// whoever runs the tasks.
#pragma once

#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/linear_run.hpp"
#include "support/random.hpp"
#include <deltanet/linear/reference.hpp>
#include <deltanet/linear/weight_matrix.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace deltanet::test {

inline const std::vector<DType> kTypes{DType::f32, DType::bf16, DType::f16};
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// Weights [out, in] of any type with NaN between the rows.
struct Weights {
    index_t out, in, stride;
    DType dtype;
    std::vector<float> f32;
    std::vector<bf16> brain;
    std::vector<f16> half;

    Weights(index_t rows, index_t cols, DType type, std::uint32_t seed = 71)
        : out(rows), in(cols), stride(cols + 3), dtype(type) {
        f32 = Random(seed).normals(rows * stride);
        for (index_t r = 0; r < rows; ++r) {
            for (index_t c = cols; c < stride; ++c)
                f32[static_cast<std::size_t>(r * stride + c)] = kNaN;
        }
        for (const float x : f32) {
            brain.push_back(to_bf16(x));
            half.push_back(to_f16(x));
        }
    }
    /// Rows [first, first + n).
    [[nodiscard]] WeightMatrix rows(index_t first, index_t n) const {
        const Shape<2> shape{n, in};
        const Shape<2> strides{stride, 1};
        const index_t offset = first * stride;
        if (dtype == DType::bf16) return View<const bf16, 2>(brain.data() + offset, shape, strides);
        if (dtype == DType::f16) return View<const f16, 2>(half.data() + offset, shape, strides);
        return View<const float, 2>(f32.data() + offset, shape, strides);
    }
    [[nodiscard]] WeightMatrix all() const { return rows(0, out); }
};

inline std::vector<float> first_rows(const std::vector<float>& y, index_t width, index_t first,
                                     index_t n) {
    return {y.begin() + first * width, y.begin() + (first + n) * width};
}

struct Sizes {
    index_t out, in;
};

template <class L>
void check_equals_oracle(const std::vector<Sizes>& sizes) {
    for (const Sizes& size : sizes) {
        for (const DType dtype : kTypes) {
            const Weights weights(size.out, size.in, dtype);
            const std::vector<float> values = Random(72).normals(130 * size.in);
            const View<const float, 2> x(values.data(), {130, size.in});
            const L linear(weights.all());
            const std::vector<float> expected = run_linear(ReferenceLinear(weights.all()), x);
            CHECK(linear.in_features() == size.in);
            CHECK(linear.out_features() == size.out);
            std::vector<float> row(static_cast<std::size_t>(size.in));
            for (const index_t n : {1, 2, 3, 5, 64, 65, 130}) {
                const std::vector<float> y = run_linear(linear, x.slice(0, 0, n));
                double worst = 0.0;
                for (index_t o = 0; o < size.out; ++o) {
                    weights.all().load(o, 0, size.in, row.data());
                    for (index_t t = 0; t < n; ++t) {
                        double squares = 0.0;
                        for (index_t i = 0; i < size.in; ++i) {
                            squares +=
                                std::pow(static_cast<double>(row[static_cast<std::size_t>(i)]) *
                                             static_cast<double>(x(t, i)),
                                         2);
                        }
                        const auto at = static_cast<std::size_t>(t * size.out + o);
                        // Partial sums wander to a few times the root of the summed squares, and
                        // each of n additions rounds by half an eps of that, in a random direction:
                        // sqrt(n) eps.
                        const double bound = 4.0 * 0x1p-23 *
                                             std::sqrt(static_cast<double>(size.in)) *
                                             std::sqrt(squares);
                        const double difference = std::abs(static_cast<double>(y[at]) -
                                                           static_cast<double>(expected[at]));
                        worst = std::isnan(difference) ? 1e9 : std::max(worst, difference / bound);
                    }
                }
                CAPTURE(size.out, size.in, name_of(dtype), n, worst);
                CHECK(worst <= 1.0);
            }
        }
    }
}

/// Among calls of at least `least` tokens.
template <class L>
void check_token_counts(index_t least, const std::vector<Sizes>& sizes) {
    for (const Sizes& size : sizes) {
        for (const DType dtype : kTypes) {
            const Weights weights(size.out, size.in, dtype);
            const std::vector<float> values = Random(73).normals(700 * size.in);
            const View<const float, 2> x(values.data(), {700, size.in});
            const L linear(weights.all());
            const std::vector<float> all = run_linear(linear, x);
            for (const index_t n :
                 {1, 2, 3, 5, 12, 63, 64, 65, 127, 128, 129, 130, 512, 513, 600}) {
                if (n < least) continue;
                for (const index_t first : {0, 7, 70}) {
                    CAPTURE(size.out, size.in, name_of(dtype), n, first);
                    CHECK(bit_equal(run_linear(linear, x.slice(0, first, n)),
                                    first_rows(all, size.out, first, n)));
                }
            }
        }
    }
}

/// What makes packed and split projections equal.
template <class L>
void check_places_of_rows() {
    for (const index_t in : {5, 257}) {
        for (const DType dtype : kTypes) {
            const Weights weights(300, in, dtype);
            const std::vector<float> values = Random(74).normals(3 * in);
            for (const index_t n : {1, 3}) {
                const View<const float, 2> x(values.data(), {n, in});
                const std::vector<float> whole = run_linear(L(weights.all()), x);
                const struct {
                    index_t first, n;
                } parts[] = {{0, 1},    {299, 1}, {5, 3},   {11, 8}, {95, 2},
                             {100, 13}, {1, 96},  {50, 97}, {7, 293}};
                for (const auto& part : parts) {
                    const std::vector<float> y = run_linear(L(weights.rows(part.first, part.n)), x);
                    std::vector<float> expected;
                    for (index_t t = 0; t < n; ++t) {
                        const std::vector<float> piece =
                            first_rows(whole, 1, t * 300 + part.first, part.n);
                        expected.insert(expected.end(), piece.begin(), piece.end());
                    }
                    CAPTURE(in, name_of(dtype), n, part.first, part.n);
                    CHECK(bit_equal(y, expected));
                }
            }
        }
    }
}

template <class L>
void check_strides() {
    for (const Sizes& size : {Sizes{97, 257}, Sizes{11, 40}}) {
        for (const DType dtype : kTypes) {
            const Weights weights(size.out, size.in, dtype);
            const L linear(weights.all());
            for (const index_t n : {1, 2, 66}) {
                const std::vector<float> dense = Random(75).normals(n * size.in);
                const std::vector<float> expected =
                    run_linear(linear, View<const float, 2>(dense.data(), {n, size.in}));
                for (const index_t shift : {0, 1, 3}) {
                    const index_t stride = size.in + 13 + shift;
                    std::vector<float> wide(static_cast<std::size_t>(n * stride + shift), kNaN);
                    for (index_t t = 0; t < n; ++t) {
                        std::copy_n(dense.begin() + t * size.in, size.in,
                                    wide.begin() + shift + t * stride);
                    }
                    const View<const float, 2> x(wide.data() + shift, {n, size.in}, {stride, 1});
                    CAPTURE(size.out, name_of(dtype), n, shift);
                    CHECK(
                        bit_equal(run_linear(linear, x, size.out + 9 + shift, SequentialExecutor{}),
                                  expected));
                }
            }
        }
    }
}

template <class L>
void check_workers() {
    for (const DType dtype : kTypes) {
        const Weights weights(300, 270, dtype);
        const L linear(weights.all());
        const auto bytes = [&](index_t workers) { return linear.scratch_bytes(1, workers); };
        CHECK(bytes(2) > bytes(1));
        CHECK(bytes(5) - bytes(1) == 4 * (bytes(2) - bytes(1)));
        CHECK(linear.scratch_bytes(1, 1) % 4 == 0);
        for (const index_t n : {1, 66}) {
            const std::vector<float> values = Random(76).normals(n * 270);
            const View<const float, 2> x(values.data(), {n, 270});
            const std::vector<float> expected = run_linear(linear, x);
            for (const index_t workers : {1, 2, 3, 16}) {
                CHECK(bit_equal(run_linear(linear, x, 300, BackwardExecutor{workers}), expected));
            }
        }
    }
}

template <class L>
void check_nothing() {
    const Weights weights(10, 20, DType::f32);
    const std::vector<float> values(20, 1.0F);
    CHECK(run_linear(L(weights.all()), View<const float, 2>(values.data(), {0, 20})).empty());
    CHECK(message_of([&] { L linear(weights.rows(0, 0)); }) ==
          "WeightMatrix: view rows: expected at least 1, found 0");
    CHECK(message_of([&] {
              L linear(View<const float, 2>(values.data(), {5, 0}));
          }) == "WeightMatrix: view columns: expected at least 1, found 0");
}

}  // namespace deltanet::test
