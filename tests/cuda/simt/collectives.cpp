// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "collectives.hpp"

#include "metrics.hpp"
#include "shadow.hpp"

#include <string>

namespace simt {
namespace {

[[nodiscard]] bool in_mask(unsigned mask, unsigned lane) { return (mask >> lane & 1U) != 0; }

/// One lane that must take part: true if it waits in the same call already.
bool has_come(unsigned lane, const char* name, unsigned mask, const Location& at) {
    const unsigned i = position.warp * warp_size + lane;
    if (i >= n_threads || threads[i].state == State::finished) {
        fail(std::string(name) + ": the mask names lane " + std::to_string(lane) +
             ", which has exited or does not exist, at " + to_string(at));
    }
    const Thread& other = threads[i];
    if (other.state != State::in_collective) return false;
    if (std::strcmp(other.call.name, name) != 0 || other.call.mask != mask ||
        !same_place(other.where, at)) {
        fail("divergent warp collective: lane " + std::to_string(position.lane) + " in " + name +
             " at " + to_string(at) + ", lane " + std::to_string(lane) + " in " + other.call.name +
             " at " + to_string(other.where));
    }
    return true;
}

struct Shuffle {
    std::uint64_t in;
    std::uint64_t out;
    unsigned source;
};

void do_shuffle(void* const* arguments, unsigned mask) {
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        if (!in_mask(mask, lane)) continue;
        auto& own = *static_cast<Shuffle*>(arguments[lane]);
        if (!in_mask(mask, own.source)) {
            fail("shuffle reads lane " + std::to_string(own.source) + ", which is not in the mask");
        }
        own.out = static_cast<const Shuffle*>(arguments[own.source])->in;
    }
}

struct Vote {
    bool predicate;
    unsigned result;
};

void do_vote(void* const* arguments, unsigned mask) {
    unsigned result = 0;
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        if (in_mask(mask, lane) && static_cast<const Vote*>(arguments[lane])->predicate) {
            result |= 1U << lane;
        }
    }
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        if (in_mask(mask, lane)) static_cast<Vote*>(arguments[lane])->result = result;
    }
}

}  // namespace

void warp_collective(const char* name, unsigned mask, void* arguments, CollectiveBody body,
                     const Location& at) {
    if (!in_mask(mask, position.lane)) {
        fail("lane " + std::to_string(position.lane) + " executes " + name +
             " with a mask that excludes it, at " + to_string(at));
    }
    Thread& self = *current_thread;
    self.call = {name, mask, arguments};
    self.where = at;
    self.state = State::in_collective;
    void* of_lane[warp_size] = {};
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        if (!in_mask(mask, lane)) continue;
        if (!has_come(lane, name, mask, at)) {
            self.fiber.leave();  // until the last one has done it for all
            return;
        }
        of_lane[lane] = threads[position.warp * warp_size + lane].call.arguments;
    }
    ++metrics.collectives;
    body(of_lane, mask);
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        if (in_mask(mask, lane)) threads[position.warp * warp_size + lane].state = State::ready;
    }
}

void warp_barrier(unsigned mask, const Location& at) {
    warp_collective(
        "__syncwarp", mask, nullptr,
        [](void* const*, unsigned lanes) {
            if (lanes == all_lanes) shadow_warp_barrier();
        },
        at);
}

std::uint64_t shuffle_bits(unsigned mask, std::uint64_t value, unsigned source,
                           const Location& at) {
    Shuffle arguments{value, 0, source};
    warp_collective("shuffle", mask, &arguments, do_shuffle, at);
    return arguments.out;
}

unsigned vote(unsigned mask, bool predicate, const Location& at) {
    Vote arguments{predicate, 0};
    warp_collective("vote", mask, &arguments, do_vote, at);
    return arguments.result;
}

}  // namespace simt
