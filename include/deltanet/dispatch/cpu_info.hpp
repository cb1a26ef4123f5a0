// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Which of the instruction sets that a program was built with is used, and why.
#pragma once

#include <deltanet/error.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deltanet {

namespace dispatch {
struct KernelTable;
}

/// One instruction set that the program has kernels for.
struct CpuArch {
    std::string_view name;   ///< as in DELTANET_ARCH: "baseline", "avx2", "avx512"
    std::string_view needs;  ///< features, comma-separated, by the names of the compiler's flags
    std::string_view
        missing;  ///< the first of them that this CPU or its system lacks; empty: usable
};

struct CpuInfo {
    std::vector<CpuArch> archs;  ///< in rising order
    std::size_t chosen = 0;      ///< index into archs
    bool forced = false;         ///< by DELTANET_ARCH

    [[nodiscard]] const CpuArch& arch() const noexcept { return archs[chosen]; }

    /// For example "avx2: the best of baseline, avx2 (avx512 is compiled in; avx512f is missing)".
    [[nodiscard]] std::string text() const {
        std::string usable, others;
        for (const CpuArch& arch : archs) {
            std::string& list = arch.missing.empty() ? usable : others;
            if (!list.empty()) list += arch.missing.empty() ? ", " : "; ";
            list += arch.name;
            if (arch.missing.empty()) continue;
            list += detail::concat(" is compiled in, ", arch.missing, " is missing");
        }
        std::string reason = forced ? "as DELTANET_ARCH says, of " : "the best of ";
        if (!others.empty()) others = detail::concat(" (", others, ")");
        return detail::concat(archs[chosen].name, ": ", reason, usable, others);
    }
};

namespace dispatch {

/// The last usable arch, or the one that `wanted` names (null or empty: none). Throws `Error` when
/// that one is not compiled in or cannot be used here.
[[nodiscard]] inline CpuInfo choose(std::vector<CpuArch> archs, const char* wanted) {
    CpuInfo info{std::move(archs), 0, wanted != nullptr && *wanted != '\0'};
    std::string usable;
    for (std::size_t i = 0; i < info.archs.size(); ++i) {
        if (!info.archs[i].missing.empty()) continue;
        info.chosen = i;
        if (!usable.empty()) usable += ", ";
        usable += info.archs[i].name;
    }
    if (!info.forced) return info;
    for (std::size_t i = 0; i < info.archs.size(); ++i) {
        if (info.archs[i].name != wanted) continue;
        if (!info.archs[i].missing.empty()) {
            detail::fail("cpu_info", "DELTANET_ARCH",
                         detail::concat("an instruction set that works here (", usable, ")"),
                         detail::concat(wanted, ", which needs ", info.archs[i].missing));
        }
        info.chosen = i;
        return info;
    }
    std::string names;
    for (const CpuArch& arch : info.archs)
        names += detail::concat(names.empty() ? "" : ", ", arch.name);
    detail::fail("cpu_info", "DELTANET_ARCH", detail::concat("one of ", names), wanted);
}

/// The kernels of `cpu_info().arch()`. In the library deltanet::dispatch.
[[nodiscard]] const KernelTable& kernels();

}  // namespace dispatch

/// Decided at the first call, from what the CPU and its operating system offer or from the
/// environment variable DELTANET_ARCH. Throws `Error` when that names an instruction set that is
/// not compiled in or does not work here. Thread-safe. In the library deltanet::dispatch.
[[nodiscard]] const CpuInfo& cpu_info();

}  // namespace deltanet
