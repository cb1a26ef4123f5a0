// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Reader for GGUF files, versions 2 and 3, whole or split: "GGUF", a version, two counts,
/// metadata, a list of tensors, and behind padding their data, used where they are. Files are taken
/// for hostile: whatever they hold, they parse or throw `Error`, and no byte outside of them is
/// read.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/io/detail/file_set.hpp>
#include <deltanet/io/detail/gguf_split.hpp>
#include <deltanet/io/detail/tensor_list.hpp>
#include <deltanet/io/ggml_types.hpp>
#include <deltanet/io/gguf_metadata.hpp>
#include <deltanet/io/mapped_file.hpp>

#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace deltanet {

/// What a file says it holds. Shapes are row-major, the other way round than in the file: a matrix
/// that maps n inputs to m outputs is [m, n]. The last extent of a quantised tensor is a whole
/// number of blocks, and `byte_size` what they take.
struct GgufContents {
    std::vector<TensorInfo> tensors;  ///< by name, ascending
    GgufMetadata metadata;
    index_t alignment = 32;  ///< of every tensor's data, from the beginning of all data
};

namespace detail {

/// Where a tensor's data begin, from the beginning of all data.
struct GgufEntry {
    TensorInfo tensor;
    std::uint64_t offset;
};

[[nodiscard]] inline GgufEntry read_gguf_tensor(GgufCursor& cursor) {
    cursor.enter("list of tensors");
    const std::string_view name = cursor.text();
    GgufEntry entry{{.name = std::string(name), .dtype = {}, .shape = {}}, 0};
    cursor.enter("tensor", name);
    const auto n_dims = cursor.number<std::uint32_t>();
    if (n_dims > 4) cursor.refuse("0 to 4 dimensions", concat(n_dims));
    index_t elements = 1;
    for (std::uint32_t d = 0; d < n_dims; ++d) {
        const auto extent = cursor.number<std::uint64_t>();
        // In elements, so that no product of any of them overflows, in bytes or bits.
        constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<index_t>::max() / 64);
        if (extent > most / static_cast<std::uint64_t>(elements))
            cursor.refuse("less than 2^57 elements", concat("another extent of ", extent));
        if (extent > 0) elements *= static_cast<index_t>(extent);
        entry.tensor.shape.push_back(static_cast<index_t>(extent));
    }
    std::reverse(entry.tensor.shape.begin(), entry.tensor.shape.end());
    const auto number = cursor.number<std::uint32_t>();
    const GgmlType* const type = ggml_type(number);
    if (type == nullptr) cursor.refuse("a type of the format", concat("type ", number));
    const index_t row = n_dims == 0 ? 1 : entry.tensor.shape.back();
    if (row % type->block != 0) {
        cursor.refuse(concat("rows of whole blocks of ", type->block, ", for type ", type->name),
                      concat("rows of ", row));
    }
    entry.tensor.dtype = type->name;
    entry.tensor.byte_size = entry.tensor.count() / type->block * type->bytes;
    entry.offset = cursor.number<std::uint64_t>();
    return entry;
}

/// Sets where the data are: aligned, inside the file, and none on another's.
inline void place_gguf_tensors(std::string_view file, std::vector<GgufEntry>& entries,
                               std::span<const std::byte> data, index_t alignment) {
    const auto refuse = [&](const GgufEntry& entry, const std::string& expected) {
        fail(gguf_function, concat(file, ": tensor ", in_quotes(entry.tensor.name), ": offset"),
             expected, concat(entry.offset));
    };
    std::sort(entries.begin(), entries.end(), [](const GgufEntry& a, const GgufEntry& b) {
        return std::pair(a.offset, a.tensor.byte_size) < std::pair(b.offset, b.tensor.byte_size);
    });
    std::uint64_t end = 0;
    for (GgufEntry& entry : entries) {
        const auto size = static_cast<std::uint64_t>(entry.tensor.byte_size);
        if (entry.offset % static_cast<std::uint64_t>(alignment) != 0)
            refuse(entry, concat("a multiple of ", alignment));
        if (entry.offset > data.size() || size > data.size() - entry.offset) {
            refuse(entry, concat("room for ", size, " bytes in the ", data.size(),
                                 " that the file has behind its header"));
        }
        if (entry.offset < end)
            refuse(entry, concat("at least ", end, ", where the tensor before it ends"));
        end = entry.offset + size;
        entry.tensor.data = data.data() + entry.offset;
    }
}

[[nodiscard]] inline index_t gguf_alignment(std::string_view file, const GgufMetadata& metadata) {
    const index_t alignment = metadata.integer("general.alignment", 32);
    if (alignment < 8 || alignment > (index_t{1} << 20) || (alignment & (alignment - 1)) != 0) {
        fail(gguf_function, concat(file, ": general.alignment"), "a power of two from 8 to 2^20",
             concat(alignment));
    }
    return alignment;
}

}  // namespace detail

/// Reads the header in `bytes`, a whole file that messages call `name`. Tensors and metadata point
/// into `bytes` and are good as long as those are. Throws `Error` naming the file and the tensor or
/// key for anything but a well-formed file: other versions, big-endian ones, counts and lengths
/// that the file has no room for, names that appear twice, types that the format does not have,
/// rows that are not whole blocks, and data outside the file, not aligned, or on another tensor's.
/// Memory and time are linear in the header, but for sorts. Thread-safe.
[[nodiscard]] inline GgufContents parse_gguf(std::span<const std::byte> bytes,
                                             std::string_view name) {
    detail::GgufCursor cursor(bytes, name);
    const auto magic = cursor.number<std::uint32_t>();
    if (magic != 0x46554747U) cursor.refuse("GGUF as the first four bytes", "others");
    const auto version = cursor.number<std::uint32_t>();
    if (version != 2 && version != 3) {
        const bool swapped = version == 0x02000000U || version == 0x03000000U;
        cursor.refuse("version 2 or 3", swapped ? std::string("a big-endian file")
                                                : detail::concat("version ", version));
    }
    cursor.enter("number of tensors");
    const std::uint64_t n_tensors = cursor.count(24);
    cursor.enter("number of keys");
    const std::uint64_t n_values = cursor.count(13);

    GgufMetadata::Values values;
    for (std::uint64_t i = 0; i < n_values; ++i) {
        cursor.enter("metadata");
        const std::string_view key = cursor.text();
        cursor.enter("value", key);
        const GgufValue value = detail::read_gguf_value(cursor);
        if (!values.emplace(key, value).second) cursor.refuse("one value", "the key twice");
    }
    GgufContents contents;
    contents.metadata = GgufMetadata(std::string(name), std::move(values));
    contents.alignment = detail::gguf_alignment(name, contents.metadata);

    std::vector<detail::GgufEntry> entries;
    entries.reserve(static_cast<std::size_t>(n_tensors));
    for (std::uint64_t i = 0; i < n_tensors; ++i)
        entries.push_back(detail::read_gguf_tensor(cursor));
    const auto step = static_cast<std::size_t>(contents.alignment);
    const std::size_t begin = (cursor.position() + step - 1) / step * step;
    detail::place_gguf_tensors(name, entries, bytes.subspan(std::min(begin, bytes.size())),
                               contents.alignment);
    for (detail::GgufEntry& entry : entries) contents.tensors.push_back(std::move(entry.tensor));
    detail::sort_by_name(detail::gguf_function, name, contents.tensors);
    return contents;
}

/// One of the files that a model may be split into.
class GgufPart {
  public:
    /// Of bytes that are in memory already and outlive it. Throws `Error` as `parse_gguf` does.
    GgufPart(std::span<const std::byte> bytes, std::string path)
        : path_(std::move(path)), contents_(parse_gguf(bytes, path_)) {}

    /// Maps and parses the file. Throws `Error` as `MappedFile::open` and `parse_gguf` do.
    [[nodiscard]] static GgufPart open(const std::filesystem::path& path) {
        MappedFile mapped = MappedFile::open(path);
        GgufPart part(mapped.bytes(), path.string());
        part.mapped_ = std::move(mapped);  // the bytes keep their address
        return part;
    }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// Sorted by name.
    [[nodiscard]] std::span<const TensorInfo> tensors() const noexcept { return contents_.tensors; }
    [[nodiscard]] const GgufMetadata& metadata() const noexcept { return contents_.metadata; }

  private:
    std::string path_;
    MappedFile mapped_;
    GgufContents contents_;
};

/// An open GGUF file, or all the parts of one that is split; movable, not copyable. Tensors and
/// metadata stay valid, at the same address, as long as the object (or the one it was moved to)
/// lives. Const functions may be called from several threads. See `MappedFile` for files that
/// change while they are open.
class GgufFile {
  public:
    /// Maps and parses the file and, where its `split.count` is above 1, the other parts, which lie
    /// beside it: <name>-00001-of-00003.gguf and so on. Any part will do. Throws `Error` as
    /// `GgufPart::open` does, for parts that are missing, misnamed or of another model by their own
    /// numbers, and for a tensor in two of them.
    [[nodiscard]] static GgufFile open(const std::filesystem::path& path) {
        GgufPart given = GgufPart::open(path);
        const detail::GgufSplit split =
            detail::read_gguf_split(kOpen, given.path(), given.metadata());
        std::vector<GgufPart> parts;
        for (index_t i = 0; i < split.count; ++i) {
            if (i == split.number) {
                if (split.count > 1)
                    static_cast<void>(detail::gguf_part_path(kOpen, path, split, i));
                parts.push_back(std::move(given));
                continue;
            }
            const std::filesystem::path other = detail::gguf_part_path(kOpen, path, split, i);
            std::error_code ignored;  // what cannot be examined is reported when it is opened
            if (!std::filesystem::exists(other, ignored)) {
                detail::fail(kOpen, path.string(),
                             detail::concat("part ", i + 1, " of ", split.count, " beside it, ",
                                            other.string()),
                             "no such file");
            }
            parts.push_back(GgufPart::open(other));
        }
        return {kOpen, path.string(), std::move(parts)};
    }

    /// Of all parts of a model, in order, or of its one file: where the bytes are the engine's. The
    /// first part's path stands for all. Throws `Error` as `open` does.
    [[nodiscard]] static GgufFile of(std::vector<GgufPart> parts) {
        detail::check_at_least(kOf, "parts", static_cast<index_t>(parts.size()), 1);
        std::string path = parts.front().path();
        return {kOf, std::move(path), std::move(parts)};
    }

    /// As given to `open`.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// The files, in the order of their numbers; at least one.
    [[nodiscard]] const std::vector<GgufPart>& parts() const noexcept { return set_.files(); }
    /// Names of all tensors, sorted.
    [[nodiscard]] std::vector<std::string_view> names() const { return set_.names(); }
    /// Of the first part, where those of the model are.
    [[nodiscard]] const GgufMetadata& metadata() const noexcept {
        return parts().front().metadata();
    }
    /// Path of the part that holds the tensor, for messages; empty if there is no such tensor.
    [[nodiscard]] std::string_view file_of(std::string_view name) const noexcept {
        return set_.file_of(name);
    }
    /// The tensor of that name, or null. Logarithmic in the number of tensors.
    [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept {
        return set_.find(name);
    }
    /// The tensor of that name. Throws `Error` with the names most like it if there is none.
    [[nodiscard]] const TensorInfo& tensor(std::string_view name) const {
        return set_.tensor("GgufFile::tensor", name);
    }

  private:
    static constexpr std::string_view kOpen = "GgufFile::open", kOf = "GgufFile::of";

    GgufFile(std::string_view function, std::string path, std::vector<GgufPart> parts)
        : path_(std::move(path)) {
        detail::check_gguf_parts(function, std::span<const GgufPart>(parts));
        set_ = {function, std::move(parts)};
    }

    std::string path_;
    detail::FileSet<GgufPart> set_;
};

}  // namespace deltanet
