// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A weight matrix [out, in] as it lies in memory, of plain numbers or of quantised blocks along
/// its rows, not owned; what the library's own linear operators are made of.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/dtype.hpp>
#include <deltanet/linear/ggml_blocks.hpp>
#include <deltanet/views.hpp>

#include <cstring>

namespace deltanet {

class WeightMatrix {
  public:
    WeightMatrix() = default;

    /// From a view [out, in] with innermost stride 1 and any row stride. Implicit: a view of
    /// weights is one.
    WeightMatrix(View<const float, 2> view) : WeightMatrix(WeightFormat::f32, view) {}  // NOLINT
    WeightMatrix(View<float, 2> view) : WeightMatrix(View<const float, 2>(view)) {}     // NOLINT
    WeightMatrix(View<const bf16, 2> view) : WeightMatrix(WeightFormat::bf16, view) {}  // NOLINT
    WeightMatrix(View<const f16, 2> view) : WeightMatrix(WeightFormat::f16, view) {}    // NOLINT

    /// From blocks of a quantised format, row after row, at any address. The number of columns is a
    /// multiple of `block_weights(format)`.
    WeightMatrix(WeightFormat format, const std::byte* blocks, const Shape<2>& shape)
        : data_(blocks),
          rows_(shape[0]),
          cols_(shape[1]),
          row_bytes_(shape[1] / block_weights(format) * block_bytes(format)),
          format_(format) {
        const char* const where = "WeightMatrix";
        detail::check_at_least(where, "rows", rows_, 1);
        detail::check_at_least(where, "columns", cols_, 1);
        if (block_weights(format) == 1)
            detail::fail(where, "format", "a quantised one", name_of(format));
        if (cols_ % block_weights(format) != 0) {
            detail::fail(
                where, "columns",
                detail::concat("a multiple of ", block_weights(format), " for ", name_of(format)),
                detail::concat(cols_));
        }
        if (blocks == nullptr) detail::fail(where, "blocks", "data", "a null pointer");
    }

    [[nodiscard]] index_t rows() const noexcept { return rows_; }
    [[nodiscard]] index_t cols() const noexcept { return cols_; }
    [[nodiscard]] WeightFormat format() const noexcept { return format_; }

    /// Rows [first, first + n): these outputs. A view.
    [[nodiscard]] WeightMatrix outputs(index_t first, index_t n) const {
        check_part("outputs", first, n, rows_, 1);
        WeightMatrix part = *this;
        part.data_ = row(first);
        part.rows_ = n;
        return part;
    }
    /// Columns [first, first + n), whole blocks: what these inputs contribute. A view.
    [[nodiscard]] WeightMatrix inputs(index_t first, index_t n) const {
        const index_t block = block_weights(format_);
        check_part("inputs", first, n, cols_, block);
        WeightMatrix part = *this;
        part.data_ = row(0) + first / block * block_bytes(format_);
        part.cols_ = n;
        return part;
    }

    /// With format() f32 only: the matrix itself.
    [[nodiscard]] View<const float, 2> as_float() const noexcept {
        DELTANET_ASSERT(format_ == WeightFormat::f32);
        return {static_cast<const float*>(data_),
                {rows_, cols_},
                {row_bytes_ / index_t{sizeof(float)}, 1}};
    }
    /// From one row to the next.
    [[nodiscard]] index_t row_bytes() const noexcept { return row_bytes_; }
    /// The bytes of a row.
    [[nodiscard]] const std::byte* row(index_t i) const noexcept {
        return static_cast<const std::byte*>(data_) + i * row_bytes_;
    }

    /// Elements [first, first + n) of a row as floats; of quantised rows whole blocks.
    void load(index_t row_index, index_t first, index_t n, float* out) const noexcept {
        const index_t block = block_weights(format_);
        DELTANET_ASSERT(first % block == 0 && n % block == 0);
        const std::byte* const from = row(row_index) + first / block * block_bytes(format_);
        switch (format_) {
            case WeightFormat::f32:
                return convert<float>(from, n, out);
            case WeightFormat::bf16:
                return convert<bf16>(from, n, out);
            case WeightFormat::f16:
                return convert<f16>(from, n, out);
            case WeightFormat::q8_0:
            case WeightFormat::q4_0:
            case WeightFormat::q4_k:
            case WeightFormat::q6_k:
                return unpack_blocks(format_, from, n / block, out);
        }
    }

  private:
    void check_part(const char* what, index_t first, index_t n, index_t all, index_t block) const {
        if (first >= 0 && n > 0 && first <= all - n && first % block == 0 && n % block == 0) return;
        detail::fail("WeightMatrix", what,
                     block == 1 ? detail::concat("a part of [0, ", all, ")")
                                : detail::concat("a part of [0, ", all, ") in multiples of ", block,
                                                 ", the blocks of ", name_of(format_)),
                     detail::concat("[", first, ", ", first + n, ")"));
    }

    template <class T>
    WeightMatrix(WeightFormat format, View<const T, 2> view)
        : data_(view.data()),
          rows_(view.size(0)),
          cols_(view.size(1)),
          row_bytes_(view.stride(0) * index_t{sizeof(T)}),
          format_(format) {
        detail::check_at_least("WeightMatrix", "view rows", rows_, 1);
        detail::check_at_least("WeightMatrix", "view columns", cols_, 1);
        detail::check_tensor("WeightMatrix", "view", view, view.shape());
    }

    template <class T>
    static void convert(const std::byte* from, index_t n, float* out) noexcept {
        const T* const numbers = reinterpret_cast<const T*>(from);
        for (index_t i = 0; i < n; ++i) out[i] = to_float(numbers[i]);
    }

    const void* data_ = nullptr;
    index_t rows_ = 0;
    index_t cols_ = 0;
    index_t row_bytes_ = 0;
    WeightFormat format_ = WeightFormat::f32;
};

}  // namespace deltanet
