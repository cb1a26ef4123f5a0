// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Second half of reading a safetensors file: from the header's entries to tensors whose bytes are
/// known to lie in the file, to be as many as dtype and shape ask for, and to fill it.
// IWYU pragma: private, include <deltanet/io/safetensors.hpp>
#pragma once

#include <deltanet/config.hpp>
#include <deltanet/error.hpp>
#include <deltanet/io/detail/names.hpp>
#include <deltanet/io/detail/safetensors_header.hpp>
#include <deltanet/io/tensor_info.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deltanet::detail {

/// Bits of an element, 0 for a dtype that the format does not have.
[[nodiscard]] inline index_t safetensors_bits(std::string_view dtype) noexcept {
    struct Width {
        std::string_view dtype;
        index_t bits;
    };
    static constexpr std::array<Width, 22> widths{{
        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8},        {"U8", 8},
        {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E5M2FNUZ", 8}, {"F8_E4M3FNUZ", 8},
        {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},        {"BF16", 16},
        {"I32", 32},    {"U32", 32},    {"F32", 32},    {"C64", 64},        {"F64", 64},
        {"I64", 64},    {"U64", 64},
    }};
    for (const Width& width : widths) {
        if (width.dtype == dtype) return width.bits;
    }
    return 0;
}

/// Bytes that dtype and shape ask for. The product of the extents other than 0 must be a number
/// too, so that no order of multiplication overflows later.
[[nodiscard]] inline index_t safetensors_bytes(const std::string& where, const TensorInfo& tensor) {
    const index_t bits = safetensors_bits(tensor.dtype);
    if (bits == 0) {
        fail(safetensors_function, where + ": dtype", "a dtype of the safetensors format",
             in_quotes(tensor.dtype));
    }
    index_t product = bits;
    bool empty = false;
    for (const index_t extent : tensor.shape) {
        if (extent == 0) {
            empty = true;
        } else if (product > std::numeric_limits<index_t>::max() / extent) {
            fail(safetensors_function, where + ": shape", "less than 2^63 bits of data",
                 concat(tensor.dtype, " of shape ", extents_text(tensor.shape)));
        } else {
            product *= extent;
        }
    }
    if (empty) return 0;
    if (product % 8 != 0) {
        fail(safetensors_function, where + ": shape", "a whole number of bytes",
             concat(product, " bits"));
    }
    return product / 8;
}

[[nodiscard]] inline std::string tensor_text(std::string_view file, const TensorInfo& tensor) {
    return concat(file, ": tensor ", in_quotes(tensor.name));
}

/// Sets `data` and `byte_size` from the entry's own fields; the data lie within `data`.
inline void place_tensor(std::string_view file, SafetensorsEntry& entry,
                         std::span<const std::byte> data) {
    TensorInfo& tensor = entry.tensor;
    const std::string where = tensor_text(file, tensor);
    tensor.byte_size = safetensors_bytes(where, tensor);
    if (entry.begin > entry.end || entry.end > data.size()) {
        fail(safetensors_function, where + ": data_offsets",
             concat("begin <= end <= ", data.size(), ", the bytes of data in the file"),
             concat("[", entry.begin, ", ", entry.end, "]"));
    }
    const std::uint64_t size = entry.end - entry.begin;
    if (size != static_cast<std::uint64_t>(tensor.byte_size)) {
        fail(safetensors_function, where + ": data_offsets",
             concat(tensor.byte_size, " bytes for ", tensor.dtype, " of shape ",
                    extents_text(tensor.shape)),
             concat(size, " bytes"));
    }
    tensor.data = data.data() + entry.begin;
}

/// All entries together fill the data exactly, each byte once. Sorts them by where they lie.
inline void check_filled(std::string_view file, std::vector<SafetensorsEntry>& entries,
                         std::size_t data_bytes) {
    std::sort(entries.begin(), entries.end(),
              [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
                  return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
              });
    std::uint64_t filled = 0;
    for (const SafetensorsEntry& entry : entries) {
        if (entry.begin != filled) {
            fail(safetensors_function, tensor_text(file, entry.tensor) + ": data_offsets",
                 concat("data from byte ", filled, ", where those before end"),
                 concat("byte ", entry.begin, entry.begin < filled ? " (overlap)" : " (hole)"));
        }
        filled = entry.end;
    }
    if (filled != data_bytes) {
        fail(safetensors_function, file,
             concat(filled, " bytes of data, where the last tensor ends"),
             concat(data_bytes, " bytes"));
    }
}

/// Checks every entry against the bytes behind the header and against the others. Returns the
/// tensors sorted by name.
[[nodiscard]] inline std::vector<TensorInfo> place_tensors(std::string_view file,
                                                           std::vector<SafetensorsEntry> entries,
                                                           std::span<const std::byte> data) {
    const auto by_name = [](const auto& a, const auto& b) { return a.tensor.name < b.tensor.name; };
    std::sort(entries.begin(), entries.end(), by_name);
    const auto twice = std::adjacent_find(
        entries.begin(), entries.end(),
        [](const auto& a, const auto& b) { return a.tensor.name == b.tensor.name; });
    if (twice != entries.end()) {
        fail(safetensors_function, tensor_text(file, twice->tensor), "one value", "the key twice");
    }
    for (SafetensorsEntry& entry : entries) place_tensor(file, entry, data);
    check_filled(file, entries, data.size());
    std::sort(entries.begin(), entries.end(), by_name);
    std::vector<TensorInfo> tensors;
    tensors.reserve(entries.size());
    for (SafetensorsEntry& entry : entries) tensors.push_back(std::move(entry.tensor));
    return tensors;
}

}  // namespace deltanet::detail
