// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Products with quantised weights against exact arithmetic: the activations are quantised here by
/// the documented rule, everything after that is computed in double. And against the product with
/// the unpacked weights and the activations as they are: within half a step of each group of 32
/// activations times the sum of its |weights|, which is the error that the operator states.
#include "fixtures.hpp"
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include "support/random_blocks.hpp"
#include <deltanet/linear/quantized.hpp>
#include <deltanet/linear/reference.hpp>
#include <deltanet/workspace.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr WeightFormat kFormats[] = {WeightFormat::q8_0, WeightFormat::q4_0, WeightFormat::q4_k,
                                     WeightFormat::q6_k};
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// y of rows `margin` wider than they need be, in NaN that must stay, with scratch full of NaN.
template <class E = SequentialExecutor>
std::vector<float> product(const QuantizedLinear<>& linear, View<const float, 2> x, E executor = {},
                           index_t margin = 3) {
    const index_t n = x.size(0), out = linear.out_features();
    std::vector<float> memory(static_cast<std::size_t>(n * (out + margin) + 5), kNaN);
    const View<float, 2> y(memory.data() + 5, {n, out}, {out + margin, 1});
    const index_t bytes = linear.scratch_bytes(n, executor.concurrency());
    Workspace workspace;
    const std::span<std::byte> scratch = workspace.acquire(bytes);
    std::memset(scratch.data(), 0xFF, scratch.size());
    linear(x, y, scratch.first(static_cast<std::size_t>(bytes)), executor);
    const std::vector<float> result = elements(y);
    for (index_t t = 0; t < n; ++t) std::fill_n(y.ptr(t), out, kNaN);
    CHECK(bit_equal(memory, std::vector<float>(memory.size(), kNaN)));
    return result;
}

std::vector<float> rows_of(const std::vector<float>& y, index_t width, index_t first, index_t n) {
    return {y.begin() + first * width, y.begin() + (first + n) * width};
}

/// Activations as the operator rounds them: 32 share max |x| / 127.
std::vector<double> rounded(const float* x, index_t n) {
    std::vector<double> values;
    for (index_t first = 0; first < n; first += 32) {
        float top = 0.0F;
        for (index_t i = first; i < first + 32; ++i) top = std::max(top, std::abs(x[i]));
        const float scale = top / 127.0F;
        for (index_t i = first; i < first + 32; ++i) {
            const float integer = top == 0.0F ? 0.0F : std::nearbyint(x[i] * (127.0F / top));
            values.push_back(static_cast<double>(scale) * static_cast<double>(integer));
        }
    }
    return values;
}

/// Half of the steps that activations are rounded to: max |x| / 254 of 32, and what the two
/// roundings of the scale and that of x / scale, a number of up to 127, can add.
std::vector<double> half_steps_of(const float* x, index_t n) {
    std::vector<double> steps;
    for (index_t first = 0; first < n; first += 32) {
        double top = 0.0;
        for (index_t i = first; i < first + 32; ++i)
            top = std::max(top, std::abs(static_cast<double>(x[i])));
        steps.push_back(top * (1.0 / 254 + 4 * 0x1p-24));
    }
    return steps;
}

struct Sizes {
    index_t rows, cols;
};
/// Around the rows of panels and tasks, and the columns of spans (256) and of what is unpacked at
/// once (4096); in blocks of 32 where the format allows.
std::vector<Sizes> sizes_of(WeightFormat format) {
    if (block_weights(format) == 256)
        return {{1, 256}, {17, 512}, {63, 768}, {64, 256}, {70, 4352}};
    return {{1, 32},   {3, 96},   {8, 256},  {15, 288},  {16, 32},
            {33, 512}, {64, 480}, {65, 544}, {70, 4128}, {131, 64}};
}

}  // namespace

TEST_CASE("products with quantised weights equal exact ones with rounded activations") {
    for (const WeightFormat format : kFormats) {
        for (const Sizes& size : sizes_of(format)) {
            CAPTURE(name_of(format), size.rows, size.cols);
            const RandomBlocks blocks(format, size.rows, size.cols);
            const WeightMatrix weight = blocks.matrix();
            const QuantizedLinear<> linear(weight);
            CHECK(linear.in_features() == size.cols);
            CHECK(linear.out_features() == size.rows);
            const index_t most = 21;
            std::vector<float> values = Random(7).normals(most * size.cols);
            std::fill_n(values.begin(), 32, 0.0F);  // a group of zeros
            const View<const float, 2> x(values.data(), {most, size.cols});
            const std::vector<float> all = product(linear, x);
            std::vector<float> row(static_cast<std::size_t>(size.cols));
            double worst = 0.0, worst_float = 0.0, worst_stated = 0.0;
            for (index_t t = 0; t < most; ++t) {
                const std::vector<double> q = rounded(x.ptr(t), size.cols);
                const std::vector<double> half_steps = half_steps_of(x.ptr(t), size.cols);
                for (index_t o = 0; o < size.rows; ++o) {
                    weight.load(o, 0, size.cols, row.data());
                    double exact = 0.0, of_floats = 0.0, terms = 0.0, rounding = 0.0;
                    double stated = 0.0;
                    for (index_t i = 0; i < size.cols; ++i) {
                        const auto at = static_cast<std::size_t>(i);
                        const auto w = static_cast<double>(row[at]);
                        exact += w * q[at];
                        of_floats += w * static_cast<double>(x(t, i));
                        terms += std::abs(w * q[at]);
                        rounding += std::abs(w * (q[at] - static_cast<double>(x(t, i))));
                        stated += std::abs(w) * half_steps[static_cast<std::size_t>(i / 32)];
                    }
                    const auto y =
                        static_cast<double>(all[static_cast<std::size_t>(t * size.rows + o)]);
                    // A group's term is off by the roundings of its scales and their product, of
                    // Q4_K also by a minimum's, and each group rounds the sum once; of Q4_K
                    // twice, since the minimum goes in apart.
                    const double groups = static_cast<double>(size.cols) / 32;
                    const double tolerance = (2 * groups + 6) * 0x1p-24 * terms + 1e-30;
                    worst = std::max(worst, std::abs(y - exact) / tolerance);
                    const double error = std::abs(y - of_floats) - tolerance;
                    worst_float = std::max(worst_float, error / (rounding + 1e-30));
                    worst_stated = std::max(worst_stated, error / (stated + 1e-30));
                }
            }
            CHECK(worst <= 1.0);
            CHECK(worst_float <= 1.0);
            CHECK(worst_stated <= 1.0);
            // the same bits for any number of tokens, and whoever runs the tasks
            for (const index_t n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13}) {
                CAPTURE(n);
                CHECK(bit_equal(product(linear, x.slice(0, most - n, n)),
                                rows_of(all, size.rows, most - n, n)));
            }
            CHECK(bit_equal(product(linear, x, BackwardExecutor{}), all));
        }
    }
}

TEST_CASE("the stated error of products with quantised weights is that of the worst activations") {
    for (const WeightFormat format : kFormats) {
        CAPTURE(name_of(format));
        const RandomBlocks blocks(format, 1, 256);
        std::vector<float> w(256), x(256);
        blocks.matrix().load(0, 0, 256, w.data());
        double of_floats = 0.0, stated = 0.0;
        for (std::size_t i = 0; i < 256; ++i) {
            // 0.49 of a step of 1 / 127 away from an integer, towards the sign of its weight
            x[i] = i % 32 == 0
                       ? 1.0F
                       : std::copysign((static_cast<float>(i % 100) + 0.49F) / 127.0F, w[i]);
            of_floats += static_cast<double>(w[i]) * static_cast<double>(x[i]);
            stated += std::abs(static_cast<double>(w[i])) / 254.0;
        }
        const View<const float, 2> row(x.data(), {1, 256});
        const auto y = static_cast<double>(product(QuantizedLinear<>(blocks.matrix()), row)[0]);
        CHECK(of_floats - y <= stated);
        CHECK(of_floats - y > 0.9 * stated);
    }
}

TEST_CASE("many tokens go through in blocks with the same bits") {
    const RandomBlocks blocks(WeightFormat::q4_0, 9, 64);
    const QuantizedLinear<> linear(blocks.matrix());
    const std::vector<float> values = Random(8).normals(1100 * 64);
    const View<const float, 2> x(values.data(), {1100, 64});
    const std::vector<float> all = product(linear, x);
    for (const index_t first : {0, 510, 1023, 1090})
        CHECK(bit_equal(product(linear, x.slice(0, first, 10)), rows_of(all, 9, first, 10)));
}

TEST_CASE("parts of quantised matrices have the bits of the whole") {
    for (const WeightFormat format : kFormats) {
        CAPTURE(name_of(format));
        const RandomBlocks blocks(format, 40, 1024);
        const QuantizedLinear<> whole(blocks.matrix());
        const std::vector<float> values = Random(9).normals(6 * 1024);
        const View<const float, 2> x(values.data(), {6, 1024});
        for (const index_t n : {2, 6}) {
            const std::vector<float> all = product(whole, x.slice(0, 0, n));
            const std::vector<float> some = product(whole.outputs(5, 30), x.slice(0, 0, n));
            for (index_t t = 0; t < n; ++t)
                CHECK(
                    bit_equal(rows_of(some, 30, t, 1), rows_of(rows_of(all, 40, t, 1), 1, 5, 30)));
        }
        // A share of the inputs: the parts add up.
        const auto inputs = [&](index_t first, index_t n) {
            return product(whole.inputs(first, n), x.slice(1, first, n));
        };
        std::vector<float> sum = inputs(0, 256);
        const std::vector<float> rest = inputs(256, 768);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += rest[i];
        CHECK(relative_rms(sum, product(whole, x)) < 1e-6);
    }
}

TEST_CASE("activations of any size, and such that are not finite") {
    for (const WeightFormat format : kFormats) {
        CAPTURE(name_of(format));
        const RandomBlocks blocks(format, 20, 256);
        const QuantizedLinear<> linear(blocks.matrix());
        const std::vector<float> values = Random(10).normals(6 * 256);
        for (const index_t n : {3, 6}) {
            CAPTURE(n);
            const auto with = [&](index_t token, float value) {
                std::vector<float> x = values;
                x[static_cast<std::size_t>(token * 256 + 70)] = value;
                return product(linear, View<const float, 2>(x.data(), {n, 256}));
            };
            const std::vector<float> usual = with(1, 1.0F);
            for (const float value : {kNaN, std::numeric_limits<float>::infinity(),
                                      -std::numeric_limits<float>::infinity()}) {
                const std::vector<float> y = with(1, value);
                CHECK(bit_equal(rows_of(y, 20, 0, 1), rows_of(usual, 20, 0, 1)));
                CHECK(bit_equal(rows_of(y, 20, 2, 1), rows_of(usual, 20, 2, 1)));
                for (const float number : rows_of(y, 20, 1, 1)) CHECK(std::isnan(number));
            }
            // Scaling by a power of two scales the result, down to where it is zero.
            for (const float factor : {0x1p100F, 0x1p-80F}) {
                std::vector<float> x = values, expected;
                for (float& number : x) number *= factor;
                expected = product(linear, View<const float, 2>(values.data(), {n, 256}));
                for (float& number : expected) number *= factor;
                CHECK(product(linear, View<const float, 2>(x.data(), {n, 256})) == expected);
            }
            std::vector<float> x = values;
            for (float& number : x) number *= 0x1p-140F;
            for (const float y : product(linear, View<const float, 2>(x.data(), {n, 256})))
                CHECK(y == 0.0F);
        }
    }
}

TEST_CASE("weights that are plain numbers go through DenseLinear") {
    const std::vector<float> w = Random(11).normals(30 * 50), x = Random(12).normals(4 * 50);
    const QuantizedLinear<> linear(View<const float, 2>(w.data(), {30, 50}));
    CHECK(linear.input_block() == 1);
    const View<const float, 2> rows(x.data(), {4, 50});
    std::vector<float> expected(4 * 30);
    SequentialExecutor executor;
    const DenseLinear<> dense(View<const float, 2>(w.data(), {30, 50}));
    Workspace workspace;
    dense(rows, View<float, 2>(expected.data(), {4, 30}),
          workspace.acquire(dense.scratch_bytes(4, 1)), executor);
    CHECK(bit_equal(product(linear, rows), expected));
}
