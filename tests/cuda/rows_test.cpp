// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Row traffic: copies to the bit, sums of two floats, nothing else touched.
#include "cuda/device.hpp"
#include "cuda/random_tensors.hpp"
#include <deltanet/cuda/ops.hpp>

#include <numeric>

using namespace deltanet;
using namespace deltanet::test;

namespace {

std::vector<float> numbers(index_t n, float first) {
    std::vector<float> values(static_cast<std::size_t>(n));
    std::iota(values.begin(), values.end(), first);
    return values;
}

}  // namespace

TEST_CASE("rows: gathered and added, by list and in order, strides and odd sizes") {
    std::mt19937 generator(211);
    for (const index_t n : {1, 4, 37, 1024, 1030}) {
        for (const index_t misalign : {0, 1}) {
            for (const std::size_t count : {std::size_t{0}, std::size_t{4}, std::size_t{950}}) {
                if (count > 100 && n > 4) continue;
                constexpr index_t n_rows = 6;
                std::vector<index_t> list;
                for (std::size_t i = 0; i < count; ++i)
                    list.push_back(random_index(generator, n_rows));
                const bool in_order = count == 4 && misalign == 0;
                const index_t selected = in_order ? n_rows : static_cast<index_t>(count);
                std::optional<std::span<const index_t>> rows;
                if (!in_order) rows = list;
                const std::vector<float> x = numbers(n_rows * n, 1.0F);
                const std::vector<float> y = numbers(selected * n, 0.5F);
                CAPTURE(n, misalign, count);
                const auto [gathered, added] = for_each_schedule([&] {
                    DeviceTensor<float, 2> input({n_rows, n}, x, 4 * misalign, misalign);
                    DeviceTensor<float, 2> copy({selected, n}, 3 * misalign, misalign);
                    DeviceTensor<float, 2> sum({selected, n}, y, 3 * misalign, misalign);
                    cuda::gather_rows({input.cview(), copy.view(), rows}, nullptr);
                    cuda::add_rows({input.cview(), sum.view(), rows}, nullptr);
                    return std::pair(copy.download(), sum.download());
                });
                bool is_right = true;
                for (index_t i = 0; i < selected * n; ++i) {
                    const auto at = static_cast<std::size_t>(i);
                    const index_t row = in_order ? i / n : list[static_cast<std::size_t>(i / n)];
                    const float from = x[static_cast<std::size_t>(row * n + i % n)];
                    is_right = is_right && gathered[at] == from && added[at] == y[at] + from;
                }
                CHECK(is_right);
            }
        }
    }
}

TEST_CASE("rows: cleared by list") {
    const std::vector<index_t> list{3, 0};
    const auto y = for_each_schedule([&] {
        DeviceTensor<float, 2> rows({5, 6}, numbers(30, 1.0F), 1, 1);
        cuda::clear_rows(rows.view(), list, nullptr);
        cuda::clear_rows(rows.view(), {}, nullptr);
        return rows.download();
    });
    for (std::size_t i = 0; i < y.size(); ++i)
        CHECK(y[i] == (i / 6 == 3 || i / 6 == 0 ? 0.0F : static_cast<float>(i + 1)));
}

TEST_CASE("rows: moved down over each other") {
    for (const index_t first : {0, 1, 3}) {
        const auto y = for_each_schedule([&] {
            DeviceTensor<float, 2> rows({7, 3}, numbers(21, 0.0F), 2, 1);
            cuda::shift_rows(rows.view(), first, 4, nullptr);
            return rows.download();
        });
        for (std::size_t i = 0; i < y.size(); ++i) {
            const std::size_t from = i < 12 ? i + 3 * static_cast<std::size_t>(first) : i;
            CHECK(y[i] == static_cast<float>(from));
        }
    }
}

TEST_CASE("rows: rounded to bfloat16, to nearest, strides and odd sizes") {
    std::mt19937 generator(213);
    for (const index_t n : {1, 4, 36, 37, 1030}) {
        for (const index_t misalign : {0, 1}) {
            const Shape<2> shape{3, n};
            Tensor<float, 2> x(shape);
            x.random(generator, -4.0, 4.0);
            const std::vector<float> values = x.values();
            CAPTURE(n, misalign);
            const std::vector<bf16> rounded = for_each_schedule([&] {
                DeviceTensor<float, 2> input(shape, values, 4 * misalign, misalign);
                DeviceTensor<bf16, 2> output(shape, 3 * misalign, misalign);
                cuda::round_rows(input.cview(), output.view(), nullptr);
                return output.download();
            });
            bool is_right = true;
            for (std::size_t i = 0; i < values.size(); ++i)
                is_right = is_right && rounded[i].bits == to_bf16(values[i]).bits;
            CHECK(is_right);
        }
    }
}
