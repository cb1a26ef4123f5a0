// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The tensors of several files as those of one: found by name whatever file they are in.
// IWYU pragma: private, include <deltanet/io/checkpoint.hpp>
#pragma once

#include <deltanet/io/detail/names.hpp>
#include <deltanet/io/tensor_info.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deltanet::detail {

/// `File` has path() and tensors(), whose elements stay where they are when it is moved.
template <class File>
class FileSet {
  public:
    FileSet() = default;

    /// Throws `Error` in the name of `function` for a tensor in two files.
    FileSet(std::string_view function, std::vector<File> files) : files_(std::move(files)) {
        for (std::size_t i = 0; i < files_.size(); ++i) {
            for (const TensorInfo& tensor : files_[i].tensors()) places_.push_back({&tensor, i});
        }
        std::sort(places_.begin(), places_.end(),
                  [](const Place& a, const Place& b) { return a.tensor->name < b.tensor->name; });
        const auto twice = std::adjacent_find(
            places_.begin(), places_.end(),
            [](const Place& a, const Place& b) { return a.tensor->name == b.tensor->name; });
        if (twice == places_.end()) return;
        fail(function, concat("tensor ", in_quotes(twice->tensor->name)), "one file that holds it",
             concat(files_[twice->file].path(), " and ", files_[(twice + 1)->file].path()));
    }

    [[nodiscard]] const std::vector<File>& files() const noexcept { return files_; }

    /// Names of all tensors, sorted.
    [[nodiscard]] std::vector<std::string_view> names() const {
        std::vector<std::string_view> all;
        for (const Place& place : places_) all.emplace_back(place.tensor->name);
        return all;
    }
    /// The tensor of that name, or null. Logarithmic in the number of tensors.
    [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept {
        const Place* const place = find_place(name);
        return place == nullptr ? nullptr : place->tensor;
    }
    /// The tensor of that name. Throws `Error` in the name of `function`, with the files looked in
    /// and the names most like it, if there is none.
    [[nodiscard]] const TensorInfo& tensor(std::string_view function, std::string_view name) const {
        const TensorInfo* const found = find(name);
        if (found == nullptr)
            fail(function, files_text(), "a tensor of that name", missing_name(name, names()));
        return *found;
    }
    /// Path of the file that holds the tensor; empty if there is no such tensor.
    [[nodiscard]] std::string_view file_of(std::string_view name) const noexcept {
        const Place* const place = find_place(name);
        return place == nullptr ? std::string_view() : std::string_view(files_[place->file].path());
    }

  private:
    struct Place {
        const TensorInfo* tensor;  // in files_, whose elements' memory does not move with them
        std::size_t file;
    };

    [[nodiscard]] const Place* find_place(std::string_view name) const noexcept {
        const auto place = std::lower_bound(places_.begin(), places_.end(), name,
                                            [](const Place& candidate, std::string_view wanted) {
                                                return candidate.tensor->name < wanted;
                                            });
        return place != places_.end() && place->tensor->name == name ? &*place : nullptr;
    }

    /// The file, or the first few of many.
    [[nodiscard]] std::string files_text() const {
        constexpr std::size_t most = 4;
        std::string text;
        for (std::size_t i = 0; i < files_.size() && i < most; ++i)
            text += (i == 0 ? "" : ", ") + files_[i].path();
        if (files_.size() > most) text += concat(" and ", files_.size() - most, " more");
        return text;
    }

    std::vector<File> files_;
    std::vector<Place> places_;  // by name
};

}  // namespace deltanet::detail
