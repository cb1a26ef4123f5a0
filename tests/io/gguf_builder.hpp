// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// GGUF files built piece by piece, right or wrong in any of them.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace deltanet::test {

/// Little-endian bytes of a number.
template <class Number>
[[nodiscard]] std::string raw(Number number) {
    std::string bytes(sizeof(Number), '\0');
    std::memcpy(bytes.data(), &number, sizeof(Number));
    return bytes;
}
/// A length and the characters.
[[nodiscard]] inline std::string gguf_text(std::string_view text) {
    return raw<std::uint64_t>(text.size()) + std::string(text);
}

struct GgufBuilder {
    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::uint64_t more_tensors = 0, more_values = 0;  ///< counted, but not there
    std::uint64_t alignment = 32;
    std::string data;

    /// `value` is written as it is, behind the number of its type.
    GgufBuilder& value(std::string_view key, std::uint32_t type, const std::string& bytes) {
        values_ += gguf_text(key) + raw(type) + bytes;
        ++n_values_;
        return *this;
    }
    GgufBuilder& text(std::string_view key, std::string_view text) {
        return value(key, 8, gguf_text(text));
    }
    GgufBuilder& number(std::string_view key, std::uint32_t number) {
        return value(key, 4, raw(number));
    }
    /// Extents as in the file: the fastest first.
    GgufBuilder& entry(std::string_view name, const std::vector<std::uint64_t>& extents,
                       std::uint32_t type, std::uint64_t offset) {
        tensors_ += gguf_text(name) + raw(static_cast<std::uint32_t>(extents.size()));
        for (const std::uint64_t extent : extents) tensors_ += raw(extent);
        tensors_ += raw(type) + raw(offset);
        ++n_tensors_;
        return *this;
    }
    /// The same with data, behind those of the tensors before it.
    GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& extents,
                        std::uint32_t type, std::string_view bytes) {
        pad(data);
        entry(name, extents, type, data.size());
        data += bytes;
        return *this;
    }
    [[nodiscard]] std::string bytes() const {
        std::string file = magic + raw(version) + raw(n_tensors_ + more_tensors) +
                           raw(n_values_ + more_values) + values_ + tensors_;
        if (!data.empty()) pad(file);
        return file + data;
    }

  private:
    void pad(std::string& text) const {
        while (text.size() % alignment != 0) text += '\0';
    }

    std::uint64_t n_values_ = 0, n_tensors_ = 0;
    std::string values_, tensors_;
};

}  // namespace deltanet::test
