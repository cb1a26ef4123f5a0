// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Memory on huge pages where the platform has them. A sequence's states are megabytes that every
/// token walks through; on pages of 4 KiB each of them costs address translations.
#pragma once

#include <deltanet/config.hpp>

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace deltanet {

/// Asks the system to put those huge pages that lie inside [memory, memory + bytes) on huge pages,
/// and says whether it will try: Linux does unless transparent huge pages are off; nowhere else is
/// anything done. Contents do not change. Best before the memory is touched. Thread-safe.
inline bool advise_huge_pages(void* memory, index_t bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = 4096;  // what madvise wants the start aligned to
    const auto first = reinterpret_cast<std::uintptr_t>(memory);
    const std::uintptr_t skipped = (page - first % page) % page;
    if (bytes <= static_cast<index_t>(skipped)) return false;
    return madvise(static_cast<char*>(memory) + skipped, static_cast<std::size_t>(bytes) - skipped,
                   MADV_HUGEPAGE) == 0;
#else
    static_cast<void>(memory);
    static_cast<void>(bytes);
    return false;
#endif
}

}  // namespace deltanet
