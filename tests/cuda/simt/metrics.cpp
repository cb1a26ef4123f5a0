// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "metrics.hpp"

#include "block.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <tuple>
#include <vector>

namespace simt {
namespace {

constexpr unsigned n_banks = 32;
constexpr unsigned bank_bytes = 4;
constexpr unsigned sector_bytes = 32;

struct LaneAccess {
    unsigned lane;
    std::uintptr_t offset;
};

/// One instruction of a warp: the n-th access of its lanes from one address of the code.
struct Group {
    std::vector<LaneAccess> lanes;
    unsigned bytes = 0;
    bool is_shared = false;
};

std::map<std::tuple<const void*, unsigned, unsigned>, Group> groups;  // code, warp, n
std::map<std::pair<const void*, unsigned>, unsigned> executed;        // code, thread

template <class T>
std::size_t distinct(std::vector<T>& values) {
    std::sort(values.begin(), values.end());
    return static_cast<std::size_t>(std::unique(values.begin(), values.end()) - values.begin());
}

/// Lanes that shared memory serves together: 32 with 4 bytes each, 16 with 8, 8 with 16.
void count_shared(const Group& group) {
    const unsigned together = n_banks * bank_bytes / std::max(bank_bytes, group.bytes);
    for (unsigned first = 0; first < warp_size; first += together) {
        std::vector<std::uintptr_t> words;
        for (const LaneAccess& access : group.lanes) {
            if (access.lane < first || access.lane >= first + together) continue;
            const std::uintptr_t last = (access.offset + group.bytes - 1) / bank_bytes;
            for (auto word = access.offset / bank_bytes; word <= last; ++word) {
                words.push_back(word);
            }
        }
        if (words.empty()) continue;
        words.resize(distinct(words));
        std::vector<unsigned> in_bank(n_banks);
        for (const std::uintptr_t word : words) ++in_bank[word % n_banks];
        metrics.shared_turns += *std::max_element(in_bank.begin(), in_bank.end());
        ++metrics.shared_ideal_turns;
    }
}

void count_global(const Group& group) {
    std::vector<std::uintptr_t> sectors;
    std::vector<std::uintptr_t> bytes;
    for (const LaneAccess& access : group.lanes) {
        for (std::uintptr_t i = 0; i < group.bytes; ++i) bytes.push_back(access.offset + i);
        for (auto sector = access.offset / sector_bytes;
             sector <= (access.offset + group.bytes - 1) / sector_bytes; ++sector) {
            sectors.push_back(sector);
        }
    }
    metrics.global_sectors += distinct(sectors);
    metrics.global_ideal_sectors += (distinct(bytes) + sector_bytes - 1) / sector_bytes;
}

}  // namespace

void count_access(const void* pc, std::uintptr_t offset, unsigned bytes, bool is_shared) {
    const unsigned n = executed[{pc, position.linear}]++;
    Group& group = groups[{pc, position.warp, n}];
    group.bytes = bytes;
    group.is_shared = is_shared;
    group.lanes.push_back({position.lane, offset});
}

void close_access_groups() {
    if (groups.empty()) return;
    for (const auto& [key, group] : groups) {
        if (group.is_shared) {
            count_shared(group);
        } else {
            count_global(group);
        }
    }
    groups.clear();
    executed.clear();
}

}  // namespace simt
