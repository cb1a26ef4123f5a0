// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this CPU and its operating system offer, by the names of the compiler's flags.
#pragma once

#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace deltanet::dispatch {

#if defined(__x86_64__)
/// Conversions of f16: leaf 1 of CPUID, ECX bit 29. clang 14's built-in does not know the name.
[[nodiscard]] inline bool cpu_has_f16c() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1U << 29)) != 0 &&
           __builtin_cpu_supports("avx");  // its registers are saved
}
/// Products of bytes for AVX: leaf 7.1 of CPUID, EAX bit 4. clang 14 does not know it either.
[[nodiscard]] inline bool cpu_has_avxvnni() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 4)) != 0 &&
           __builtin_cpu_supports("avx");
}
#endif

/// 1: there, and the system saves its registers; 0: not there; -1: this function does not know the
/// feature. The compiler's built-in takes literals only.
[[nodiscard]] inline int cpu_has(std::string_view feature) {
#if defined(__x86_64__)
    if (feature == "avx2") return __builtin_cpu_supports("avx2") != 0;
    if (feature == "fma") return __builtin_cpu_supports("fma") != 0;
    if (feature == "f16c") return cpu_has_f16c();
    if (feature == "avxvnni") return cpu_has_avxvnni();
    if (feature == "avx512f") return __builtin_cpu_supports("avx512f") != 0;
    if (feature == "avx512cd") return __builtin_cpu_supports("avx512cd") != 0;
    if (feature == "avx512dq") return __builtin_cpu_supports("avx512dq") != 0;
    if (feature == "avx512bw") return __builtin_cpu_supports("avx512bw") != 0;
    if (feature == "avx512vl") return __builtin_cpu_supports("avx512vl") != 0;
    if (feature == "avx512vnni") return __builtin_cpu_supports("avx512vnni") != 0;
    if (feature == "avx512bf16") return __builtin_cpu_supports("avx512bf16") != 0;
#else
    static_cast<void>(feature);
#endif
    return -1;
}

/// The first feature of a comma-separated list that is not there; empty if all are.
[[nodiscard]] inline std::string_view missing_feature(std::string_view list) {
    while (!list.empty()) {
        const std::string_view feature = list.substr(0, list.find(','));
        if (cpu_has(feature) != 1) return feature;
        list.remove_prefix(feature.size() < list.size() ? feature.size() + 1 : list.size());
    }
    return {};
}

}  // namespace deltanet::dispatch
