// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What CUDA offers inside kernels: indices, barriers, shuffles, atomics, mathematics.
#pragma once

#include "block.hpp"
#include "collectives.hpp"
#include "cuda_types.hpp"
#include "location.hpp"
#include "shadow.hpp"

#include <bit>
#include <cmath>
#include <cstdint>

constexpr int warpSize = 32;

inline void __syncthreads(simt::Location at = simt::Location::current()) {
    simt::block_barrier(at);
}
inline void __syncwarp(unsigned mask = simt::all_lanes,
                       simt::Location at = simt::Location::current()) {
    simt::warp_barrier(mask, at);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

namespace simt {

/// First lane of the segment of `width` lanes.
inline int segment_of(int width) { return static_cast<int>(position.lane) & ~(width - 1); }

/// `source`, or the lane itself if that is outside its segment.
inline unsigned lane_in_segment(int source, int width) {
    const int first = segment_of(width);
    const bool inside = source >= first && source < first + width;
    return inside ? static_cast<unsigned>(source) : position.lane;
}

}  // namespace simt

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              simt::Location at = simt::Location::current()) {
    const int lane = simt::segment_of(width) | (source & (width - 1));
    return simt::shuffle_value(mask, value, static_cast<unsigned>(lane), at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32,
                  simt::Location at = simt::Location::current()) {
    const int lane = static_cast<int>(simt::position.lane) ^ lanes;
    // A source in an earlier segment is allowed, one in a later segment is not.
    const bool later = lane >= simt::segment_of(width) + width;
    const unsigned source = later ? simt::position.lane : static_cast<unsigned>(lane);
    return simt::shuffle_value(mask, value, source, at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32,
                 simt::Location at = simt::Location::current()) {
    const int lane = static_cast<int>(simt::position.lane) - static_cast<int>(lanes);
    return simt::shuffle_value(mask, value, simt::lane_in_segment(lane, width), at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32,
                   simt::Location at = simt::Location::current()) {
    const int lane = static_cast<int>(simt::position.lane + lanes);
    return simt::shuffle_value(mask, value, simt::lane_in_segment(lane, width), at);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              simt::Location at = simt::Location::current()) {
    return simt::vote(mask, predicate != 0, at);
}
inline int __any_sync(unsigned mask, int predicate, simt::Location at = simt::Location::current()) {
    return simt::vote(mask, predicate != 0, at) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, simt::Location at = simt::Location::current()) {
    return simt::vote(mask, predicate != 0, at) == mask ? 1 : 0;
}

// Memory. Each call is one access, judged as such; the copy itself is not instrumented.
template <class T>
__attribute__((noinline, no_sanitize("thread"))) T __ldg(const T* address) {
    simt::touch(address, sizeof(T), simt::constant_access, __builtin_return_address(0));
    return *address;
}
namespace simt {

template <class T, class F>
__attribute__((noinline, no_sanitize("thread"))) T atomic_update(T* address, F&& update) {
    touch(address, sizeof(T), write_access | atomic_access, __builtin_return_address(0));
    const T old = *address;
    *address = update(old);
    return old;
}

}  // namespace simt
template <class T>
__forceinline__ T atomicAdd(T* address, T value) {
    return simt::atomic_update(address, [value](T old) { return static_cast<T>(old + value); });
}
template <class T>
__forceinline__ T atomicMax(T* address, T value) {
    return simt::atomic_update(address, [value](T old) { return old < value ? value : old; });
}
template <class T>
__forceinline__ T atomicMin(T* address, T value) {
    return simt::atomic_update(address, [value](T old) { return value < old ? value : old; });
}
template <class T>
__forceinline__ T atomicExch(T* address, T value) {
    return simt::atomic_update(address, [value](T) { return value; });
}
template <class T>
__forceinline__ T atomicCAS(T* address, T expected, T value) {
    return simt::atomic_update(address, [=](T old) { return old == expected ? value : old; });
}

// Mathematics. expf, log1pf, fmaf and the like are C's; these are not. The GPU's fast forms are
// less exact than what stands here.
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0F / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frsqrt_rn(float x) { return 1.0F / std::sqrt(x); }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __saturatef(float x) { return x > 0.0F ? (x < 1.0F ? x : 1.0F) : 0.0F; }
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
inline unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
inline long min(long a, long b) { return b < a ? b : a; }
inline long max(long a, long b) { return a < b ? b : a; }
inline long long min(long long a, long long b) { return b < a ? b : a; }
inline long long max(long long a, long long b) { return a < b ? b : a; }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
