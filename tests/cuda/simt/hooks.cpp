// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// What code compiled with -fsanitize=thread,bounds calls, in place of the sanitizers' own runtimes:
// each load and store of a kernel comes here. Link neither libtsan nor libubsan.
#include "findings.hpp"
#include "shadow.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define SIMT_PC __builtin_return_address(0)

#define SIMT_ACCESS(bytes)                                          \
    extern "C" void __tsan_read##bytes(void* p) {                   \
        simt::touch_aligned(p, bytes, simt::read_access, SIMT_PC);  \
    }                                                               \
    extern "C" void __tsan_write##bytes(void* p) {                  \
        simt::touch_aligned(p, bytes, simt::write_access, SIMT_PC); \
    }                                                               \
    extern "C" void __tsan_unaligned_read##bytes(void* p) {         \
        simt::touch(p, bytes, simt::read_access, SIMT_PC);          \
    }                                                               \
    extern "C" void __tsan_unaligned_write##bytes(void* p) {        \
        simt::touch(p, bytes, simt::write_access, SIMT_PC);         \
    }                                                               \
    extern "C" void __tsan_volatile_read##bytes(void* p) {          \
        simt::touch_aligned(p, bytes, simt::read_access, SIMT_PC);  \
    }                                                               \
    extern "C" void __tsan_volatile_write##bytes(void* p) {         \
        simt::touch_aligned(p, bytes, simt::write_access, SIMT_PC); \
    }
SIMT_ACCESS(1)
SIMT_ACCESS(2)
SIMT_ACCESS(4)
SIMT_ACCESS(8)
SIMT_ACCESS(16)

extern "C" {

void __tsan_init() { simt::instrumented = true; }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* p, std::size_t n) { simt::touch(p, n, simt::read_access, SIMT_PC); }
void __tsan_write_range(void* p, std::size_t n) { simt::touch(p, n, simt::write_access, SIMT_PC); }
void* __tsan_memcpy(void* to, const void* from, std::size_t n) {
    simt::touch(from, n, simt::read_access, SIMT_PC);
    simt::touch(to, n, simt::write_access, SIMT_PC);
    return std::memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, std::size_t n) {
    simt::touch(from, n, simt::read_access, SIMT_PC);
    simt::touch(to, n, simt::write_access, SIMT_PC);
    return std::memmove(to, from, n);
}
void* __tsan_memset(void* to, int value, std::size_t n) {
    simt::touch(to, n, simt::write_access, SIMT_PC);
    return std::memset(to, value, n);
}
void __ubsan_handle_out_of_bounds(void*, void*) {
    if (simt::in_kernel()) simt::finding("array index out of bounds", SIMT_PC);
}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"

// Atomics of the host parts of the same files: shared_ptr and the like.
#define SIMT_ATOMIC(bits)                                                                          \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_load(                                     \
        const volatile std::uint##bits##_t* p, int) {                                              \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                               \
    }                                                                                              \
    extern "C" void __tsan_atomic##bits##_store(volatile std::uint##bits##_t* p,                   \
                                                std::uint##bits##_t v, int) {                      \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                              \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_exchange(volatile std::uint##bits##_t* p, \
                                                                  std::uint##bits##_t v, int) {    \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_fetch_add(                                \
        volatile std::uint##bits##_t* p, std::uint##bits##_t v, int) {                             \
        return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_fetch_sub(                                \
        volatile std::uint##bits##_t* p, std::uint##bits##_t v, int) {                             \
        return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_fetch_and(                                \
        volatile std::uint##bits##_t* p, std::uint##bits##_t v, int) {                             \
        return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_fetch_or(volatile std::uint##bits##_t* p, \
                                                                  std::uint##bits##_t v, int) {    \
        return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                          \
    }                                                                                              \
    extern "C" int __tsan_atomic##bits##_compare_exchange_strong(                                  \
        volatile std::uint##bits##_t* p, std::uint##bits##_t* expected, std::uint##bits##_t v,     \
        int, int) {                                                                                \
        return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST,                \
                                           __ATOMIC_SEQ_CST);                                      \
    }                                                                                              \
    extern "C" int __tsan_atomic##bits##_compare_exchange_weak(volatile std::uint##bits##_t* p,    \
                                                               std::uint##bits##_t* expected,      \
                                                               std::uint##bits##_t v, int, int) {  \
        return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST,                \
                                           __ATOMIC_SEQ_CST);                                      \
    }
SIMT_ATOMIC(8)
SIMT_ATOMIC(16)
SIMT_ATOMIC(32)
SIMT_ATOMIC(64)
