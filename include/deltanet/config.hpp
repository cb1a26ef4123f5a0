// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Every macro of the library, and the integer type of its sizes. Nothing else defines a macro that
/// outlives its file, so `DELTANET_` is the only prefix that an includer can ever meet.
#pragma once

#include <cstddef>

#if defined(__FAST_MATH__) && !defined(DELTANET_ALLOW_FAST_MATH)
#error \
    "deltanet: -ffast-math breaks the gates (infinities, NaN tests); define DELTANET_ALLOW_FAST_MATH to insist"
#endif

/// Inlined whatever the optimiser's mood: the small pieces of kernels, which must be compiled with
/// the flags of the kernel that they serve and leave no copy of their own behind.
#if defined(__GNUC__) || defined(__clang__)
#define DELTANET_FORCE_INLINE inline __attribute__((always_inline))
#define DELTANET_RESTRICT __restrict__
#else
#define DELTANET_FORCE_INLINE inline
#define DELTANET_RESTRICT
#endif

/// A kernel into which everything is inlined that it calls. Else a compiler that has seen enough of
/// a small function keeps it apart, and what it works on leaves the registers: a tile of sums in
/// memory makes a product three times as slow. Not with sanitizers, whose checks would be copied
/// along: minutes of compilation, gigabytes of memory.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DELTANET_KERNEL
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define DELTANET_KERNEL
#endif
#endif
#if !defined(DELTANET_KERNEL) && (defined(__GNUC__) || defined(__clang__))
#define DELTANET_KERNEL __attribute__((flatten, noinline, aligned(64)))
#elif !defined(DELTANET_KERNEL)
#define DELTANET_KERNEL
#endif

/// Internal invariants; on in debug builds. Mistakes of the caller are `deltanet::Error`, never
/// this.
#if defined(NDEBUG)
#define DELTANET_ASSERT(condition) static_cast<void>(0)
#else
#include <cassert>
#define DELTANET_ASSERT(condition) assert(condition)
#endif

namespace deltanet {

/// Sizes, strides (in elements) and offsets: signed, 64 bits, as in mdspan and Eigen.
using index_t = std::ptrdiff_t;
static_assert(sizeof(index_t) == 8,
              "deltanet: state arenas exceed 4 GiB; a 64-bit target is needed");

}  // namespace deltanet
