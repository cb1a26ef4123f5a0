// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The pieces of the chunked delta rule by themselves: the register tile, the solve, the prepared
/// matrices.
#include "fixtures.hpp"

using namespace deltanet;
using namespace deltanet::test;
using namespace deltanet::cpu;

namespace {

using Arch = cpu::default_arch;
constexpr int max_rows = tuning::tile_rows<Arch>;
constexpr int batches = tuning::tile_batches<Arch>;

template <class T>
double dot(const T* a, index_t stride_a, const T* b, index_t stride_b, index_t n) {
    double sum = 0.0;
    for (index_t p = 0; p < n; ++p)
        sum += static_cast<double>(a[p * stride_a]) * static_cast<double>(b[p * stride_b]);
    return sum;
}

}  // namespace

TEMPLATE_TEST_CASE("a register tile is a matrix product for every number of rows",
                   "[chunk_kernels]", float, double) {
    using T = TestType;
    constexpr index_t cols = batches * n_lanes<T>;
    std::mt19937 generator(81);
    for (index_t n_rows = 0; n_rows <= 2 * max_rows + 1; ++n_rows) {
        for (const index_t n : {0, 1, 2, 65}) {
            for (index_t width = 0; width <= cols; width += width < 3 ? 1 : 3) {
                Tensor<T, 2> a({n_rows, n}, 3, 1);
                Tensor<T, 2> b({n, cols}, 5, 3);
                Tensor<T, 2> c({n_rows, width}, 2, 1);
                a.random(generator, -1, 1);
                b.random(generator, -1, 1);
                kernels::for_each_row_tile<max_rows>(n_rows, [&](auto rows, index_t row) noexcept {
                    kernels::RegisterTile<Arch, T, rows.value, batches> tile;
                    tile.zero();
                    tile.add_product(a.cview().ptr(row), a.cview().stride(0), 1, b.cview().data(),
                                     b.cview().stride(0), n);
                    tile.store_to(c.view().data() + row * c.view().stride(0), c.view().stride(0),
                                  width);
                });
                CAPTURE(n_rows, n, width);
                CHECK(c.red_zone_intact());
                Tensor<double, 2> expected({n_rows, width});
                for (index_t i = 0; i < n_rows; ++i) {
                    for (index_t j = 0; j < width; ++j) {
                        expected.view()(i, j) =
                            dot(a.cview().ptr(i), 1, b.cview().data() + j, b.cview().stride(0), n);
                    }
                }
                Tensor<double, 2> actual({n_rows, width});
                actual.copy_from(c);
                // n products of at most 1, each rounded once.
                check_elements(actual.values(), expected.values(), 0.0,
                               eps<T>() * (1.0 + static_cast<double>(n)));
            }
        }
    }
}

TEMPLATE_TEST_CASE("the chunk solve inverts I + A", "[chunk_kernels]", float, double) {
    using T = TestType;
    constexpr index_t cols = batches * n_lanes<T>;
    std::mt19937 generator(82);
    for (const index_t n : {1, 5, 6, 7, 12, 13, 24, 63, 64}) {
        Tensor<T, 2> minus_a({n, n});
        Tensor<T, 2> r({n, cols});
        Tensor<T, 2> u({n, cols});
        minus_a.random(generator, -0.2, 0.2);
        // What the solve must not read: the diagonal and above.
        for (index_t i = 0; i < n; ++i) {
            for (index_t j = i; j < n; ++j) minus_a.view()(i, j) = red_zone<T>();
        }
        r.random(generator, -1, 1);
        kernels::for_each_row_tile<max_rows>(n, [&](auto rows, index_t row) noexcept {
            kernels::RegisterTile<Arch, T, rows.value, batches> tile;
            tile.load_from(r.cview().ptr(row), cols);
            kernels::chunk_solve(tile, minus_a.cview().data(), n, u.cview().data(), cols, row);
            tile.store_to(u.view().ptr(row), cols);
        });
        Tensor<T, 2> residual({n, cols});
        for (index_t i = 0; i < n; ++i) {
            for (index_t j = 0; j < cols; ++j) {
                const double product =
                    dot(minus_a.cview().ptr(i), 1, u.cview().data() + j, cols, i);
                residual.view()(i, j) =
                    static_cast<T>(static_cast<double>(u.view()(i, j)) - product);
            }
        }
        double largest = 1.0;
        for (const T x : u.values()) largest = std::max(largest, std::abs(static_cast<double>(x)));
        CAPTURE(n);
        // Row i sums i products of 0.2 times u, each rounded once.
        check_elements(residual.values(), r.values(), 0.0,
                       eps<T>() * (1.0 + 0.2 * static_cast<double>(n)) * largest);
    }
}

TEMPLATE_TEST_CASE("sums across lanes, of every batch its own", "[chunk_kernels]", float, double) {
    using T = TestType;
    using Batch = xsimd::batch<T, Arch>;
    constexpr index_t size = n_lanes<T>;
    // Small integers: sums in any order are exact.
    Batch summed[Batch::size];
    T expected[Batch::size], found[Batch::size];
    for (index_t b = 0; b < size; ++b) {
        T values[Batch::size];
        expected[b] = T(0);
        for (index_t i = 0; i < size; ++i)
            expected[b] += values[i] = static_cast<T>((b + 1) * (i * i + 3) - 7 * b);
        summed[b] = Batch::load_unaligned(values);
    }
    lane_sums<Arch>(summed).store_unaligned(found);
    for (index_t b = 0; b < size; ++b) CHECK(found[b] == expected[b]);
}

TEMPLATE_TEST_CASE("dot products of rows, the lower triangle", "[chunk_kernels]", float, double) {
    using T = TestType;
    constexpr index_t C = tuning::chunk_tokens<Arch>;
    constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
    std::mt19937 generator(86);
    for (const index_t n_tokens : {index_t{1}, index_t{3}, index_t{4}, index_t{5}, C - 1, C}) {
        for (const index_t words : {line, 3 * line}) {
            Tensor<T, 2> a({C, words}), b({C, words}), product({C, C});
            a.random(generator, -1, 1);
            b.random(generator, -1, 1);
            // Rows have to be aligned, which a Tensor's need not be.
            alignas(64) T rows[2][static_cast<std::size_t>(C * 3 * line)];
            std::copy_n(a.cview().data(), C * words, rows[0]);
            std::copy_n(b.cview().data(), C * words, rows[1]);
            kernels::lower_dots<Arch, T, C, PlainProducts>(rows[0], rows[1], words,
                                                           product.view().data(), n_tokens, words);
            CHECK(product.red_zone_intact());
            for (index_t i = 0; i < n_tokens; ++i) {
                for (index_t j = 0; j <= i; ++j) {
                    CAPTURE(n_tokens, words, i, j);
                    const double exact = dot(rows[0] + i * words, 1, rows[1] + j * words, 1, words);
                    // Products of at most 1, each rounded once, and their sums.
                    CHECK(std::abs(static_cast<double>(product.view()(i, j)) - exact) <=
                          eps<T>() * (1.0 + static_cast<double>(words)));
                }
            }
        }
    }
}

namespace {

template <class T, index_t chunk>
void check_prepared_matrices() {
    using Scratch = kernels::ChunkScratch<Arch, T, chunk, PlainProducts>;
    std::mt19937 generator(83);
    for (const index_t n : {index_t{1}, index_t{2}, chunk / 2 + 1, chunk - 1, chunk}) {
        constexpr index_t d_k = 20;
        Tensor<T, 2> k({n, d_k}, 3);
        Tensor<T, 2> q({n, d_k}, 7);
        Tensor<T, 1> g({n});
        Tensor<T, 1> beta({n});
        k.random(generator, -1, 1).normalise();
        q.random(generator, -1, 1).normalise();
        beta.random(generator, 0.1, 1.9);
        g.for_each([&](T& x) {
            x = static_cast<T>(
                generator() % 9 == 0 ? -3000.0 : -1e-2 * static_cast<double>(generator() % 10));
        });
        Tensor<T, 1> memory({Scratch::bytes(kernels::GateKind::per_head, d_k, 1) /
                             static_cast<index_t>(sizeof(T))});
        memory.fill(red_zone<T>());
        Scratch scratch{};
        scratch.carve(memory.view().data(), kernels::GateKind::per_head, d_k, 1);
        const T scale = T(0.5);
        kernels::chunk_products<Arch>(k.cview().data(), k.cview().stride(0), q.cview().data(),
                                      q.cview().stride(0), n, d_k, scratch);
        kernels::chunk_gate<Arch>(g.cview().data(), 1, beta.cview().data(), 1, n, d_k, scale,
                                  scratch);
        CAPTURE(n);
        double prefix = 0.0;
        for (index_t i = 0; i < n; ++i) {
            prefix += static_cast<double>(g.view()(i));
            double suffix = 0.0;
            for (index_t j = i + 1; j < n; ++j) suffix += static_cast<double>(g.view()(j));
            // A sum of up to 64 exponents of up to 0.1 in all, and a dot product of d_k terms.
            const double bound = eps<T>() * (8.0 + d_k);
            CHECK(std::abs(static_cast<double>(scratch.read_q[i]) - 0.5 * std::exp(prefix)) <=
                  bound);
            CHECK(std::abs(static_cast<double>(scratch.write[i]) - std::exp(suffix)) <= bound);
            CHECK(std::abs(static_cast<double>(scratch.read_k[i]) +
                           static_cast<double>(beta.view()(i)) * std::exp(prefix)) <= bound);
            double decay = 0.0;  // sum of g over (j, i]
            bool masked = true;
            bool right = true;
            for (index_t j = chunk - 1; j >= 0; --j) {
                const T a = scratch.minus_a[i * chunk + j];
                const T p = scratch.p[i * chunk + j];
                if (j >= i) masked = masked && same_bits(a, T(0));
                if (j > i) masked = masked && same_bits(p, T(0));
                if (j > i) continue;
                if (j < i) decay += static_cast<double>(g.view()(j + 1));
                const double kk = dot(k.cview().ptr(i), 1, k.cview().ptr(j), 1, d_k);
                const double qk = dot(q.cview().ptr(i), 1, k.cview().ptr(j), 1, d_k);
                const double b = static_cast<double>(beta.view()(i));
                if (j < i)
                    right = right &&
                            std::abs(static_cast<double>(a) + b * std::exp(decay) * kk) <= bound;
                right =
                    right && std::abs(static_cast<double>(p) - 0.5 * std::exp(decay) * qk) <= bound;
            }
            CHECK(masked);
            CHECK(right);
        }
        CHECK(std::abs(static_cast<double>(scratch.total[0]) - std::exp(prefix)) <= eps<T>() * 8.0);
    }
}

}  // namespace

TEMPLATE_TEST_CASE("the prepared matrices: masks exactly 0, exponents right beside -3000",
                   "[chunk_kernels]", float, double) {
    check_prepared_matrices<TestType, tuning::chunk_tokens<Arch>>();
    check_prepared_matrices<TestType, kGridTokens>();
}

TEMPLATE_TEST_CASE("a matrix of any size is transposed", "[chunk_kernels]", float, double) {
    using T = TestType;
    std::mt19937 generator(84);
    for (index_t rows = 0; rows <= 9; ++rows) {
        for (index_t cols = 0; cols <= 9; ++cols) {
            Tensor<T, 2> from({rows, cols}, 3, 1);
            Tensor<T, 2> to({cols, rows}, 5, 2);
            from.random(generator, -1, 1);
            cpu::transpose(from.cview().data(), from.cview().stride(0), to.view().data(),
                           to.view().stride(0), rows, cols);
            CAPTURE(rows, cols);
            CHECK(to.red_zone_intact());
            bool same = true;
            for (index_t r = 0; r < rows; ++r) {
                for (index_t c = 0; c < cols; ++c)
                    same = same && same_bits(to.view()(c, r), from.view()(r, c));
            }
            CHECK(same);
        }
    }
}
