// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Models in several GGUF files, as llama.cpp splits them: the part with `split.no` i of
/// `split.count` n is called <name>-<i + 1>-of-<n>.gguf with five digits each, and
/// `split.tensors.count` is the number of tensors of all parts. All else that the metadata say is
/// in the first part.
// IWYU pragma: private, include <deltanet/io/gguf.hpp>
#pragma once

#include <deltanet/io/gguf_metadata.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace deltanet::detail {

struct GgufSplit {
    index_t number = 0;  ///< of the part, from 0
    index_t count = 1;
    std::optional<index_t> tensors;  ///< of all parts
};

/// What a file says. Throws `Error` naming the key for numbers that cannot be.
[[nodiscard]] inline GgufSplit read_gguf_split(std::string_view function, std::string_view file,
                                               const GgufMetadata& metadata) {
    GgufSplit split;
    const auto key = [&](std::string_view name, index_t least, index_t most, index_t otherwise) {
        const index_t value = metadata.integer(name, otherwise);
        if (value < least || value > most) {
            fail(function, concat(file, ": ", name), concat("a number from ", least, " to ", most),
                 concat(value));
        }
        return value;
    };
    constexpr index_t most_parts = 99999;  // five digits
    split.count = std::max(index_t{1}, key("split.count", 0, most_parts, 1));
    split.number = key("split.no", 0, split.count - 1, 0);
    if (metadata.find("split.tensors.count") != nullptr)
        split.tensors = metadata.integer("split.tensors.count");
    return split;
}

/// "-00002-of-00003.gguf" for part 1 of 3.
[[nodiscard]] inline std::string gguf_part_suffix(index_t number, index_t count) {
    const auto digits = [](index_t n) {
        const std::string text = std::to_string(n);
        return std::string(5 - std::min<std::size_t>(5, text.size()), '0') + text;
    };
    return "-" + digits(number + 1) + "-of-" + digits(count) + ".gguf";
}

/// Where part `number` is, if `path` is the part that it says it is. Throws `Error` unless it is
/// called that.
[[nodiscard]] inline std::filesystem::path gguf_part_path(std::string_view function,
                                                          const std::filesystem::path& path,
                                                          const GgufSplit& split, index_t number) {
    const std::string name = path.filename().string();
    const std::string suffix = gguf_part_suffix(split.number, split.count);
    if (!name.ends_with(suffix)) {
        fail(function, path.string(),
             concat("a name that ends in ", suffix, ", as its split.no and split.count say"),
             in_quotes(name));
    }
    return path.parent_path() /
           (name.substr(0, name.size() - suffix.size()) + gguf_part_suffix(number, split.count));
}

/// Throws `Error` unless the parts are all parts of one model, in order. `Part` has path(),
/// metadata() and tensors().
template <class Part>
void check_gguf_parts(std::string_view function, std::span<const Part> parts) {
    const auto n = static_cast<index_t>(parts.size());
    index_t n_tensors = 0;
    for (index_t i = 0; i < n; ++i) {
        const Part& part = parts[static_cast<std::size_t>(i)];
        const GgufSplit split = read_gguf_split(function, part.path(), part.metadata());
        if (split.count != n || split.number != i) {
            fail(function, part.path(), concat("part ", i + 1, " of ", n),
                 concat("part ", split.number + 1, " of ", split.count));
        }
        n_tensors += static_cast<index_t>(part.tensors().size());
    }
    for (const Part& part : parts) {
        const auto says = read_gguf_split(function, part.path(), part.metadata()).tensors;
        if (n > 1 && says && *says != n_tensors) {
            fail(function, concat(part.path(), ": split.tensors.count"),
                 concat("the ", n_tensors, " tensors that all parts have"), concat(*says));
        }
    }
}

}  // namespace deltanet::detail
