// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A checkpoint as engines find it on disk: one safetensors file, or a directory with many of them
/// and an index. Tensors are found by name whatever file they are in.
#pragma once

#include <deltanet/error.hpp>
#include <deltanet/io/detail/checkpoint_index.hpp>
#include <deltanet/io/detail/file_set.hpp>
#include <deltanet/io/detail/names.hpp>
#include <deltanet/io/mapped_file.hpp>
#include <deltanet/io/safetensors.hpp>
#include <deltanet/io/tensor_info.hpp>

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
    [[nodiscard]] std::vector<std::string_view> names() const { return set_.names(); }

    /// The tensor of that name, or null. Logarithmic in the number of tensors.
    [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept {
        return set_.find(name);
    }

    /// The tensor of that name. Throws `Error` with the files looked in and the names most like it
    /// if there is none.
    [[nodiscard]] const TensorInfo& tensor(std::string_view name) const {
        return set_.tensor("Checkpoint::tensor", name);
    }

    /// Path of the file that holds the tensor, for messages; empty if there is no such tensor.
    [[nodiscard]] std::string_view file_of(std::string_view name) const noexcept {
        return set_.file_of(name);
    }

    /// The files, in the order of their names.
    [[nodiscard]] const std::vector<SafetensorsFile>& files() const noexcept {
        return set_.files();
    }

  private:
    Checkpoint() = default;

    [[nodiscard]] static std::vector<SafetensorsFile> open_shards(
        const std::filesystem::path& index);

    detail::FileSet<SafetensorsFile> set_;
};

inline Checkpoint Checkpoint::open(const std::filesystem::path& path) {
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
    std::vector<SafetensorsFile> files;
    if (file.extension() == ".json") {
        files = open_shards(file);
    } else {
        files.push_back(SafetensorsFile::open(file));
    }
    Checkpoint checkpoint;
    checkpoint.set_ = {"Checkpoint::open", std::move(files)};
    return checkpoint;
}

/// Opens the files of an index and checks that they keep what it promises.
inline std::vector<SafetensorsFile> Checkpoint::open_shards(const std::filesystem::path& index) {
    const MappedFile mapped = MappedFile::open(index);
    const detail::WeightMap weight_map =
        detail::parse_checkpoint_index(mapped.bytes(), index.string());
    std::map<std::string_view, std::size_t> numbers;
    for (const auto& [tensor, file] : weight_map) numbers.emplace(file, 0);
    std::vector<SafetensorsFile> files;
    for (auto& [file, number] : numbers) {
        number = files.size();
        files.push_back(SafetensorsFile::open(index.parent_path() / file));
    }
    for (const auto& [tensor, file] : weight_map) {
        const SafetensorsFile& shard = files[numbers.at(file)];
        if (shard.find(tensor) == nullptr) {
            detail::fail("Checkpoint::open", shard.path(),
                         detail::concat("tensor ", detail::in_quotes(tensor), " as ",
                                        index.string(), " says"),
                         detail::missing_name(tensor, shard.names()));
        }
    }
    return files;
}

}  // namespace deltanet
