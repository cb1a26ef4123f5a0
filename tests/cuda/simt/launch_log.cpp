// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "launch_log.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <tuple>

extern "C" char __executable_start;  // NOLINT: the linker's name

namespace simt {
namespace {

class LaunchLog {
  public:
    LaunchLog() : path_(std::getenv("DELTANET_SIMT_LAUNCHES")) {}
    ~LaunchLog() {
        std::FILE* const file = path_ == nullptr ? nullptr : std::fopen(path_, "a");
        if (file == nullptr) return;
        for (const auto& [offset, threads, bytes] : launches_) {
            std::fprintf(file, "%zx %u %zu\n", offset, threads, bytes);
        }
        std::fclose(file);
    }
    LaunchLog(const LaunchLog&) = delete;
    LaunchLog& operator=(const LaunchLog&) = delete;

    void add(const void* kernel, unsigned n_threads, std::size_t shared_bytes) {
        if (path_ == nullptr) return;
        const auto offset = reinterpret_cast<std::uintptr_t>(kernel) -
                            reinterpret_cast<std::uintptr_t>(&__executable_start);
        launches_.emplace(offset, n_threads, shared_bytes);
    }

  private:
    const char* path_;
    std::set<std::tuple<std::size_t, unsigned, std::size_t>> launches_;
};

}  // namespace

void log_launch(const void* kernel, unsigned n_threads, std::size_t shared_bytes) {
    static LaunchLog log;
    log.add(kernel, n_threads, shared_bytes);
}

}  // namespace simt
