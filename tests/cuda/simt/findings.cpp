// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "findings.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <unistd.h>
#include <unordered_map>
#include <utility>

extern "C" char __executable_start;  // NOLINT: the linker's name

namespace simt {
namespace {

struct Key {
    const char* what;
    const void* pc;
    bool operator==(const Key&) const = default;
};
struct KeyHash {
    std::size_t operator()(const Key& key) const {
        return std::hash<const void*>()(key.what) * 31 + std::hash<const void*>()(key.pc);
    }
};

std::unordered_map<Key, unsigned long, KeyHash> counted;
std::map<std::string, unsigned long> texts;

/// The lines that addr2line prints for one address, innermost first.
std::string run_addr2line(const void* pc) {
    const auto offset = reinterpret_cast<std::uintptr_t>(pc) - 1 -
                        reinterpret_cast<std::uintptr_t>(&__executable_start);
    char command[160];
    std::snprintf(command, sizeof command, "addr2line -sie /proc/%d/exe %#zx 2>/dev/null",
                  static_cast<int>(getpid()), static_cast<std::size_t>(offset));
    std::string text;
    std::FILE* const output = popen(command, "r");
    if (output == nullptr) return "?";
    char line[512];
    while (std::fgets(line, sizeof line, output) != nullptr) {
        std::string place = line;
        place = place.substr(0, place.find_first_of(" \n"));
        text += (text.empty() ? "" : " < ") + place;
    }
    pclose(output);
    return text.empty() ? "?" : text;
}

}  // namespace

void finding(const char* what, const void* pc) { ++counted[{what, pc}]; }

void finding(std::string text) { ++texts[std::move(text)]; }

bool has_findings() { return !counted.empty() || !texts.empty(); }

std::string describe(const void* pc) {
    static std::map<const void*, std::string> known;
    const auto [place, is_new] = known.try_emplace(pc);
    if (is_new) place->second = run_addr2line(pc);
    return place->second;
}

std::vector<std::string> take_findings() {
    // Unrolled loops have many addresses for one line, so that counts are added by text.
    for (const auto& [key, count] : counted) {
        const std::string where = key.pc == nullptr ? "" : " at " + describe(key.pc);
        texts[key.what + where] += count;
    }
    counted.clear();
    std::vector<std::string> list;
    for (const auto& [text, count] : texts) {
        list.push_back(count == 1 ? text : text + " (" + std::to_string(count) + " times)");
    }
    texts.clear();
    return list;
}

}  // namespace simt
