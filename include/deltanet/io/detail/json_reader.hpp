// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// JSON out of untrusted files, event by event: no tree is built, so a reader sees every key (also
/// the second of two equal ones), stops at the first thing it did not expect, and needs memory only
/// for what it keeps. nlohmann's event parser does not recurse, whatever the nesting.
// IWYU pragma: private, include <deltanet/io/checkpoint.hpp>
#pragma once

#include <deltanet/error.hpp>
#include <deltanet/io/detail/names.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace deltanet::detail {

/// Every event that `Derived` does not define itself ends in `refuse(found)` of the derived reader,
/// which throws. A reader hides the events it wants and calls those here where they do not fit.
template <class Derived>
class JsonReader {
  public:
    bool null() { return refuse("null"); }
    bool boolean(bool value) { return refuse(value ? "true" : "false"); }
    bool number_integer(std::int64_t value) {  // nlohmann calls this for numbers with a minus only
        return refuse(value == 0 ? std::string("-0") : std::to_string(value));
    }
    bool number_unsigned(std::uint64_t value) { return refuse(std::to_string(value)); }
    bool number_float(double /*value*/, const std::string& text) { return refuse(printable(text)); }
    bool string(std::string& value) { return refuse(concat("the string ", in_quotes(value))); }
    bool binary(nlohmann::json::binary_t& /*value*/) { return refuse("binary data"); }
    bool start_object(std::size_t /*unknown*/) { return refuse("an object"); }
    bool start_array(std::size_t /*unknown*/) { return refuse("an array"); }
    bool end_object() { return true; }
    bool end_array() { return true; }
    bool key(std::string& name) { return refuse(concat("the key ", in_quotes(name))); }

    bool parse_error(std::size_t position, const std::string& /*token*/,
                     const nlohmann::detail::exception& error) {
        std::string_view reason = error.what();
        const std::size_t tag = reason.find("] ");  // [json.exception.parse_error.101]
        if (tag != std::string_view::npos) reason.remove_prefix(tag + 2);
        return self().refuse_json(concat("at byte ", position, ": ", printable(reason, 240)));
    }

  protected:
    Derived& self() noexcept { return static_cast<Derived&>(*this); }

  private:
    bool refuse(const std::string& found) { return self().refuse(found); }
};

/// Feeds `text` to a reader that provides `refuse` (an event does not fit) and `refuse_json` (the
/// text is not JSON in UTF-8), both of which throw. Exactly one value, nothing but white space
/// behind it.
template <class Reader>
void read_json(std::string_view text, Reader& reader) {
    // nlohmann takes a zero byte for the end of the text and would not look at what follows it.
    const std::size_t zero = text.find('\0');
    if (zero != std::string_view::npos) reader.refuse_json(concat("a zero byte at byte ", zero));
    static_cast<void>(nlohmann::json::sax_parse(text.data(), text.data() + text.size(), &reader));
}

}  // namespace deltanet::detail
