// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// arch_run FEATURES [COMMAND ...]: runs the command if this CPU and its system offer every feature
/// of the comma-separated list, and otherwise exits with 77, which ctest reports as skipped.
/// Compiled with baseline flags, so that it runs where the command would trap.
#include <cstdio>
#include <cstring>
#include <string_view>
#include <unistd.h>

namespace {

/// -1: this program does not know the feature. The built-in takes literals only.
int cpu_has(std::string_view feature) {
#if defined(__x86_64__)
    if (feature == "avx2") return __builtin_cpu_supports("avx2") != 0;
    if (feature == "fma") return __builtin_cpu_supports("fma") != 0;
    if (feature == "avx512f") return __builtin_cpu_supports("avx512f") != 0;
    if (feature == "avx512cd") return __builtin_cpu_supports("avx512cd") != 0;
    if (feature == "avx512dq") return __builtin_cpu_supports("avx512dq") != 0;
    if (feature == "avx512bw") return __builtin_cpu_supports("avx512bw") != 0;
    if (feature == "avx512vl") return __builtin_cpu_supports("avx512vl") != 0;
    if (feature == "avx512bf16") return __builtin_cpu_supports("avx512bf16") != 0;
#endif
    return -1;
}

}  // namespace

int main(int argc, char** argv) {
    constexpr int skipped = 77;
    if (argc < 2) return 2;
    std::string_view rest = argv[1];
    while (!rest.empty()) {
        const std::string_view feature = rest.substr(0, rest.find(','));
        rest.remove_prefix(feature.size() < rest.size() ? feature.size() + 1 : rest.size());
        const int has = cpu_has(feature);
        if (has == 1) continue;
        std::printf("%.*s: %s\n", static_cast<int>(feature.size()), feature.data(),
                    has == 0 ? "this CPU lacks it, skipped" : "unknown to arch_run.cpp");
        return has == 0 ? skipped : 2;
    }
    if (argc == 2) return 0;
    execv(argv[2], argv + 2);
    std::perror(argv[2]);
    return 2;
}
