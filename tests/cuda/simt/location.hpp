// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Where in the source a thread stands.
#pragma once

#include <cstring>
#include <source_location>
#include <string>

namespace simt {

#if defined(__clang__) && __clang_major__ < 16
/// libstdc++ hides std::source_location from clang before 16.
class Location {
  public:
    static constexpr Location current(const char* file = __builtin_FILE(),
                                      unsigned line = __builtin_LINE(),
                                      unsigned column = __builtin_COLUMN()) {
        Location here;
        here.file_ = file;
        here.line_ = line;
        here.column_ = column;
        return here;
    }
    [[nodiscard]] constexpr const char* file_name() const { return file_; }
    [[nodiscard]] constexpr unsigned line() const { return line_; }
    [[nodiscard]] constexpr unsigned column() const { return column_; }

  private:
    const char* file_ = "";
    unsigned line_ = 0;
    unsigned column_ = 0;
};
#else
using Location = std::source_location;
#endif

/// The same call in the source. Two copies of a call that the compiler made of one are the same.
[[nodiscard]] inline bool same_place(const Location& a, const Location& b) {
    return a.line() == b.line() && a.column() == b.column() &&
           (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

/// "file:line", without folders.
[[nodiscard]] inline std::string to_string(const Location& at) {
    const std::string file = at.file_name();
    return file.substr(file.rfind('/') + 1) + ":" + std::to_string(at.line());
}

}  // namespace simt
