// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The scalar functions of the layer. `fast_`: by the special function unit, for what is done once
/// for every element of an activation. Their errors follow from the bounds that the CUDA
/// programming guide states for __expf, 2 + floor(|1.173 x|) ulp, and for __fdividef, 2 ulp: with
/// one rounding of 1 + e^-x, sigmoid(x) is right to 5 + floor(1.173 |x|) ulp where x is negative
/// (e^-x counts fully) and to 5 ulp where it is positive (e^-x is damped by itself), silu(x) to one
/// more. Where 1 + e^-x exceeds 2^126 the quotient is 0 instead of a number below 2^-126.
#pragma once

#include "device.cuh"

namespace deltanet::cuda {

__device__ __forceinline__ float fast_sigmoid(float x) {
    return __fdividef(1.0F, 1.0F + __expf(-x));
}

__device__ __forceinline__ float fast_silu(float x) { return __fdividef(x, 1.0F + __expf(-x)); }

/// sigmoid(x) to 5 ulp for every x: e^-|x| by expf, which is right to 2 ulp.
__device__ __forceinline__ float sigmoid(float x) {
    const float e = expf(-fabsf(x));
    return __fdividef(x >= 0.0F ? 1.0F : e, 1.0F + e);
}

/// log(1 + e^x) without overflow and without losing small values; 4 ulp.
__device__ __forceinline__ float softplus(float x) {
    return fmaxf(x, 0.0F) + log1pf(expf(-fabsf(x)));
}

}  // namespace deltanet::cuda
