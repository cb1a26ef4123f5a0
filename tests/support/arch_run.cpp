// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// arch_run FEATURES [COMMAND ...]: runs the command if this CPU and its system offer every feature
/// of the comma-separated list, and otherwise exits with 77, which ctest reports as skipped.
/// Compiled with baseline flags, so that it runs where the command would trap.
#include <deltanet/dispatch/cpu_features.hpp>

#include <cstdio>
#include <string_view>
#include <unistd.h>

int main(int argc, char** argv) {
    constexpr int skipped = 77;
    if (argc < 2) return 2;
    const std::string_view missing = deltanet::dispatch::missing_feature(argv[1]);
    if (!missing.empty()) {
        const bool known = deltanet::dispatch::cpu_has(missing) == 0;
        std::printf("%.*s: %s\n", static_cast<int>(missing.size()), missing.data(),
                    known ? "this CPU lacks it, skipped" : "unknown to cpu_features.hpp");
        return known ? skipped : 2;
    }
    if (argc == 2) return 0;
    execv(argv[2], argv + 2);
    std::perror(argv[2]);
    return 2;
}
