// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A checkpoint as engines find it on disk: one safetensors file, or a directory with many of them
/// and an index. Tensors are found by name whatever file they are in.
#pragma once

#include <deltanet/error.hpp>
#include <deltanet/io/detail/checkpoint_index.hpp>
#include <deltanet/io/detail/names.hpp>
#include <deltanet/io/mapped_file.hpp>
#include <deltanet/io/safetensors.hpp>
#include <deltanet/io/tensor_info.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace deltanet {

/// The tensors of an open checkpoint; movable, not copyable. Every `TensorInfo`, and every view of
/// its data, stays valid as long as the checkpoint (or the one it was moved to) lives and no
/// longer. Const functions may be called from several threads. See `MappedFile` for files that
/// change meanwhile.
class Checkpoint {
  public:
    /// `path` is one of
    ///   - a safetensors file, of any name that does not end in .json;
    ///   - an index file, named *.json, with the shards in its directory;
    ///   - a directory with model.safetensors or, failing that, model.safetensors.index.json.
    /// All shards that the index names are mapped at once. Symbolic links are followed; the index
    /// itself can only name files in its own directory. A shard may hold tensors that the index
    /// does not list; they are there like the others. Throws `Error` for a path that is none of
    /// these, for any file that does not parse, for a tensor that the index promises and its shard
    /// lacks, and for a tensor in two shards.
    [[nodiscard]] static Checkpoint open(const std::filesystem::path& path);

    Checkpoint(Checkpoint&&) noexcept = default;
    Checkpoint& operator=(Checkpoint&&) noexcept = default;
    Checkpoint(const Checkpoint&) = delete;
    Checkpoint& operator=(const Checkpoint&) = delete;
    ~Checkpoint() = default;

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

    /// The tensor of that name. Throws `Error` with the files looked in and the names most like it
    /// if there is none.
    [[nodiscard]] const TensorInfo& tensor(std::string_view name) const {
        const TensorInfo* const found = find(name);
        if (found == nullptr) {
            detail::fail("Checkpoint::tensor", files_text(), "a tensor of that name",
                         detail::missing_name(name, names()));
        }
        return *found;
    }

    /// Path of the file that holds the tensor, for messages; empty if there is no such tensor.
    [[nodiscard]] std::string_view file_of(std::string_view name) const noexcept {
        const Place* const place = find_place(name);
        return place == nullptr ? std::string_view() : std::string_view(files_[place->file].path());
    }

    /// The files, in the order of their names.
    [[nodiscard]] const std::vector<SafetensorsFile>& files() const noexcept { return files_; }

  private:
    struct Place {
        const TensorInfo* tensor;  // in files_, whose elements' memory does not move with them
        std::size_t file;
    };

    Checkpoint() = default;

    void open_shards(const std::filesystem::path& index);
    void collect();

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
        for (std::size_t i = 0; i < files_.size() && i < most; ++i) {
            text += (i == 0 ? "" : ", ") + files_[i].path();
        }
        if (files_.size() > most) text += detail::concat(" and ", files_.size() - most, " more");
        return text;
    }

    std::vector<SafetensorsFile> files_;
    std::vector<Place> places_;  // by name
};

inline Checkpoint Checkpoint::open(const std::filesystem::path& path) {
    Checkpoint checkpoint;
    std::filesystem::path file = path;
    std::error_code ignored;  // a path that cannot be examined is reported when it is opened
    if (std::filesystem::is_directory(path, ignored)) {
        file = path / "model.safetensors";
        if (!std::filesystem::exists(file, ignored)) file += ".index.json";
        if (!std::filesystem::exists(file, ignored)) {
            detail::fail("Checkpoint::open", path.string(),
                         "a directory with model.safetensors or model.safetensors.index.json",
                         "neither");
        }
    }
    if (file.extension() == ".json") {
        checkpoint.open_shards(file);
    } else {
        checkpoint.files_.push_back(SafetensorsFile::open(file));
    }
    checkpoint.collect();
    return checkpoint;
}

/// Opens the files of an index and checks that they keep what it promises.
inline void Checkpoint::open_shards(const std::filesystem::path& index) {
    const MappedFile mapped = MappedFile::open(index);
    const detail::WeightMap weight_map =
        detail::parse_checkpoint_index(mapped.bytes(), index.string());
    std::map<std::string_view, std::size_t> numbers;
    for (const auto& [tensor, file] : weight_map) numbers.emplace(file, 0);
    for (auto& [file, number] : numbers) {
        number = files_.size();
        files_.push_back(SafetensorsFile::open(index.parent_path() / file));
    }
    for (const auto& [tensor, file] : weight_map) {
        const SafetensorsFile& shard = files_[numbers.at(file)];
        if (shard.find(tensor) == nullptr) {
            detail::fail("Checkpoint::open", shard.path(),
                         detail::concat("tensor ", detail::in_quotes(tensor), " as ",
                                        index.string(), " says"),
                         detail::missing_name(tensor, shard.names()));
        }
    }
}

/// Makes one sorted list of the tensors of all files.
inline void Checkpoint::collect() {
    for (std::size_t i = 0; i < files_.size(); ++i) {
        for (const TensorInfo& tensor : files_[i].tensors()) places_.push_back({&tensor, i});
    }
    std::sort(places_.begin(), places_.end(),
              [](const Place& a, const Place& b) { return a.tensor->name < b.tensor->name; });
    const auto twice = std::adjacent_find(
        places_.begin(), places_.end(),
        [](const Place& a, const Place& b) { return a.tensor->name == b.tensor->name; });
    if (twice != places_.end()) {
        const Place& second = *(twice + 1);
        detail::fail(
            "Checkpoint::open", detail::concat("tensor ", detail::in_quotes(twice->tensor->name)),
            "one file that holds it",
            detail::concat(files_[twice->file].path(), " and ", files_[second.file].path()));
    }
}

}  // namespace deltanet
