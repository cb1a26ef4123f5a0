// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Counts heap allocations of the whole program: operator new and, with glibc and no sanitizer in
/// the way, malloc itself (Eigen calls it directly). Include in exactly one file of a test
/// executable.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DELTANET_TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DELTANET_TEST_SANITIZED 1
#endif

namespace deltanet::test {
inline std::atomic<long> allocations{0};

[[gnu::noinline]] inline void* counted(std::size_t bytes, std::size_t alignment) {
    ++allocations;
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void* const memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

/// Out of line, so that the compiler does not take the pair for mismatched.
[[gnu::noinline]] inline void release(void* memory) noexcept { std::free(memory); }

}  // namespace deltanet::test

void* operator new(std::size_t bytes) {
    return deltanet::test::counted(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return deltanet::test::counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    ++deltanet::test::allocations;  // what std::stable_sort takes its buffer with
    return std::malloc(bytes == 0 ? 1 : bytes);
}
void operator delete(void* memory) noexcept { deltanet::test::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { deltanet::test::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { deltanet::test::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    deltanet::test::release(memory);
}

#if defined(__GLIBC__) && !defined(DELTANET_TEST_SANITIZED)
extern "C" void* __libc_malloc(std::size_t bytes);  // NOLINT: glibc's own name for what is replaced
extern "C" void* malloc(std::size_t bytes) {
    ++deltanet::test::allocations;
    return __libc_malloc(bytes);
}
#endif
