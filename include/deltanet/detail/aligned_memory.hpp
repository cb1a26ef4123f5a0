// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Memory of the library's own: aligned, not initialised, freed with its owner.
#pragma once

#include <deltanet/config.hpp>

#include <memory>
#include <new>

namespace deltanet::detail {

inline constexpr index_t kLineBytes = 64;  ///< what kernels load from

struct FreeAligned {
    std::align_val_t alignment{static_cast<std::size_t>(kLineBytes)};

    void operator()(void* memory) const noexcept { ::operator delete(memory, alignment); }
};

/// Of floats or bytes.
template <class T>
using AlignedMemory = std::unique_ptr<T, FreeAligned>;

/// Throws std::bad_alloc.
template <class T>
[[nodiscard]] AlignedMemory<T> allocate_aligned(index_t count, index_t alignment = kLineBytes) {
    const FreeAligned free{std::align_val_t{static_cast<std::size_t>(alignment)}};
    void* const memory =
        ::operator new(static_cast<std::size_t>(count) * sizeof(T), free.alignment);
    return {static_cast<T*>(memory), free};
}

}  // namespace deltanet::detail
