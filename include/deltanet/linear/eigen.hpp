// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The default linear operator: Eigen's float32 product over float32, bfloat16 or float16 weights
/// where they lie. The matrix is cut into fixed panels of output rows, which is the unit of
/// parallelism, and of the inner dimension, so that Eigen's packing buffers fit its stack limit and
/// no call allocates. Sums of one output run in an order that depends on the shape of W and on
/// whether there is one token or several, never on the row's place in W, the number of tokens or
/// the threads: packed and split projections agree bit for bit. The executor alone decides about
/// threads: Eigen starts none of its own here, also in a program compiled with -fopenmp.
#pragma once

#include <deltanet/detail/token_blocks.hpp>
#include <deltanet/linear/weight_matrix.hpp>
#include <deltanet/linear_operator.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <concepts>

namespace deltanet {

/// Models LinearOperator. Does not own the weights, which must outlive it.
class EigenLinear {
  public:
    EigenLinear() = default;
    /// From a `WeightMatrix` or a view [out, in] of float, bf16 or f16. Implicit: a matrix is an
    /// operator.
    template <class Matrix>
    requires std::constructible_from<WeightMatrix, Matrix> EigenLinear(const Matrix& weight)
        : weight_(weight) {}  // NOLINT

    /// Only these outputs, or the share of these inputs, of the same weights.
    [[nodiscard]] EigenLinear outputs(index_t first, index_t n) const {
        return weight_.outputs(first, n);
    }
    [[nodiscard]] EigenLinear inputs(index_t first, index_t n) const {
        return weight_.inputs(first, n);
    }
    [[nodiscard]] index_t input_block() const noexcept { return block_weights(weight_.format()); }

    [[nodiscard]] index_t in_features() const noexcept { return weight_.cols(); }
    [[nodiscard]] index_t out_features() const noexcept { return weight_.rows(); }
    [[nodiscard]] index_t scratch_bytes(index_t /*n_tokens*/, index_t concurrency) const noexcept {
        return concurrency * kWorkerFloats * static_cast<index_t>(sizeof(float));
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        if (x.size(0) == 0) return;
        float* const floats = reinterpret_cast<float*>(scratch.data());
        const index_t panels = (out_features() + kPanelRows - 1) / kPanelRows;
        executor.parallel_for(panels, [&](index_t panel, index_t worker) {
            const index_t first = panel * kPanelRows;
            const index_t rows = std::min(kPanelRows, out_features() - first);
            float* const mine = floats + worker * kWorkerFloats;
            x.size(0) == 1 ? one_token(x, y, first, rows, mine)
                           : many_tokens(x, y, first, rows, mine);
        });
    }

  private:
    using Dense = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using ConstMatrixView = Eigen::Map<const Dense, Eigen::Unaligned, Eigen::OuterStride<>>;
    using Vector = Eigen::Matrix<float, Eigen::Dynamic, 1>;
    // With OpenMP, Eigen cuts a product between threads of its own (which allocates, and changes
    // the order of sums on some architectures) unless its result has at most 32 rows by type.
    static constexpr index_t kTokenBlock = 32;
    using TokenBlock =
        Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, kTokenBlock>;
    using TokenBlockView = Eigen::Map<TokenBlock, Eigen::Unaligned, Eigen::OuterStride<>>;

    // A whole number of Eigen's register tiles on every architecture (12, 24 and 48 rows), so that
    // each row of a panel goes the same way through Eigen's kernel.
    static constexpr index_t kPanelRows = 96;
    // Panel and token blocks whose packed copies (96 and 32 KiB) stay below Eigen's 128 KiB stack
    // limit.
    static constexpr index_t kPanelCols = 256;
    static constexpr index_t kVectorRows = 8;
    static constexpr index_t kWorkerFloats = kPanelRows * kPanelCols + kPanelRows * kTokenBlock;

    /// y[0, first .. first + rows) by matrix-vector product. Eigen takes 8 rows at a time and sums
    /// a shorter rest in another order, so a rest is always computed as part of 8 rows.
    void one_token(View<const float, 2> x, View<float, 2> y, index_t first, index_t rows,
                   float* scratch) const {
        if (weight_.format() != WeightFormat::f32)
            return one_token_converted(x, y, first, rows, scratch);
        const View<const float, 2> w = weight_.as_float();
        const Eigen::Map<const Vector> in(x.ptr(0), in_features());
        const auto product = [&](index_t row, index_t n, index_t stride, float* out) {
            Eigen::Map<Vector>(out, n).noalias() =
                ConstMatrixView(w.ptr(row), n, in_features(), Eigen::OuterStride<>(stride)) * in;
        };
        const index_t rest = rows % kVectorRows;
        if (rows > rest) product(first, rows - rest, w.stride(0), y.ptr(0, first));
        if (rest == 0) return;
        float eight[kVectorRows];
        if (out_features() >= kVectorRows) {
            product(first + rows - kVectorRows, kVectorRows, w.stride(0), eight);
            std::copy_n(eight + kVectorRows - rest, rest, y.ptr(0, first + rows - rest));
            return;
        }
        for (index_t r = 0; r < rest; ++r) {  // a matrix of fewer than 8 rows: 8 times the same one
            product(first + r, kVectorRows, 0, eight);
            y(0, first + r) = eight[0];
        }
    }

    /// As above for 16-bit weights, which pass through `scratch` a piece of the panel at a time.
    void one_token_converted(View<const float, 2> x, View<float, 2> y, index_t first, index_t rows,
                             float* scratch) const {
        const index_t padded = (rows + kVectorRows - 1) / kVectorRows * kVectorRows;
        Eigen::Map<Vector> out(scratch + kPanelRows * kPanelCols, padded);
        out.setZero();
        for (index_t col = 0; col < in_features(); col += kPanelCols) {
            const index_t cols = std::min(kPanelCols, in_features() - col);
            const ConstMatrixView panel = load_panel(first, rows, col, cols, scratch);
            out.noalias() += panel.topRows(padded) * Eigen::Map<const Vector>(x.ptr(0, col), cols);
        }
        std::copy_n(out.data(), rows, y.ptr(0, first));
    }

    /// y[:, first .. first + rows) by matrix products of whole panels; rows past the matrix are
    /// zeros that land in a tile of their own.
    void many_tokens(View<const float, 2> x, View<float, 2> y, index_t first, index_t rows,
                     float* scratch) const {
        float* const tile = scratch + kPanelRows * kPanelCols;
        const index_t n_tokens = x.size(0);
        for (index_t col = 0; col < in_features(); col += kPanelCols) {
            const index_t cols = std::min(kPanelCols, in_features() - col);
            const ConstMatrixView panel = load_panel(first, rows, col, cols, scratch);
            detail::for_each_token_block(n_tokens, kTokenBlock, [&](index_t begin, index_t n) {
                const ConstMatrixView in(x.ptr(begin, col), n, cols,
                                         Eigen::OuterStride<>(x.stride(0)));
                const bool whole = rows == kPanelRows;
                TokenBlockView out(whole ? y.ptr(begin, first) : tile, n, kPanelRows,
                                   Eigen::OuterStride<>(whole ? y.stride(0) : kPanelRows));
                if (!whole && col > 0)
                    copy_rows(y.ptr(begin, first), y.stride(0), tile, kPanelRows, n, rows);
                if (col == 0) {
                    out.noalias() = in * panel.transpose();
                } else {
                    out.noalias() += in * panel.transpose();
                }
                if (!whole) copy_rows(tile, kPanelRows, y.ptr(begin, first), y.stride(0), n, rows);
            });
        }
    }

    /// Columns [col, col + cols) of the panel as floats, kPanelRows rows, those past the matrix
    /// zero.
    ConstMatrixView load_panel(index_t first, index_t rows, index_t col, index_t cols,
                               float* scratch) const {
        for (index_t r = 0; r < rows; ++r) weight_.load(first + r, col, cols, scratch + r * cols);
        std::fill_n(scratch + rows * cols, (kPanelRows - rows) * cols, 0.0F);
        return {scratch, kPanelRows, cols, Eigen::OuterStride<>(cols)};
    }

    static void copy_rows(const float* from, index_t from_stride, float* to, index_t to_stride,
                          index_t n, index_t width) {
        for (index_t t = 0; t < n; ++t)
            std::copy_n(from + t * from_stride, width, to + t * to_stride);
    }

    WeightMatrix weight_;
};

static_assert(LinearOperator<EigenLinear>);

}  // namespace deltanet
