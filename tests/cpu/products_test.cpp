// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Products of bfloat16 pairs, emulated and by the CPU's instruction where this arch has one: which
/// lane and which half of a word meets which, what is rounded, and what packing leaves alone.
#include "fixtures.hpp"
#include <deltanet/cpu/kernels/gemm_micro.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Arch = cpu::default_arch;
using Batch = xsimd::batch<float, Arch>;
constexpr index_t kLanes = n_lanes<float>;

/// f(Products{}) for every kind that can be run here.
template <class A = Arch, class F>
void for_each_kind(F&& f) {
    f(cpu::EmulatedBf16Products{});
    if constexpr (cpu::has_bf16_products<A>) f(cpu::Bf16Products<A>{});
}

double rounded(float x) { return static_cast<double>(to_float(to_bf16(x))); }

/// One register tile of a [rows, n] b [n, cols] with operands packed from floats.
template <class Products, int Rows>
void check_tile(std::mt19937& generator, index_t n) {
    using Tile = cpu::kernels::RegisterTile<Arch, float, Rows, 2>;
    constexpr index_t cols = Tile::cols;
    const index_t words = (n + 1) / 2;
    Tensor<float, 2> at({n, Rows});  // a transposed
    Tensor<float, 2> b({n, cols});
    at.random(generator, -1, 1);
    b.random(generator, -1, 1);
    Tensor<float, 2> at_words({words, Rows});
    Tensor<float, 2> b_words({words, cols});
    Tensor<float, 2> c({Rows, cols});
    cpu::pack_rows<Arch>(at.view().data(), Rows, at_words.view().data(), Rows, n, Rows);
    cpu::pack_rows<Arch>(b.view().data(), cols, b_words.view().data(), cols, n, cols);
    CHECK(at_words.red_zone_intact());
    CHECK(b_words.red_zone_intact());
    Tile tile;
    tile.zero();
    tile.template add_product<Products>(at_words.view().data(), 1, Rows, b_words.view().data(),
                                        cols, words);
    tile.store_to(c.view().data(), cols);
    Tensor<double, 2> expected({Rows, cols});
    for (index_t r = 0; r < Rows; ++r) {
        for (index_t j = 0; j < cols; ++j) {
            double sum = 0.0;
            for (index_t p = 0; p < n; ++p)
                sum += rounded(at.view()(p, r)) * rounded(b.view()(p, j));
            expected.view()(r, j) = sum;
        }
    }
    std::vector<double> actual;
    for (const float x : c.values()) actual.push_back(static_cast<double>(x));
    CAPTURE(Rows, n);
    // Products of two bfloat16 numbers are exact floats below 1; a sum of n is rounded n times, by
    // some instructions towards odd, which is at most a whole unit.
    check_elements(actual, expected.values(), 0.0,
                   2.0 * eps<float>() * static_cast<double>(n) * std::sqrt(static_cast<double>(n)));
}

}  // namespace

TEST_CASE("a word of one operand meets the word of the other, half by half", "[products]") {
    for_each_kind([](auto products) {
        using Products = decltype(products);
        for (index_t lane = 0; lane < kLanes; ++lane) {
            for (int half = 0; half < 2; ++half) {
                alignas(64) std::uint32_t one[static_cast<std::size_t>(kLanes)] = {};
                alignas(64) std::uint32_t all[static_cast<std::size_t>(kLanes)];
                one[lane] = 0x3F80U << (16 * half);     // 1
                for (index_t i = 0; i < kLanes; ++i) {  // 2 i + 2 and -(2 i + 3)
                    const auto n = static_cast<float>(2 * i + 2);
                    all[i] = static_cast<std::uint32_t>(to_bf16(n).bits) |
                             (static_cast<std::uint32_t>(to_bf16(-n - 1.0F).bits) << 16);
                }
                float a[static_cast<std::size_t>(kLanes)], b[static_cast<std::size_t>(kLanes)];
                std::memcpy(a, one, sizeof(a));
                std::memcpy(b, all, sizeof(b));
                float sums[static_cast<std::size_t>(kLanes)];
                Products::add(Batch::load_unaligned(a), Batch::load_unaligned(b), Batch(0.5F))
                    .store_unaligned(sums);
                for (index_t i = 0; i < kLanes; ++i) {
                    const auto n = static_cast<float>(2 * i + 2);
                    const float product = half == 0 ? n : -n - 1.0F;
                    CAPTURE(lane, half, i);
                    CHECK(sums[i] == 0.5F + (i == lane ? product : 0.0F));
                }
            }
        }
    });
}

TEST_CASE("both halves of a word are added", "[products]") {
    for_each_kind([](auto products) {
        using Products = decltype(products);
        const float pair = std::bit_cast<float>(0x40403F80U);   // (1, 3)
        const float other = std::bit_cast<float>(0x40A04000U);  // (2, 5)
        float sums[static_cast<std::size_t>(kLanes)];
        Products::add(Batch(pair), Batch(other), Batch(100.0F)).store_unaligned(sums);
        for (const float sum : sums) CHECK(sum == 117.0F);
    });
}

TEST_CASE("register tiles of bfloat16 words against the product of rounded numbers", "[products]") {
    std::mt19937 generator(91);
    for_each_kind([&](auto products) {
        using Products = decltype(products);
        for (const index_t n : {1, 2, 3, 16, 31, 128}) {
            check_tile<Products, 1>(generator, n);
            check_tile<Products, 5>(generator, n);
        }
    });
}

TEST_CASE("neighbours of a row are packed in order, with zeros behind them", "[products]") {
    std::mt19937 generator(92);
    for (const index_t n : {1, 2, 8, 15, 16, 33, 64}) {
        for (const index_t padded : {(n + 1) / 2 * 2, (n + 31) / 32 * 32}) {
            Tensor<float, 1> row({n});
            row.random(generator, -1, 1);
            Tensor<float, 1> words({padded / 2});
            cpu::pack_neighbours<Arch>(row.view().data(), words.view().data(), n, padded);
            CHECK(words.red_zone_intact());
            for (index_t i = 0; i < padded; ++i) {
                const auto word = std::bit_cast<std::uint32_t>(words.view()(i / 2));
                CAPTURE(n, padded, i);
                CHECK(((word >> (16 * (i % 2))) & 0xFFFFU) ==
                      (i < n ? to_bf16(row.view()(i)).bits : 0));
            }
        }
    }
}
