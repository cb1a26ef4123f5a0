// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// GGUF files built piece by piece, right or wrong in any of them.
#pragma once

#include <deltanet/config.hpp>

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
        values_.push_back({std::string(key), raw(type) + bytes});
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
        std::string bytes = raw(static_cast<std::uint32_t>(extents.size()));
        for (const std::uint64_t extent : extents) bytes += raw(extent);
        tensors_.push_back({std::string(name), bytes + raw(type) + raw(offset)});
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
    /// A key or tensor gets another name.
    GgufBuilder& rename(std::string_view from, std::string_view to) {
        for (std::vector<Named>* const list : {&values_, &tensors_}) {
            for (Named& named : *list) {
                if (named.name == from) named.name = to;
            }
        }
        return *this;
    }
    /// Part `number` of `count`, as llama.cpp splits files: the first has the metadata, and each
    /// every count-th tensor (and, here, the data of all).
    [[nodiscard]] GgufBuilder part(index_t number, index_t count) const {
        GgufBuilder result = *this;
        if (number > 0) {
            std::erase_if(result.values_,
                          [](const Named& v) { return v.name != "general.alignment"; });
        }
        result.tensors_.clear();
        for (std::size_t i = 0; i < tensors_.size(); ++i) {
            if (static_cast<index_t>(i) % count == number) result.tensors_.push_back(tensors_[i]);
        }
        result.value("split.no", 2, raw(static_cast<std::uint16_t>(number)))
            .value("split.count", 2, raw(static_cast<std::uint16_t>(count)))
            .value("split.tensors.count", 5, raw(static_cast<std::int32_t>(tensors_.size())));
        return result;
    }
    [[nodiscard]] std::string bytes() const {
        std::string file = magic + raw(version) +
                           raw<std::uint64_t>(tensors_.size() + more_tensors) +
                           raw<std::uint64_t>(values_.size() + more_values);
        for (const std::vector<Named>* const list : {&values_, &tensors_}) {
            for (const Named& named : *list) file += gguf_text(named.name) + named.bytes;
        }
        if (!data.empty()) pad(file);
        return file + data;
    }

  private:
    struct Named {
        std::string name, bytes;
    };

    void pad(std::string& text) const {
        while (text.size() % alignment != 0) text += '\0';
    }

    std::vector<Named> values_, tensors_;
};

}  // namespace deltanet::test
