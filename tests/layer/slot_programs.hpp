// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Random programs of everything that can happen to slots. A program is a list of plain numbers
/// that mean something whatever the state is, so any part of a failing one can be left out:
/// `shrink` looks for a short one that still fails.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace deltanet::test {

enum class Action : std::uint8_t {
    append,
    verify,
    tree,
    rollback,
    fresh,
    copy,
    reset,
    flush,
    mixed,
    save,
    snapshot,
    fork,
    swap
};
inline constexpr int n_actions = 13;

struct Operation {
    Action action;
    std::uint32_t slot, other, count, random;  ///< taken modulo what is possible
};
using Program = std::vector<Operation>;

[[nodiscard]] inline Program random_program(std::mt19937& generator, std::size_t length) {
    const auto number = [&] { return static_cast<std::uint32_t>(generator()); };
    Program program;
    for (std::size_t i = 0; i < length; ++i) {
        program.push_back({static_cast<Action>(number() % n_actions), number(), number(),
                           number() % 40, number()});
    }
    return program;
}

[[nodiscard]] inline std::string text_of(const Program& program) {
    std::ostringstream text;
    for (const Operation& o : program) {
        static constexpr const char* names[n_actions] = {
            "append", "verify", "tree", "rollback", "fresh", "copy", "reset",
            "flush",  "mixed",  "save", "snapshot", "fork",  "swap"};
        text << names[static_cast<int>(o.action)] << " slot " << o.slot << " other " << o.other
             << " count " << o.count << " random " << o.random << '\n';
    }
    return text.str();
}

/// Leaves out operations and lowers counts as long as `fails` says so.
[[nodiscard]] inline Program shrink(Program program,
                                    const std::function<bool(const Program&)>& fails) {
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (std::size_t i = program.size(); i-- > 0;) {
            Program without = program;
            without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
            if (fails(without)) {
                program = without;
                smaller = true;
                continue;
            }
            Program fewer = program;
            fewer[i].count /= 2;
            if (fewer[i].count != program[i].count && fails(fewer)) {
                program = fewer;
                smaller = true;
            }
        }
    }
    return program;
}

}  // namespace deltanet::test
