// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Causal depthwise convolution of a block of channels along a stretch of a sequence, SiLU, and the
/// L2 norm of each head, in one pass:
///   y[t, c] = silu( bias[c] + sum_i weight[c, i] u[t - (W - 1) + i, c] ),   u = old state rows,
///   then inputs;   then y / sqrt(sum y^2 + eps) or y / max(sqrt(sum y^2), eps) over the head
/// Vectors run over channels, a few tokens at a time: an input is loaded once for all the outputs
/// that it is a tap of, and the long chains of exp and division of several tokens overlap.
#pragma once

#include <deltanet/cpu/kernels/l2norm.hpp>
#include <deltanet/cpu/simd.hpp>
#include <deltanet/cpu/transpose.hpp>
#include <deltanet/cpu/tuning.hpp>
#include <deltanet/pending_step.hpp>

#include <utility>

namespace deltanet::cpu::kernels {

/// Weights of one block, tap by tap.
template <class T>
struct Conv1dWeights {
    alignas(64) T taps[8][tuning::conv_channels];  ///< [W, channels]
    alignas(64) T bias[tuning::conv_channels];
};

/// weight [n_channels, n_taps] of any strides; bias null for none. In front of the oldest tap come
/// zeros up to `width` taps.
template <class Arch, class T>
void conv1d_pack(const T* weight, index_t channel_stride, index_t tap_stride, index_t n_taps,
                 index_t width, const T* bias, index_t bias_stride, index_t n_channels,
                 Conv1dWeights<T>& packed) noexcept {
    const index_t padding = width - n_taps;
    for (index_t i = 0; i < padding; ++i) fill_zero<Arch>(packed.taps[i], n_channels);
    if (tap_stride == 1) {
        transpose(weight, channel_stride, packed.taps[padding], tuning::conv_channels, n_channels,
                  n_taps);
    } else {
        for (index_t i = 0; i < n_taps; ++i) {
            for (index_t c = 0; c < n_channels; ++c)
                packed.taps[padding + i][c] = weight[c * channel_stride + i * tap_stride];
        }
    }
    if (bias == nullptr) {
        fill_zero<Arch>(packed.bias, n_channels);
    } else {
        for (index_t c = 0; c < n_channels; ++c) packed.bias[c] = bias[c * bias_stride];
    }
}

/// One block of channels of one sequence. Strides in elements; channels lie side by side.
template <class T>
struct Conv1dBlock {
    const T* input;  ///< [n_tokens, n_channels]
    index_t input_stride;
    T* state;  ///< [W - 1 + R, n_channels], oldest first
    index_t state_stride;
    T* output;  ///< [n_tokens, n_channels]
    index_t output_stride;
    index_t n_tokens;
    index_t first;  ///< tokens [first, last) are computed
    index_t last;
    index_t n_taps;          ///< W or, with zero taps in front, less
    index_t n_channels;      ///< at most tuning::conv_channels
    bool fresh;              ///< the state is zeros and its memory is not read
    PendingStep step;        ///< what becomes of the state's rows
    const index_t* parents;  ///< of the tokens, see SequenceSpan; null for a chain
    index_t head;   ///< channels of a head, a divisor of n_channels; without a norm n_channels
    T eps;          ///< of the norm
    bool max_form;  ///< L2Form::max
};

/// The new state: with appended tokens what was there, or what was read of it, and the inputs
/// behind; else the last W - 1 rows of (old state, inputs). Old rows move from a higher row to a
/// lower one: in ascending order none is overwritten before it is read.
template <class Arch, class T>
void conv1d_update_state(const Conv1dBlock<T>& block, index_t n_rows) noexcept {
    const auto row = [&](index_t i) noexcept { return block.state + i * block.state_stride; };
    // What stood t rows behind the last old input, or is input t - 1.
    const auto set = [&](index_t i, index_t token) noexcept {
        if (token >= 0) {
            copy<Arch>(block.input + token * block.input_stride, row(i), block.n_channels);
        } else if (block.fresh) {
            fill_zero<Arch>(row(i), block.n_channels);
        } else if (block.step.found() + n_rows + token != i) {
            copy<Arch>(row(block.step.found() + n_rows + token), row(i), block.n_channels);
        }
    };
    if (!block.step.appends) {
        if (block.n_tokens == 0 && !block.fresh) return;
        for (index_t i = 0; i < n_rows; ++i) set(i, block.n_tokens - n_rows + i);
        return;
    }
    for (index_t i = 0; i < n_rows && block.step.before == 0; ++i) set(i, i - n_rows);
    for (index_t t = 0; t < block.n_tokens; ++t) set(block.step.before + n_rows + t, t);
}

/// Tokens, W - 1 + Tokens rows of u and as many rows of output as tokens.
template <class Arch, class T, int W, bool Silu, bool Normed, int Tokens>
struct Conv1dTile {
    using Batch = xsimd::batch<T, Arch>;
    static constexpr int n_rows = W - 1 + Tokens;

    const T* rows[static_cast<std::size_t>(n_rows)];
    T* out[static_cast<std::size_t>(Tokens)];
    Batch sums[static_cast<std::size_t>(Tokens)];  ///< of squares, lane by lane

    /// Channels [c, c + count), in the same order of arithmetic for every tile: oldest tap first.
    template <class Count, int... R, int... I, int... K>
    DELTANET_FORCE_INLINE void vector(const Conv1dWeights<T>& weights, index_t c, Count count,
                                      std::integer_sequence<int, R...>,
                                      std::integer_sequence<int, I...>,
                                      std::integer_sequence<int, K...>) noexcept {
        const Batch u[] = {load<Arch>(rows[R] + c, count)...};
        const Batch bias = load<Arch>(weights.bias + c, count);
        Batch y[] = {(static_cast<void>(K), bias)...};
        const auto tap = [&](int i) noexcept {
            const Batch w = load<Arch>(weights.taps[i] + c, count);
            ((y[K] = compat::fma(w, u[K + i], y[K])), ...);
        };
        (tap(I), ...);
        if constexpr (Silu) ((y[K] = silu(y[K])), ...);
        if constexpr (Normed) ((sums[K] = compat::fma(y[K], y[K], sums[K])), ...);
        (store<Arch>(out[K] + c, y[K], count), ...);
    }

    DELTANET_FORCE_INLINE void run(const Conv1dWeights<T>& weights,
                                   const Conv1dBlock<T>& block) noexcept {
        for (index_t c0 = 0; c0 < block.n_channels; c0 += block.head) {
            for (Batch& sum : sums) sum = Batch(T(0));
            for_each_vector<Arch, T>(block.head, [&](index_t i, auto count) noexcept {
                vector(weights, c0 + i, count, std::make_integer_sequence<int, n_rows>{},
                       std::make_integer_sequence<int, W>{},
                       std::make_integer_sequence<int, Tokens>{});
            });
            if constexpr (!Normed) continue;
            for (int k = 0; k < Tokens; ++k) {
                const T sum = compat::reduce_add(sums[k]);
                const Batch factor = block.max_form
                                         ? inverse_length<Arch, T, true>(sum, block.eps)
                                         : inverse_length<Arch, T, false>(sum, block.eps);
                T* const y = out[k] + c0;
                for_each_vector<Arch, T>(block.head, [&](index_t i, auto count) noexcept {
                    store<Arch>(y + i, load<Arch>(y + i, count) * factor, count);
                });
            }
        }
    }
};

/// Tokens [t, t + Tokens) of the block.
template <class Arch, class T, int W, bool Silu, bool Normed, int Tokens>
DELTANET_FORCE_INLINE void conv1d_tokens(const Conv1dWeights<T>& weights,
                                         const Conv1dBlock<T>& block, const T* zeros,
                                         index_t t) noexcept {
    Conv1dTile<Arch, T, W, Silu, Normed, Tokens> tile;
    index_t token = t + Tokens - 1;
    for (int r = W - 1 + Tokens; r-- > 0;) {  // backwards, in a tree from parent to parent
        const index_t state_row = token + block.n_taps - 1;
        tile.rows[r] = token >= 0 ? block.input + token * block.input_stride
                       : block.fresh || state_row < 0
                           ? zeros
                           : block.state + (block.step.found() + state_row) * block.state_stride;
        token = token >= 0 && block.parents != nullptr ? block.parents[token] : token - 1;
    }
    for (int k = 0; k < Tokens; ++k) tile.out[k] = block.output + (t + k) * block.output_stride;
    tile.run(weights, block);
}

/// Tokens [first, last). In a chain the state is read only where first < W - 1.
template <class Arch, class T, int W, bool Silu, bool Normed>
DELTANET_KERNEL void conv1d(const Conv1dWeights<T>& weights, const Conv1dBlock<T>& block) noexcept {
    constexpr int tokens = tuning::conv_tokens;
    alignas(64) T zeros[tuning::conv_channels];
    if (block.fresh || block.n_taps < W) fill_zero<Arch>(zeros, block.n_channels);
    index_t t = block.first;
    for (; t + tokens <= block.last && block.parents == nullptr; t += tokens)
        conv1d_tokens<Arch, T, W, Silu, Normed, tokens>(weights, block, zeros, t);
    for (; t < block.last; ++t)
        conv1d_tokens<Arch, T, W, Silu, Normed, 1>(weights, block, zeros, t);
}

}  // namespace deltanet::cpu::kernels
