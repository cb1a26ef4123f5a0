// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Global memory: one range of the host's, with red zones around each allocation.
#pragma once

#include <cstddef>

namespace simt {

/// Aligned as cudaMalloc aligns; filled with NaNs that count as never written. Null if full.
[[nodiscard]] void* allocate_global(std::size_t bytes);

/// False if it is not an allocation.
bool free_global(void* memory);

/// True if all of the range lies in one allocation.
[[nodiscard]] bool is_global(const void* memory, std::size_t bytes);

/// True if any of the range lies where allocations do.
[[nodiscard]] bool is_device_address(const void* memory);

/// Allocations that were not freed yet.
[[nodiscard]] std::size_t live_allocations();

}  // namespace simt
