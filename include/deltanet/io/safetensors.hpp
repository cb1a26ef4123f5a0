// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Reader for safetensors files: 8 bytes of header length, a JSON header that gives every tensor a
/// dtype, a shape and a range of bytes, then the bytes. Files are taken for hostile: whatever they
/// hold, they parse or throw `Error`, and no byte outside of them is read.
#pragma once

#include <deltanet/error.hpp>
#include <deltanet/io/detail/json_reader.hpp>
#include <deltanet/io/detail/names.hpp>
#include <deltanet/io/detail/safetensors_header.hpp>
#include <deltanet/io/detail/safetensors_layout.hpp>
#include <deltanet/io/detail/tensor_list.hpp>
#include <deltanet/io/mapped_file.hpp>
#include <deltanet/io/tensor_info.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deltanet {

/// What a file says it holds.
struct SafetensorsContents {
    std::vector<TensorInfo> tensors;                           ///< by name, ascending
    std::map<std::string, std::string, std::less<>> metadata;  ///< the header's `__metadata__`
};

/// Reads the header in `bytes`, a whole file that messages call `name`. The tensors point into
/// `bytes` and are good as long as those are. Throws `Error` naming file, tensor, what was expected
/// and what was found for anything but a well-formed file: wrong JSON, keys that appear twice or
/// are unknown, unknown dtypes, more than 64 dimensions, sizes that do not match, and data that
/// overlap, leave holes, end early or late. Memory and time are linear in the header (at most 100
/// MiB), but for a sort of the tensors. Thread-safe.
[[nodiscard]] inline SafetensorsContents parse_safetensors(std::span<const std::byte> bytes,
                                                           std::string_view name) {
    constexpr std::size_t prefix = sizeof(std::uint64_t);
    constexpr std::uint64_t longest = 100U << 20U;
    const std::string_view where = detail::safetensors_function;
    if (bytes.size() < prefix) {
        detail::fail(where, name, "a file of at least 8 bytes",
                     detail::concat(bytes.size(), " bytes"));
    }
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), prefix);
    const std::uint64_t most = std::min<std::uint64_t>(longest, bytes.size() - prefix);
    if (length > most) {
        detail::fail(where, detail::concat(name, ": header length"),
                     detail::concat("at most ", most, most == longest ? " bytes" : " bytes left"),
                     detail::concat(length, " bytes"));
    }
    const auto size = static_cast<std::size_t>(length);
    const std::string_view header(reinterpret_cast<const char*>(bytes.data() + prefix), size);
    if (!header.starts_with('{')) {
        detail::fail(where, detail::concat(name, ": header"), "JSON that starts with '{'",
                     header.empty() ? "an empty header" : detail::in_quotes(header.substr(0, 1)));
    }
    detail::SafetensorsReader reader(name);
    detail::read_json(header, reader);
    return {detail::place_tensors(name, std::move(reader.entries), bytes.subspan(prefix + size)),
            std::move(reader.metadata)};
}

/// An open safetensors file; movable, not copyable. Tensors, names and metadata stay valid, at the
/// same address, as long as the object (or the one it was moved to) lives. Const functions may be
/// called from several threads. See `MappedFile` for files that change while they are open.
class SafetensorsFile {
  public:
    /// Maps and parses the file. Throws `Error` as `MappedFile::open` and `parse_safetensors` do.
    [[nodiscard]] static SafetensorsFile open(const std::filesystem::path& path) {
        SafetensorsFile file;
        file.path_ = path.string();
        file.mapped_ = MappedFile::open(path);
        file.contents_ = parse_safetensors(file.mapped_.bytes(), file.path_);
        return file;
    }

    /// As given to `open`.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// All tensors, sorted by name.
    [[nodiscard]] std::span<const TensorInfo> tensors() const noexcept { return contents_.tensors; }

    /// Names of all tensors, sorted.
    [[nodiscard]] std::vector<std::string_view> names() const {
        return detail::names_of(contents_.tensors);
    }

    /// The header's `__metadata__`; empty if it has none.
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& metadata() const noexcept {
        return contents_.metadata;
    }

    /// The tensor of that name, or null. Logarithmic in the number of tensors.
    [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept {
        return detail::find_tensor(contents_.tensors, name);
    }

    /// The tensor of that name. Throws `Error` with the names most like it if there is none.
    [[nodiscard]] const TensorInfo& tensor(std::string_view name) const {
        return detail::required_tensor("SafetensorsFile::tensor", path_, contents_.tensors, name);
    }

  private:
    SafetensorsFile() = default;

    std::string path_;
    MappedFile mapped_;
    SafetensorsContents contents_;
};

}  // namespace deltanet
