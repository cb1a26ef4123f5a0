// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The instructions that CUDA C++ has no name for, one function each: asynchronous copies, matrix
/// loads, tensor core products, conversions to 16 bits. Nothing else in the library contains PTX,
/// and nothing else knows that tests run the kernels on the host, where each function calls its
/// model in the tests' own cuda_runtime.h.
///
/// Fragments: a lane is lane = 4 * group + place, group 0 to 7, place 0 to 3. A register holds two
/// 16-bit elements, the first one in its low half.
#pragma once

#include <deltanet/dtype.hpp>

#include <cstdint>
#include <cuda_runtime.h>

#if !defined(__CUDACC__) && !defined(DELTANET_SIMT)
#error "deltanet: a kernel header; compile it with nvcc"
#endif

namespace deltanet::cuda::ptx {

#if defined(__CUDACC__)

/// An address as instructions on shared memory take it.
__device__ __forceinline__ std::uint32_t shared_address(const void* shared) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}

/// The shared memory that the launch asked for, aligned to 128 bytes.
__device__ __forceinline__ unsigned char* dynamic_shared_memory() {
    extern __shared__ __align__(128) unsigned char deltanet_shared_memory[];
    return deltanet_shared_memory;
}

/// Starts a copy of 4, 8 or 16 bytes from global to shared memory, both aligned to as much; 16 go
/// past the first level of the cache. Visible to this thread after cp_async_wait, to others after a
/// barrier behind that.
template <int Bytes>
__device__ __forceinline__ void cp_async(void* shared, const void* global) {
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
    if constexpr (Bytes == 16) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)),
                     "l"(__cvta_generic_to_global(global))
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared_address(shared)),
                     "l"(__cvta_generic_to_global(global)), "n"(Bytes)
                     : "memory");
    }
}

/// The same if `take`; otherwise nothing is read and zeros are written. `global` must be aligned
/// and may point anywhere then.
template <int Bytes>
__device__ __forceinline__ void cp_async_or_zero(void* shared, const void* global, bool take) {
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
    const int source_bytes = take ? Bytes : 0;
    if constexpr (Bytes == 16) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                     "l"(__cvta_generic_to_global(global)), "r"(source_bytes)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)),
                     "l"(__cvta_generic_to_global(global)), "n"(Bytes), "r"(source_bytes)
                     : "memory");
    }
}

/// Closes a group: the copies of this thread since the last one.
__device__ __forceinline__ void cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits for all groups of this thread but the newest `Left`.
template <int Left>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
}

/// Four matrices of 8 x 8 16-bit elements. Lane 8 m + i gives row i of matrix m: 16 bytes of
/// shared memory, aligned to 16. registers[m] receives elements 2 * place and 2 * place + 1 of row
/// `group` of matrix m.
__device__ __forceinline__ void ldmatrix_x4(std::uint32_t (&registers)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(shared_address(row))
                 : "memory");
}

/// The same of two matrices; the rows are those of lanes 0 to 15.
__device__ __forceinline__ void ldmatrix_x2(std::uint32_t (&registers)[2], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(registers[0]), "=r"(registers[1])
                 : "r"(shared_address(row))
                 : "memory");
}

/// Each matrix transposed: registers[m] receives rows 2 * place and 2 * place + 1 of column
/// `group`.
__device__ __forceinline__ void ldmatrix_x4_trans(std::uint32_t (&registers)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ void ldmatrix_x2_trans(std::uint32_t (&registers)[2], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(registers[0]), "=r"(registers[1])
                 : "r"(shared_address(row))
                 : "memory");
}

/// d [16, 8] += a [16, 16] * b [16, 8] in bf16 with float sums.
///   a[0], a[1], a[2], a[3]: (row, column) = (group, 2 place), (group + 8, 2 place),
///                           (group, 2 place + 8), (group + 8, 2 place + 8); and the next column
///   b[0], b[1]:             (2 place, group), (2 place + 8, group); and the next row
///   d[0], d[1], d[2], d[3]: (group, 2 place), its next column, (group + 8, 2 place), its next
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                                  const std::uint32_t (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Round to nearest, ties to even.
__device__ __forceinline__ bf16 to_bf16(float value) {
    bf16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
    return result;
}
__device__ __forceinline__ f16 to_f16(float value) {
    f16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
    return result;
}

/// Two at once: `low` into the low half of the register.
__device__ __forceinline__ std::uint32_t to_bf16x2(float low, float high) {
    std::uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
__device__ __forceinline__ std::uint32_t to_f16x2(float low, float high) {
    std::uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

/// Exact.
__device__ __forceinline__ float to_float(f16 value) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
    return result;
}
__device__ __forceinline__ float to_float(bf16 value) {
    return __uint_as_float(static_cast<std::uint32_t>(value.bits) << 16);
}

/// One access of sizeof(V), 4 to 16 bytes, of global or shared memory aligned to as much.
template <class V>
__device__ __forceinline__ V load(const void* memory) {
    return *static_cast<const V*>(memory);
}
template <class V>
__device__ __forceinline__ void store(void* memory, V value) {
    *static_cast<V*>(memory) = value;
}

#else  // on the host: the models of tests/cuda/simt

using Here = ::simt::Location;

inline unsigned char* dynamic_shared_memory() { return ::simt::dynamic_shared_memory(); }
template <int Bytes>
__forceinline__ void cp_async(void* shared, const void* global, Here at = Here::current()) {
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
    ::simt::cp_async(shared, global, Bytes, Bytes, at);
}
template <int Bytes>
__forceinline__ void cp_async_or_zero(void* shared, const void* global, bool take,
                                      Here at = Here::current()) {
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
    ::simt::cp_async(shared, global, Bytes, take ? Bytes : 0, at);
}
__forceinline__ void cp_async_commit() { ::simt::cp_async_commit(); }
template <int Left>
__forceinline__ void cp_async_wait() {
    ::simt::cp_async_wait(Left);
}
__forceinline__ void ldmatrix_x4(std::uint32_t (&registers)[4], const void* row,
                                 Here at = Here::current()) {
    ::simt::ldmatrix(registers, 4, false, row, at);
}
__forceinline__ void ldmatrix_x2(std::uint32_t (&registers)[2], const void* row,
                                 Here at = Here::current()) {
    ::simt::ldmatrix(registers, 2, false, row, at);
}
__forceinline__ void ldmatrix_x4_trans(std::uint32_t (&registers)[4], const void* row,
                                       Here at = Here::current()) {
    ::simt::ldmatrix(registers, 4, true, row, at);
}
__forceinline__ void ldmatrix_x2_trans(std::uint32_t (&registers)[2], const void* row,
                                       Here at = Here::current()) {
    ::simt::ldmatrix(registers, 2, true, row, at);
}
__forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                       const std::uint32_t (&b)[2], Here at = Here::current()) {
    ::simt::mma_m16n8k16_bf16(d, a, b, d, at);
}
__forceinline__ bf16 to_bf16(float value) { return ::deltanet::to_bf16(value); }
__forceinline__ f16 to_f16(float value) { return ::deltanet::to_f16(value); }
__forceinline__ std::uint32_t to_bf16x2(float low, float high) {
    return to_bf16(low).bits | static_cast<std::uint32_t>(to_bf16(high).bits) << 16;
}
__forceinline__ std::uint32_t to_f16x2(float low, float high) {
    return to_f16(low).bits | static_cast<std::uint32_t>(to_f16(high).bits) << 16;
}
__forceinline__ float to_float(f16 value) { return ::deltanet::to_float(value); }
__forceinline__ float to_float(bf16 value) { return ::deltanet::to_float(value); }
template <class V>
__forceinline__ V load(const void* memory) {
    return ::simt::load<V>(memory);
}
template <class V>
__forceinline__ void store(void* memory, V value) {
    ::simt::store(memory, value);
}

#endif

}  // namespace deltanet::cuda::ptx
