// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tensors of one file, sorted by name, and how they are found.
// IWYU pragma: private, include <deltanet/io/checkpoint.hpp>
#pragma once

#include <deltanet/io/detail/names.hpp>
#include <deltanet/io/tensor_info.hpp>

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

namespace deltanet::detail {

[[nodiscard]] inline std::vector<std::string_view> names_of(std::span<const TensorInfo> tensors) {
    std::vector<std::string_view> all;
    for (const TensorInfo& tensor : tensors) all.emplace_back(tensor.name);
    return all;
}

/// The tensor of that name, or null. Logarithmic in their number.
[[nodiscard]] inline const TensorInfo* find_tensor(std::span<const TensorInfo> tensors,
                                                   std::string_view name) noexcept {
    const auto place = std::lower_bound(
        tensors.begin(), tensors.end(), name,
        [](const TensorInfo& tensor, std::string_view wanted) { return tensor.name < wanted; });
    return place != tensors.end() && place->name == name ? &*place : nullptr;
}

/// The tensor of that name. Throws `Error` with the names most like it if there is none.
[[nodiscard]] inline const TensorInfo& required_tensor(std::string_view function,
                                                       std::string_view file,
                                                       std::span<const TensorInfo> tensors,
                                                       std::string_view name) {
    const TensorInfo* const found = find_tensor(tensors, name);
    if (found == nullptr)
        fail(function, file, "a tensor of that name", missing_name(name, names_of(tensors)));
    return *found;
}

/// Sorts by name. Throws `Error` where two have the same.
inline void sort_by_name(std::string_view function, std::string_view file,
                         std::vector<TensorInfo>& tensors) {
    std::sort(tensors.begin(), tensors.end(),
              [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
    const auto twice = std::adjacent_find(
        tensors.begin(), tensors.end(),
        [](const TensorInfo& a, const TensorInfo& b) { return a.name == b.name; });
    if (twice != tensors.end()) {
        fail(function, concat(file, ": tensor ", in_quotes(twice->name)), "one tensor of that name",
             "two");
    }
}

}  // namespace deltanet::detail
