// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Walks through the bytes of a GGUF file and never over their end; what is not there is an `Error`
/// that says which part of the file it was looked for in.
// IWYU pragma: private, include <deltanet/io/gguf.hpp>
#pragma once

#include <deltanet/io/detail/names.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace deltanet::detail {

inline constexpr std::string_view gguf_function = "parse_gguf";

class GgufCursor {
  public:
    GgufCursor(std::span<const std::byte> bytes, std::string_view file)
        : bytes_(bytes), file_(file) {}

    /// What is read from now on: "key", or "value" of a name that the file gives.
    void enter(std::string_view part, std::string_view name = {}) noexcept {
        part_ = part;
        name_ = name;
    }
    [[nodiscard]] std::size_t position() const noexcept { return position_; }
    [[nodiscard]] std::size_t left() const noexcept { return bytes_.size() - position_; }

    [[nodiscard]] std::span<const std::byte> take(std::uint64_t n) {
        if (n > left()) refuse(concat(n, " bytes"), concat(left(), " left in the file"));
        const auto taken = bytes_.subspan(position_, static_cast<std::size_t>(n));
        position_ += static_cast<std::size_t>(n);
        return taken;
    }
    template <class Number>
    [[nodiscard]] Number number() {
        Number value;
        std::memcpy(&value, take(sizeof(Number)).data(), sizeof(Number));
        return value;
    }
    /// A length and as many bytes.
    [[nodiscard]] std::string_view text() {
        const auto characters = take(number<std::uint64_t>());
        return {reinterpret_cast<const char*>(characters.data()), characters.size()};
    }
    /// A number of things that take `least` bytes each at least, so that hostile ones are refused
    /// before memory is taken for them.
    [[nodiscard]] std::uint64_t count(std::uint64_t least) {
        const auto n = number<std::uint64_t>();
        if (n > left() / least)
            refuse(concat("at most ", left() / least, ", for which there is room"), concat(n));
        return n;
    }

    [[noreturn]] void refuse(std::string_view expected, std::string_view found) const {
        fail(gguf_function,
             concat(file_, ": ", part_, name_.empty() ? "" : " of ",
                    name_.empty() ? std::string() : in_quotes(name_)),
             expected, found);
    }

  private:
    std::span<const std::byte> bytes_;
    std::string_view file_;
    std::string_view part_ = "header";
    std::string_view name_;
    std::size_t position_ = 0;
};

}  // namespace deltanet::detail
