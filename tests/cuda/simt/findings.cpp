// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "findings.hpp"

#include <algorithm>
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

std::map<const void*, std::string> known_places;

[[nodiscard]] std::uintptr_t offset_of(const void* pc) {
    return reinterpret_cast<std::uintptr_t>(pc) - 1 -
           reinterpret_cast<std::uintptr_t>(&__executable_start);
}

/// Asks addr2line for a batch of addresses: unrolled loops have hundreds, and starting the program
/// is what takes time.
void look_up(const std::vector<const void*>& pcs) {
    std::string command = "addr2line -aie /proc/" + std::to_string(getpid()) + "/exe";
    for (const void* pc : pcs) {
        char address[32];
        std::snprintf(address, sizeof address, " %#zx", static_cast<std::size_t>(offset_of(pc)));
        command += address;
    }
    std::FILE* const output = popen((command + " 2>/dev/null").c_str(), "r");
    if (output == nullptr) return;
    // For each address a line that begins with 0x, then one line for each inlined call.
    char line[1024];
    std::size_t n_seen = 0;
    while (std::fgets(line, sizeof line, output) != nullptr) {
        std::string text = line;
        text = text.substr(0, text.find_first_of(" \n"));
        if (text.rfind("0x", 0) == 0) {
            ++n_seen;
        } else if (n_seen > 0 && n_seen <= pcs.size()) {
            std::string& place = known_places[pcs[n_seen - 1]];
            place += (place.empty() ? "" : " < ") + text.substr(text.rfind('/') + 1);
        }
    }
    pclose(output);
}

void look_up_counted() {
    constexpr std::size_t batch = 500;
    std::vector<const void*> unknown;
    for (const auto& [key, count] : counted) {
        if (key.pc != nullptr && known_places.try_emplace(key.pc).second) {
            unknown.push_back(key.pc);
        }
    }
    for (std::size_t i = 0; i < unknown.size(); i += batch) {
        const auto begin = unknown.begin() + static_cast<std::ptrdiff_t>(i);
        const auto n = std::min(batch, unknown.size() - i);
        look_up(std::vector<const void*>(begin, begin + static_cast<std::ptrdiff_t>(n)));
    }
}

}  // namespace

void finding(const char* what, const void* pc) { ++counted[{what, pc}]; }

void finding(std::string text) { ++texts[std::move(text)]; }

bool has_findings() { return !counted.empty() || !texts.empty(); }

std::vector<std::string> take_findings() {
    // Unrolled loops have many addresses for one line, so that counts are added by text.
    look_up_counted();
    for (const auto& [key, count] : counted) {
        const std::string where = key.pc == nullptr ? "" : " at " + known_places[key.pc];
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
