// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a caller's mistake looks like: one exception type, one message format,
///   "<function>: <argument>: expected <what>, found <what>".
/// Checks stand at the edge of every public function and run before anything is written, so that a
/// caller who catches the error finds outputs and state as they were.
#pragma once

#include <deltanet/config.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace deltanet {

/// Thrown for every mistake in an argument, a configuration, a batch or a file.
class Error : public std::invalid_argument {
  public:
    using std::invalid_argument::invalid_argument;
};

namespace detail {

inline void append(std::string& text, std::string_view piece) { text += piece; }
inline void append(std::string& text, const char* piece) { text += piece; }
inline void append(std::string& text, const std::string& piece) { text += piece; }
template <class Number>
requires std::is_integral_v<Number>
void append(std::string& text, Number number) { text += std::to_string(number); }
template <class Number>
requires std::is_floating_point_v<Number>
void append(std::string& text, Number number) {
    char digits[32];  // std::to_string turns 1e-9 into 0.000000
    std::snprintf(digits, sizeof(digits), "%g", static_cast<double>(number));
    text += digits;
}

/// The pieces one after another; numbers in decimal.
template <class... Pieces>
[[nodiscard]] std::string concat(const Pieces&... pieces) {
    std::string text;
    (append(text, pieces), ...);
    return text;
}

/// Ends the call with an `Error`. Without exceptions (`-fno-exceptions`) the process is aborted:
/// there is no other way to leave outputs untouched and not go on.
[[noreturn]] inline void raise(const std::string& message) {
#if defined(__cpp_exceptions)
    throw Error(message);
#else
    static_cast<void>(message);
    std::abort();
#endif
}

/// "<function>: <argument>: expected <expected>, found <found>".
[[noreturn]] inline void fail(std::string_view function, std::string_view argument,
                              std::string_view expected, std::string_view found) {
    raise(concat(function, ": ", argument, ": expected ", expected, ", found ", found));
}

}  // namespace detail
}  // namespace deltanet
