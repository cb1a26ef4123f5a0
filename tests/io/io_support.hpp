// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the io tests share: files built byte by byte, directories that go away, and the text of the
/// error that a call ends with.
#pragma once

#include <deltanet/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace deltanet::test {

/// A safetensors file: the length of the header, the header, the data, as they are given.
inline std::string safetensors_bytes(std::string_view header, std::string_view data = {}) {
    const std::uint64_t length = header.size();
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    bytes += header;
    bytes += data;
    return bytes;
}

/// The header of one tensor "t" with these three values, written as JSON.
inline std::string header_of(const std::string& dtype, const std::string& shape,
                             const std::string& offsets) {
    return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// The bytes of values of any trivial type.
template <class T>
std::string raw_bytes(std::span<const T> values) {
    std::string raw(values.size_bytes(), '\0');
    if (!raw.empty()) std::memcpy(raw.data(), values.data(), raw.size());
    return raw;
}

/// What the `Error` says that `call` ends with; empty if it returns. Other exceptions pass.
template <class Call>
std::string error_of(Call&& call) {
    try {
        static_cast<void>(call());
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

/// A new directory, removed with all that is in it.
class TempDirectory {
  public:
    TempDirectory() {
        std::random_device entropy;
        do {
            path_ = std::filesystem::temp_directory_path() /
                    detail::concat("deltanet-test-", entropy());
        } while (!std::filesystem::create_directory(path_));
    }
    TempDirectory(const TempDirectory&) = delete;
    TempDirectory& operator=(const TempDirectory&) = delete;
    ~TempDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    /// Writes a file into it and returns its path.
    [[nodiscard]] std::filesystem::path write(const std::string& name,
                                              std::string_view bytes) const {
        const std::filesystem::path file = path_ / name;
        std::ofstream stream(file, std::ios::binary);
        stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        stream.close();
        if (!stream) throw std::runtime_error("cannot write " + file.string());
        return file;
    }

  private:
    std::filesystem::path path_;
};

}  // namespace deltanet::test
