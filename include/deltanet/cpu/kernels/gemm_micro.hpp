// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The one matrix product of the chunked delta rule: a tile of C held in registers,
///   C[rows, cols] += A[rows, n] B[n, cols]
/// with rows of B and C contiguous and padded to whole batches, and elements of A broadcast one by
/// one. What happens to a tile before and after (scaling, elimination, stores) is the caller's: it
/// stays in registers meanwhile. An element of C is one chain of multiply-adds in ascending order
/// of the contracted index, whatever the tile's shape, so results do not depend on how C is cut
/// into tiles.
#pragma once

#include <deltanet/cpu/products.hpp>

#include <utility>

namespace deltanet::cpu::kernels {

/// Loops are folds over index sequences: unrolled at any level of optimisation, which is what lets
/// the compiler keep `acc` in registers.
template <class Arch, class T, int Rows, int Batches>
class RegisterTile {
  public:
    using Batch = xsimd::batch<T, Arch>;
    static constexpr int rows = Rows;
    static constexpr index_t cols = Batches * lanes<Arch, T>;

    DELTANET_FORCE_INLINE Batch& at(int row, int batch) noexcept { return acc_[row][batch]; }

    DELTANET_FORCE_INLINE void zero() noexcept {
        each([](Batch& acc, int, int) noexcept { acc = Batch(T(0)); });
    }

    DELTANET_FORCE_INLINE void load_from(const T* c, index_t ldc) noexcept {
        each([=](Batch& acc, int r, int b) noexcept {
            acc = load<Arch>(c + r * ldc + b * lanes<Arch, T>);
        });
    }

    DELTANET_FORCE_INLINE void scale(T factor) noexcept {
        const Batch f(factor);
        each([=](Batch& acc, int, int) noexcept { acc = acc * f; });
    }

    /// Row r times factors[r].
    DELTANET_FORCE_INLINE void scale_rows(const T* factors) noexcept {
        each([=](Batch& acc, int r, int) noexcept { acc = acc * Batch(factors[r]); });
    }

    /// += a [rows, n] b [n, cols], in words of Products. a has any strides: with neighbouring rows
    /// side by side, all of a step's words come from one line.
    template <class Products = PlainProducts>
    DELTANET_FORCE_INLINE void add_product(const T* a, index_t a_row, index_t a_step, const T* b,
                                           index_t ldb, index_t n) noexcept {
        RowWords words(a, a_row);
        for (index_t p = 0; p < n; ++p, words.advance(a_step), b += ldb)
            add_outer<Products>(words, b, RowIndices{});
    }

    /// The same, with f(0), f(1), ... f(parts - 1) on the way, evenly spread over the n steps: what
    /// asks for memory goes between blocks of arithmetic, a little at a time, or the core's few
    /// fill buffers are all taken and the loads of the product wait.
    template <class Products, class F>
    DELTANET_FORCE_INLINE void add_product_while(const T* a, index_t a_row, index_t a_step,
                                                 const T* b, index_t ldb, index_t n, int parts,
                                                 F f) noexcept {
        RowWords words(a, a_row);
        index_t p = 0;
        for (int part = 0; part < parts; ++part) {
            const index_t end = n * (part + 1) / parts;
            for (; p < end; ++p, words.advance(a_step), b += ldb)
                add_outer<Products>(words, b, RowIndices{});
            f(part);
        }
    }

    DELTANET_FORCE_INLINE void store_to(T* c, index_t ldc) const noexcept {
        for_each_index([=, this](int r, int b) noexcept {
            acc_[r][b].store_unaligned(c + r * ldc + b * lanes<Arch, T>);
        });
    }

    /// The first `width` columns only.
    DELTANET_FORCE_INLINE void store_to(T* c, index_t ldc, index_t width) const noexcept {
        for_each_index([=, this](int r, int b) noexcept {
            store<Arch>(c + r * ldc + b * lanes<Arch, T>, acc_[r][b], width - b * lanes<Arch, T>);
        });
    }

    /// f(accumulator, row, batch) for every accumulator.
    template <class F>
    DELTANET_FORCE_INLINE void each(F f) noexcept {
        for_each_index([&](int r, int b) noexcept { f(acc_[r][b], r, b); });
    }

  private:
    using RowIndices = std::make_integer_sequence<int, Rows>;
    using BatchIndices = std::make_integer_sequence<int, Batches>;

    template <class F>
    DELTANET_FORCE_INLINE static void for_each_index(F f) noexcept {
        for_each_index(f, std::make_integer_sequence<int, Rows * Batches>{});
    }
    template <class F, int... I>
    DELTANET_FORCE_INLINE static void for_each_index(F& f,
                                                     std::integer_sequence<int, I...>) noexcept {
        (f(I / Batches, I % Batches), ...);
    }

    /// One step's words of a, whose rows are `stride` apart. From two pointers: with one the
    /// compiler keeps a register for each multiple of the stride, and everything else is spilled.
    class RowWords {
      public:
        DELTANET_FORCE_INLINE RowWords(const T* a, index_t stride) noexcept
            : low_(a), high_(a + 4 * stride), stride_(stride) {
            if (Rows > 4 && !__builtin_constant_p(stride)) compat::hide(high_);
        }
        template <int R>
        [[nodiscard]] DELTANET_FORCE_INLINE T at() const noexcept {
            return R < 4 ? low_[R * stride_] : high_[(R - 4) * stride_];
        }
        DELTANET_FORCE_INLINE void advance(index_t step) noexcept {
            low_ += step;
            high_ += step;
        }

      private:
        const T* low_;
        const T* high_;
        index_t stride_;
    };

    template <class Products, int... R>
    DELTANET_FORCE_INLINE void add_outer(const RowWords& words, const T* b,
                                         std::integer_sequence<int, R...>) noexcept {
        BatchRow row = load_row(b, BatchIndices{});
        for (Batch& batch : row.batch) compat::keep_in_register(batch);
        (add_row<Products, R>(Batch(words.template at<R>()), row, BatchIndices{}), ...);
    }

    struct BatchRow {
        Batch batch[static_cast<std::size_t>(Batches)];
    };
    template <int... B>
    DELTANET_FORCE_INLINE static BatchRow load_row(const T* b,
                                                   std::integer_sequence<int, B...>) noexcept {
        return {{load<Arch>(b + B * lanes<Arch, T>)...}};
    }
    template <class Products, int R, int... B>
    DELTANET_FORCE_INLINE void add_row(const Batch& a, const BatchRow& row,
                                       std::integer_sequence<int, B...>) noexcept {
        ((acc_[R][B] = Products::add(a, row.batch[B], acc_[R][B])), ...);
    }

    Batch acc_[static_cast<std::size_t>(Rows)][static_cast<std::size_t>(Batches)];
};

/// Calls f(std::integral_constant<int, R>, row0) for tiles that cover [0, n): as few tiles as
/// possible with at most MaxRows rows each, and all of nearly the same size R, because a small tile
/// at the end cannot hide the latency of its multiply-adds.
template <int MaxRows, class F>
DELTANET_FORCE_INLINE void for_each_row_tile(index_t n, F&& f) noexcept {
    if (n % MaxRows == 0) {  // the usual case, without a division
        for (index_t row = 0; row < n; row += MaxRows)
            f(std::integral_constant<int, MaxRows>{}, row);
        return;
    }
    const index_t tiles = (n + MaxRows - 1) / MaxRows;
    const index_t small = n / tiles;  // n = tiles * small + taller
    const index_t taller = n % tiles;
    index_t row = 0;
    const auto repeat = [&](auto rows, index_t count) noexcept {
        for (index_t tile = 0; tile < count; ++tile, row += rows.value) f(rows, row);
    };
    [&]<int... R>(std::integer_sequence<int, R...>) noexcept {
        (void)((small + 1 == R + 1 &&
                (repeat(std::integral_constant<int, R + 1>{}, taller), true)) ||
               ...);
        (void)((small == R + 1 &&
                (repeat(std::integral_constant<int, R + 1>{}, tiles - taller), true)) ||
               ...);
    }
    (std::make_integer_sequence<int, MaxRows>{});
}

}  // namespace deltanet::cpu::kernels
