// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A weight matrix [out, in] as it lies in memory, float32, bfloat16 or float16, not owned; what
/// the library's own linear operators are made of.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/dtype.hpp>
#include <deltanet/views.hpp>

namespace deltanet {

class WeightMatrix {
  public:
    WeightMatrix() = default;

    /// From a view [out, in] with innermost stride 1 and any row stride. Implicit: a view of
    /// weights is one.
    WeightMatrix(View<const float, 2> view) : WeightMatrix(DType::f32, view) {}      // NOLINT
    WeightMatrix(View<float, 2> view) : WeightMatrix(View<const float, 2>(view)) {}  // NOLINT
    WeightMatrix(View<const bf16, 2> view) : WeightMatrix(DType::bf16, view) {}      // NOLINT
    WeightMatrix(View<const f16, 2> view) : WeightMatrix(DType::f16, view) {}        // NOLINT

    [[nodiscard]] index_t rows() const noexcept { return rows_; }
    [[nodiscard]] index_t cols() const noexcept { return cols_; }
    [[nodiscard]] DType dtype() const noexcept { return dtype_; }

    /// With dtype() f32 only: the matrix itself.
    [[nodiscard]] View<const float, 2> as_float() const noexcept {
        DELTANET_ASSERT(dtype_ == DType::f32);
        return {static_cast<const float*>(data_), {rows_, cols_}, {row_stride_, 1}};
    }

    /// Elements [first, first + n) of a row as floats.
    void load(index_t row, index_t first, index_t n, float* out) const noexcept {
        const index_t offset = row * row_stride_ + first;
        switch (dtype_) {
            case DType::f32:
                return convert(static_cast<const float*>(data_) + offset, n, out);
            case DType::bf16:
                return convert(static_cast<const bf16*>(data_) + offset, n, out);
            case DType::f16:
                return convert(static_cast<const f16*>(data_) + offset, n, out);
            case DType::i8:
                break;  // no weights
        }
    }

  private:
    template <class T>
    WeightMatrix(DType dtype, View<const T, 2> view)
        : data_(view.data()),
          rows_(view.size(0)),
          cols_(view.size(1)),
          row_stride_(view.stride(0)),
          dtype_(dtype) {
        detail::check_at_least("WeightMatrix", "view rows", rows_, 1);
        detail::check_at_least("WeightMatrix", "view columns", cols_, 1);
        detail::check_tensor("WeightMatrix", "view", view, view.shape());
    }

    template <class T>
    static void convert(const T* from, index_t n, float* out) noexcept {
        for (index_t i = 0; i < n; ++i) out[i] = to_float(from[i]);
    }

    const void* data_ = nullptr;
    index_t rows_ = 0;
    index_t cols_ = 0;
    index_t row_stride_ = 0;
    DType dtype_ = DType::f32;
};

}  // namespace deltanet
