// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a checkpoint says of one tensor, where its bytes are, and their way to float.
#pragma once

#include <deltanet/config.hpp>
#include <deltanet/dtype.hpp>
#include <deltanet/error.hpp>
#include <deltanet/io/detail/names.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace deltanet {

static_assert(std::endian::native == std::endian::little,
              "deltanet: checkpoints hold little-endian numbers and are read in place");

/// One tensor of a file. The data belong to the file, need not be aligned for their type (see
/// `is_aligned`) and are row-major.
struct TensorInfo {
    std::string name;
    std::string dtype;           ///< as written in the file: "F32", "BF16", ...
    std::vector<index_t> shape;  ///< [] for a scalar; a 0 in it for an empty tensor
    const std::byte* data = nullptr;
    index_t byte_size = 0;

    /// Number of elements; 1 for a scalar.
    [[nodiscard]] index_t count() const noexcept {
        index_t product = 1;
        for (const index_t extent : shape) product *= extent;
        return product;
    }
};

/// The element type for those that weights are computed from (F32, BF16, F16), nothing for others.
[[nodiscard]] inline std::optional<DType> dtype_of(const TensorInfo& tensor) noexcept {
    if (tensor.dtype == "F32") return DType::f32;
    if (tensor.dtype == "BF16") return DType::bf16;
    if (tensor.dtype == "F16") return DType::f16;
    return std::nullopt;
}

/// Whether the data can be viewed in place: their dtype is F32, BF16 or F16 and they lie at a
/// multiple of its size. Writers pad headers so that it is so, but nothing in the format enforces
/// it.
[[nodiscard]] inline bool is_aligned(const TensorInfo& tensor) noexcept {
    const std::optional<DType> dtype = dtype_of(tensor);
    if (!dtype.has_value()) return false;
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
    return address % static_cast<std::uintptr_t>(size_of(*dtype)) == 0;
}

namespace detail {

[[nodiscard]] inline std::string extents_text(const std::vector<index_t>& shape) {
    std::string text = "[";
    for (std::size_t d = 0; d < shape.size(); ++d) text += concat(d == 0 ? "" : ", ", shape[d]);
    return text + "]";
}

[[nodiscard]] inline float to_float(double value) noexcept { return static_cast<float>(value); }

/// `read_float` for a dtype that is stored as `Stored`.
template <class Stored>
[[nodiscard]] std::vector<float> read_stored(const TensorInfo& tensor) {
    using deltanet::to_float;
    using detail::to_float;
    const index_t size = sizeof(Stored);
    const index_t count = tensor.count();
    if (count < 0 || tensor.byte_size % size != 0 || tensor.byte_size / size != count) {
        fail("read_float", in_quotes(tensor.name), concat(count, " elements of ", size, " bytes"),
             concat(tensor.byte_size, " bytes"));
    }
    std::vector<float> values(static_cast<std::size_t>(count));
    const std::byte* from = tensor.data;
    for (float& value : values) {
        Stored stored;
        std::memcpy(&stored, from, sizeof(Stored));  // the address may be odd
        value = to_float(stored);
        from += sizeof(Stored);
    }
    return values;
}

}  // namespace detail

/// The elements as floats, row-major; data of any alignment. F32, BF16 and F16 convert exactly, F64
/// is rounded (infinity beyond the range of float). Throws `Error` for other dtypes and for a
/// `TensorInfo` whose byte_size does not fit its shape. Thread-safe.
[[nodiscard]] inline std::vector<float> read_float(const TensorInfo& tensor) {
    if (tensor.dtype == "F32") return detail::read_stored<float>(tensor);
    if (tensor.dtype == "BF16") return detail::read_stored<bf16>(tensor);
    if (tensor.dtype == "F16") return detail::read_stored<f16>(tensor);
    if (tensor.dtype == "F64") return detail::read_stored<double>(tensor);
    detail::fail("read_float", detail::in_quotes(tensor.name), "dtype F32, BF16, F16 or F64",
                 detail::printable(tensor.dtype));
}

}  // namespace deltanet
