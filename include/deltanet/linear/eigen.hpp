// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The default linear operator: Eigen's float32 product over float32, bfloat16 or float16 weights
/// where they lie. The matrix is cut into fixed panels of output rows, which is the unit of
/// parallelism, and of the inner dimension. For several tokens Eigen's own kernel is called, whose
/// operands it wants packed: activations are packed once, a panel of weights for all tokens, both
/// into the caller's scratch, so no call allocates. Sums of one output run in an order that depends
/// on the shape of W and on whether there is one token or several, never on the row's place in W,
/// the number of tokens or the threads: packed and split projections agree bit for bit. The
/// executor alone decides about threads: Eigen starts none of its own here, also in a program
/// compiled with -fopenmp.
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

    [[nodiscard]] const WeightMatrix& weight() const noexcept { return weight_; }

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
    [[nodiscard]] index_t scratch_bytes(index_t n_tokens, index_t concurrency) const noexcept {
        const index_t floats = packed_floats(n_tokens) + concurrency * kWorkerFloats;
        return floats * static_cast<index_t>(sizeof(float));
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        float* const floats = reinterpret_cast<float*>(scratch.data());
        detail::for_each_token_block(x.size(0), kMostTokens, [&](index_t first, index_t n) {
            n == 1 ? one_token(x, y, floats, executor)
                   : many_tokens(x.slice(0, first, n), y.slice(0, first, n), floats, executor);
        });
    }

  private:
    using Dense = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using ConstMatrixView = Eigen::Map<const Dense, Eigen::Unaligned, Eigen::OuterStride<>>;
    using Vector = Eigen::Matrix<float, Eigen::Dynamic, 1>;

    // A whole number of Eigen's register tiles on every architecture (12, 24 and 48 rows), so that
    // each row of a panel goes the same way through Eigen's kernel.
    static constexpr index_t kPanelRows = 96;
    // A packed panel (96 KiB) and a block of packed tokens (128 KiB) stay in the second cache.
    static constexpr index_t kPanelCols = 256;
    static constexpr index_t kTokenBlock = 128;
    /// Tokens that a panel is packed for; those that follow pack it again.
    static constexpr index_t kMostTokens = 512;
    static constexpr index_t kVectorRows = 8;
    /// A panel as floats, the same packed, and the products of a panel that is not whole.
    static constexpr index_t kPanelFloats = kPanelRows * kPanelCols;
    static constexpr index_t kWorkerFloats = 2 * kPanelFloats + kPanelRows * kTokenBlock;

    /// Packed activations of a call, to the next cache line.
    [[nodiscard]] index_t packed_floats(index_t n_tokens) const noexcept {
        if (n_tokens < 2) return 0;
        return (std::min(n_tokens, kMostTokens) * in_features() + 15) / 16 * 16;
    }

    /// f(first, n, worker) for each panel of output rows.
    template <Executor E, class F>
    void for_each_panel(E& executor, F&& f) const {
        const index_t panels = (out_features() + kPanelRows - 1) / kPanelRows;
        executor.parallel_for(panels, [&](index_t panel, index_t worker) {
            const index_t first = panel * kPanelRows;
            f(first, std::min(kPanelRows, out_features() - first), worker);
        });
    }

    template <Executor E>
    void one_token(View<const float, 2> x, View<float, 2> y, float* scratch, E& executor) const {
        for_each_panel(executor, [&](index_t first, index_t rows, index_t worker) {
            weight_.format() == WeightFormat::f32
                ? one_token(x, y, first, rows)
                : one_token_converted(x, y, first, rows, scratch + worker * kWorkerFloats);
        });
    }

    /// y[0, first .. first + rows) by matrix-vector product. Eigen takes 8 rows at a time and sums
    /// a shorter rest in another order, so a rest is always computed as part of 8 rows.
    void one_token(View<const float, 2> x, View<float, 2> y, index_t first, index_t rows) const {
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
        Eigen::Map<Vector> out(scratch + kPanelFloats, padded);
        out.setZero();
        for (index_t col = 0; col < in_features(); col += kPanelCols) {
            const index_t cols = std::min(kPanelCols, in_features() - col);
            const ConstMatrixView panel = load_panel(first, rows, col, cols, scratch);
            out.noalias() += panel.topRows(padded) * Eigen::Map<const Vector>(x.ptr(0, col), cols);
        }
        std::copy_n(out.data(), rows, y.ptr(0, first));
    }

    /// y[:, first .. first + n) += panel x^T, by Eigen's kernel: x packed by `pack_tokens`, the
    /// panel by `pack_panel`. What Eigen's own products are made of, without their allocations and
    /// their threads, and without packing one operand for each part of the other.
    struct Kernel {
        using Traits = Eigen::internal::gebp_traits<float, float>;
        using Weights = Eigen::internal::const_blas_data_mapper<float, index_t, Eigen::RowMajor>;
        using Tokens = Eigen::internal::const_blas_data_mapper<float, index_t, Eigen::ColMajor>;
        using Products = Eigen::internal::blas_data_mapper<float, index_t, Eigen::ColMajor>;

        static void pack_tokens(View<const float, 2> x, float* packed) {
            Eigen::internal::gemm_pack_rhs<float, index_t, Tokens, Traits::nr, Eigen::ColMajor>
                pack;
            pack(packed, Tokens(x.data(), x.stride(0)), x.size(1), x.size(0));
        }
        static void pack_panel(const ConstMatrixView& panel, float* packed) {
            Eigen::internal::gemm_pack_lhs<float, index_t, Weights, Traits::mr, Traits::LhsProgress,
                                           typename Traits::LhsPacket4Packing, Eigen::RowMajor>
                pack;
            pack(packed, Weights(panel.data(), panel.outerStride()), panel.cols(), panel.rows());
        }
        static void add_products(const float* packed_panel, const float* packed_tokens,
                                 index_t depth, index_t n_tokens, float* y, index_t y_stride) {
            Eigen::internal::gebp_kernel<float, float, index_t, Products, Traits::mr, Traits::nr,
                                         false, false>
                kernel;
            kernel(Products(y, y_stride), packed_panel, packed_tokens, kPanelRows, depth, n_tokens,
                   1.0F);
        }
    };

    /// y by matrix products of whole panels; rows past the matrix are zeros that land in a tile of
    /// their own.
    template <Executor E>
    void many_tokens(View<const float, 2> x, View<float, 2> y, float* scratch, E& executor) const {
        const index_t n_tokens = x.size(0);
        const index_t chunks = (in_features() + kPanelCols - 1) / kPanelCols;
        const index_t blocks = (n_tokens + kTokenBlock - 1) / kTokenBlock;
        // Of `cols` columns from `col` on, and the tokens from `token` on.
        const auto packed = [&](index_t col, index_t cols, index_t token) {
            return scratch + col * n_tokens + cols * token;
        };
        executor.parallel_for(chunks * blocks, [&](index_t task, index_t) {
            const index_t col = task / blocks * kPanelCols, token = task % blocks * kTokenBlock;
            const index_t cols = std::min(kPanelCols, in_features() - col);
            const index_t n = std::min(kTokenBlock, n_tokens - token);
            Kernel::pack_tokens(x.slice(0, token, n).slice(1, col, cols), packed(col, cols, token));
        });
        for_each_panel(executor, [&](index_t first, index_t rows, index_t worker) {
            float* const floats = scratch + packed_floats(n_tokens) + worker * kWorkerFloats;
            float* const panel = floats + kPanelFloats;
            float* const tile = panel + kPanelFloats;
            const bool whole = rows == kPanelRows;
            for (index_t t = 0; t < n_tokens; ++t) std::fill_n(y.ptr(t, first), rows, 0.0F);
            for (index_t col = 0; col < in_features(); col += kPanelCols) {
                const index_t cols = std::min(kPanelCols, in_features() - col);
                Kernel::pack_panel(panel_of(first, rows, col, cols, floats), panel);
                for (index_t token = 0; token < n_tokens; token += kTokenBlock) {
                    const index_t n = std::min(kTokenBlock, n_tokens - token);
                    const float* const tokens = packed(col, cols, token);
                    float* const out = y.ptr(token, first);
                    if (whole) {
                        Kernel::add_products(panel, tokens, cols, n, out, y.stride(0));
                        continue;
                    }
                    copy_rows(out, y.stride(0), tile, kPanelRows, n, rows);
                    Kernel::add_products(panel, tokens, cols, n, tile, kPanelRows);
                    copy_rows(tile, kPanelRows, out, y.stride(0), n, rows);
                }
            }
        });
    }

    /// Columns [col, col + cols) of the panel where they lie, or as `load_panel` gives them.
    ConstMatrixView panel_of(index_t first, index_t rows, index_t col, index_t cols,
                             float* scratch) const {
        if (weight_.format() != WeightFormat::f32 || rows < kPanelRows)
            return load_panel(first, rows, col, cols, scratch);
        const View<const float, 2> w = weight_.as_float();
        return {w.ptr(first, col), rows, cols, Eigen::OuterStride<>(w.stride(0))};
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
