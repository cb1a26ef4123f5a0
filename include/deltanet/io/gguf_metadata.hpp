// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The metadata of a GGUF file: keys with values of thirteen types, arrays left where they are.
#pragma once

#include <deltanet/io/detail/gguf_cursor.hpp>

#include <cstring>
#include <map>
#include <optional>
#include <string>

namespace deltanet {

enum class GgufType : std::uint32_t {
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    string,
    array,
    u64,
    i64,
    f64
};

/// A value, whose bytes belong to the file.
struct GgufValue {
    GgufType type = GgufType::u8;
    GgufType element = GgufType::u8;   ///< of an array
    index_t count = 1;                 ///< of an array's elements
    std::span<const std::byte> bytes;  ///< of the number, the characters, or all elements

    /// A whole number that index_t can hold, also a bool.
    [[nodiscard]] std::optional<index_t> integer() const noexcept;
    /// A floating-point or whole number.
    [[nodiscard]] std::optional<double> number() const noexcept;
    [[nodiscard]] std::optional<std::string_view> text() const noexcept {
        if (type != GgufType::string) return std::nullopt;
        return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    /// Element i of an array of numbers.
    [[nodiscard]] GgufValue at(index_t i) const noexcept {
        const std::size_t size = bytes.size() / static_cast<std::size_t>(count);
        return {element, element, 1, bytes.subspan(static_cast<std::size_t>(i) * size, size)};
    }

  private:
    template <class Number>
    [[nodiscard]] Number as() const noexcept {
        Number value;
        std::memcpy(&value, bytes.data(), sizeof(Number));
        return value;
    }
};

inline std::optional<index_t> GgufValue::integer() const noexcept {
    switch (type) {
        case GgufType::u8:
        case GgufType::boolean:
            return as<std::uint8_t>();
        case GgufType::i8:
            return as<std::int8_t>();
        case GgufType::u16:
            return as<std::uint16_t>();
        case GgufType::i16:
            return as<std::int16_t>();
        case GgufType::u32:
            return as<std::uint32_t>();
        case GgufType::i32:
            return as<std::int32_t>();
        case GgufType::i64:
            return as<std::int64_t>();
        case GgufType::u64: {
            const auto value = as<std::uint64_t>();
            if (value >> 63 != 0) return std::nullopt;
            return static_cast<index_t>(value);
        }
        case GgufType::f32:
        case GgufType::f64:
        case GgufType::string:
        case GgufType::array:
            break;
    }
    return std::nullopt;
}

inline std::optional<double> GgufValue::number() const noexcept {
    if (type == GgufType::f32) return static_cast<double>(as<float>());
    if (type == GgufType::f64) return as<double>();
    const std::optional<index_t> whole = integer();
    if (!whole) return std::nullopt;
    return static_cast<double>(*whole);
}

namespace detail {

/// Bytes of a value of a fixed size, 0 for the others.
[[nodiscard]] inline std::uint64_t gguf_size(GgufType type) noexcept {
    switch (type) {
        case GgufType::u8:
        case GgufType::i8:
        case GgufType::boolean:
            return 1;
        case GgufType::u16:
        case GgufType::i16:
            return 2;
        case GgufType::u32:
        case GgufType::i32:
        case GgufType::f32:
            return 4;
        case GgufType::u64:
        case GgufType::i64:
        case GgufType::f64:
            return 8;
        case GgufType::string:
        case GgufType::array:
            break;
    }
    return 0;
}

[[nodiscard]] inline GgufType read_gguf_type(GgufCursor& cursor) {
    const auto number = cursor.number<std::uint32_t>();
    if (number > static_cast<std::uint32_t>(GgufType::f64))
        cursor.refuse("a type of 0 to 12", concat(number));
    return static_cast<GgufType>(number);
}

[[nodiscard]] inline GgufValue read_gguf_value(GgufCursor& cursor) {
    GgufValue value{.type = read_gguf_type(cursor), .bytes = {}};
    if (value.type == GgufType::string) {
        value.bytes = std::as_bytes(std::span(cursor.text()));
        return value;
    }
    if (value.type != GgufType::array) {
        value.bytes = cursor.take(gguf_size(value.type));
        return value;
    }
    value.element = read_gguf_type(cursor);
    if (value.element == GgufType::array) cursor.refuse("an array of numbers or strings", "arrays");
    const std::uint64_t size = gguf_size(value.element);
    const std::uint64_t count = cursor.count(size == 0 ? 8 : size);
    value.count = static_cast<index_t>(count);
    if (size > 0) {
        value.bytes = cursor.take(count * size);
        return value;
    }
    GgufCursor elements = cursor;  // strings lie one after another, with their lengths
    for (std::uint64_t i = 0; i < count; ++i) static_cast<void>(elements.text());
    value.bytes = cursor.take(elements.position() - cursor.position());
    return value;
}

}  // namespace detail

/// Values by key.
class GgufMetadata {
  public:
    using Values = std::map<std::string, GgufValue, std::less<>>;

    GgufMetadata() = default;
    GgufMetadata(std::string file, Values values)
        : file_(std::move(file)), values_(std::move(values)) {}

    [[nodiscard]] const Values& values() const noexcept { return values_; }
    /// Null if there is no such key.
    [[nodiscard]] const GgufValue* find(std::string_view key) const noexcept {
        const auto place = values_.find(key);
        return place == values_.end() ? nullptr : &place->second;
    }

    /// The value of a key, or `otherwise` where there is none. Without an `otherwise`, and for a
    /// value of another kind, throws `Error` naming the key.
    [[nodiscard]] index_t integer(std::string_view key,
                                  std::optional<index_t> otherwise = {}) const {
        return get("GgufMetadata::integer", key, "a whole number", otherwise,
                   [](const GgufValue& value) { return value.integer(); });
    }
    [[nodiscard]] double number(std::string_view key, std::optional<double> otherwise = {}) const {
        return get("GgufMetadata::number", key, "a number", otherwise,
                   [](const GgufValue& value) { return value.number(); });
    }
    [[nodiscard]] std::string_view text(std::string_view key,
                                        std::optional<std::string_view> otherwise = {}) const {
        return get("GgufMetadata::text", key, "a string", otherwise,
                   [](const GgufValue& value) { return value.text(); });
    }

  private:
    template <class T, class Read>
    [[nodiscard]] T get(std::string_view function, std::string_view key, std::string_view kind,
                        const std::optional<T>& otherwise, Read&& read) const {
        const GgufValue* const value = find(key);
        if (value == nullptr && otherwise) return *otherwise;
        const std::optional<T> found = value == nullptr ? std::nullopt : read(*value);
        if (!found) {
            detail::fail(function, detail::concat(file_, ": ", detail::in_quotes(key)), kind,
                         value == nullptr ? std::string("no such key")
                                          : detail::concat("a value of type ",
                                                           static_cast<index_t>(value->type)));
        }
        return *found;
    }

    std::string file_;
    Values values_;
};

}  // namespace deltanet
