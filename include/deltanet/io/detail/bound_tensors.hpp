// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tensors of a file as a layer's weights: projections where they lie, small ones as floats of
/// their own. Every failure names the tensor and its file.
// IWYU pragma: private, include <deltanet/io/layer_binding.hpp>
#pragma once

#include <deltanet/io/tensor_info.hpp>
#include <deltanet/linear/weight_matrix.hpp>
#include <deltanet/views.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deltanet::detail {

/// The tensor's weights where they are, or nothing for types that no operator computes with and for
/// numbers at an address that their type cannot be read from.
[[nodiscard]] inline std::optional<WeightMatrix> weight_in_place(const TensorInfo& info,
                                                                 const Shape<2>& shape) {
    const std::optional<WeightFormat> format = weight_format(info.dtype);
    if (!format) return std::nullopt;
    if (block_weights(*format) > 1) return WeightMatrix(*format, info.data, shape);
    if (!is_aligned(info)) return std::nullopt;
    if (*format == WeightFormat::bf16)
        return View<const bf16, 2>(reinterpret_cast<const bf16*>(info.data), shape);
    if (*format == WeightFormat::f16)
        return View<const f16, 2>(reinterpret_cast<const f16*>(info.data), shape);
    return View<const float, 2>(reinterpret_cast<const float*>(info.data), shape);
}

inline constexpr std::string_view kWeightTypes = "dtype F32, BF16, F16, Q8_0, Q4_0, Q4_K or Q6_K";

/// Without extents of 1.
[[nodiscard]] inline std::vector<index_t> squeezed(std::vector<index_t> shape) {
    std::erase(shape, index_t{1});
    return shape;
}

/// `Source` has tensor(name), find(name) and file_of(name). `storage` owns what had to be
/// converted.
template <class Source>
class BoundTensors {
  public:
    BoundTensors(std::string_view function, const Source& source,
                 std::vector<std::vector<float>>& storage)
        : function_(function), source_(source), storage_(storage) {}

    [[nodiscard]] const Source& source() const noexcept { return source_; }
    [[nodiscard]] bool has(const std::string& name) const noexcept {
        return source_.find(name) != nullptr;
    }

    /// The tensor, of one of the three float types and with this many elements in this shape, where
    /// extents of 1 do not count: [C, 1, W] is [C, W].
    [[nodiscard]] const TensorInfo& tensor(const std::string& name,
                                           const std::vector<index_t>& shape) const {
        const TensorInfo& found = of_shape(name, shape);
        if (!dtype_of(found)) fail(function_, where(name), "dtype F32, BF16 or F16", found.dtype);
        return found;
    }

    /// The tensor, of any type.
    [[nodiscard]] const TensorInfo& of_shape(const std::string& name,
                                             const std::vector<index_t>& shape) const {
        const TensorInfo& found = source_.tensor(name);
        if (squeezed(found.shape) != squeezed(shape)) {
            fail(function_, where(name), concat("shape ", extents_text(shape)),
                 concat("shape ", extents_text(found.shape)));
        }
        return found;
    }

    /// The floats, which stay.
    [[nodiscard]] const float* keep(std::vector<float> values) {
        storage_.push_back(std::move(values));
        return storage_.back().data();
    }
    [[nodiscard]] View<const float, 1> vector(const std::string& name, index_t n) {
        return {keep(read_float(tensor(name, {n}))), {n}};
    }
    /// In place if its address allows it, else as floats.
    [[nodiscard]] WeightMatrix matrix(const std::string& name, index_t out, index_t in) {
        const TensorInfo& info = of_shape(name, {out, in});
        if (!weight_format(info.dtype)) fail(function_, where(name), kWeightTypes, info.dtype);
        if (const auto weight = weight_in_place(info, {out, in})) return *weight;
        return View<const float, 2>(keep(read_float(info)), {out, in});
    }
    /// up [out, rank] times down [rank, in] as one matrix of floats, where a file has a projection
    /// in two.
    [[nodiscard]] WeightMatrix product(const std::string& up_name, const std::string& down_name,
                                       index_t out, index_t in) {
        const std::vector<index_t>& shape = source_.tensor(down_name).shape;
        const index_t rank = shape.empty() ? 0 : shape.front();
        const WeightMatrix down = matrix(down_name, rank, in);
        const WeightMatrix up = matrix(up_name, out, rank);
        const auto n = [](index_t size) { return static_cast<std::size_t>(size); };
        std::vector<float> rows(n(rank * in)), factors(n(rank)), all(n(out * in));
        for (index_t k = 0; k < rank; ++k) down.load(k, 0, in, rows.data() + k * in);
        std::vector<double> sums(n(in));
        for (index_t i = 0; i < out; ++i) {
            up.load(i, 0, rank, factors.data());
            std::fill(sums.begin(), sums.end(), 0.0);
            for (index_t k = 0; k < rank; ++k) {
                const auto factor = static_cast<double>(factors[n(k)]);
                for (index_t j = 0; j < in; ++j)
                    sums[n(j)] += factor * static_cast<double>(rows[n(k * in + j)]);
            }
            std::transform(sums.begin(), sums.end(), all.begin() + i * in,
                           [](double sum) { return static_cast<float>(sum); });
        }
        return View<const float, 2>(keep(std::move(all)), {out, in});
    }

    /// A tensor and its file, for messages.
    [[nodiscard]] std::string where(const std::string& name) const {
        return concat(name, " in ", source_.file_of(name));
    }

  private:
    std::string_view function_;
    const Source& source_;
    std::vector<std::vector<float>>& storage_;
};

}  // namespace deltanet::detail
