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
#include <deltanet/cpu/lane_sums.hpp>
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

/// The L2 norm of a tile's heads, in a pass of its own over what the L1 cache has of them: sums of
/// squares that the convolution took along would crowd its registers (Sapphire Rapids, heads of
/// 128: 19.4 and 18.6 cycles for 16 channels and a token).
template <class Arch, class T, int Tokens>
DELTANET_FORCE_INLINE void conv1d_norm(const Conv1dBlock<T>& block, T* const* out) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    // As many heads at once as have a sum a lane.
    constexpr index_t heads = most(1, lanes<Arch, T> / Tokens);
    constexpr index_t n_sums = whole_vectors<Arch, T>(heads * Tokens);
    for (index_t c = 0; c < block.n_channels; c += heads * block.head) {
        const index_t n_heads = least(heads, (block.n_channels - c) / block.head);
        Batch sums[static_cast<std::size_t>(n_sums)];
        alignas(64) T factors[static_cast<std::size_t>(n_sums)];
        const auto row = [&](index_t i) noexcept {
            return out[i % Tokens] + c + i / Tokens * block.head;
        };
        for (index_t i = 0; i < n_sums; ++i) {
            sums[i] =
                i < n_heads * Tokens ? lane_dot<Arch, T>(row(i), row(i), block.head) : Batch(T(0));
        }
        for (index_t i = 0; i < n_sums; i += lanes<Arch, T>) {
            const Batch sum = lane_sums<Arch>(sums + i);
            (block.max_form ? inverse_lengths<true>(sum, block.eps)
                            : inverse_lengths<false>(sum, block.eps))
                .store_aligned(factors + i);
        }
        for (index_t i = 0; i < n_heads * Tokens; ++i) {
            const Batch factor(factors[i]);
            T* const y = row(i);
            for_each_vectors<8, Arch, T>(block.head, [&](index_t j, auto count) noexcept {
                store<Arch>(y + j, load<Arch>(y + j, count) * factor, count);
            });
        }
    }
}

/// Tokens, W - 1 + Tokens rows of u and as many rows of output as tokens.
template <class Arch, class T, int W, bool Silu, int Tokens>
struct Conv1dTile {
    using Batch = xsimd::batch<T, Arch>;
    static constexpr int n_rows = W - 1 + Tokens;

    const T* rows[static_cast<std::size_t>(n_rows)];
    T* out[static_cast<std::size_t>(Tokens)];
    index_t ahead = 0;  ///< from a token's input to one that the next tile needs, which is fetched

    /// y [Tokens], channels [c, c + count): the same order of arithmetic for every tile, oldest tap
    /// first.
    template <class Count, int... R, int... I, int... K>
    DELTANET_FORCE_INLINE void convolve(const Conv1dWeights<T>& weights, index_t c, Count count,
                                        Batch* y, std::integer_sequence<int, R...>,
                                        std::integer_sequence<int, I...>,
                                        std::integer_sequence<int, K...>) const noexcept {
        const Batch u[] = {load<Arch>(rows[R] + c, count)...};
        const Batch bias = load<Arch>(weights.bias + c, count);
        ((y[K] = bias), ...);
        const auto tap = [&](int i) noexcept {
            const Batch w = load<Arch>(weights.taps[i] + c, count);
            ((y[K] = compat::fma(w, u[K + i], y[K])), ...);
        };
        (tap(I), ...);
    }

    /// N vectors from channel c, or one of `count` channels.
    template <int N, class Count, int... J>
    DELTANET_FORCE_INLINE void vectors(const Conv1dWeights<T>& weights, index_t c, Count count,
                                       std::integer_sequence<int, J...>) noexcept {
        Batch y[static_cast<std::size_t>(N * Tokens)];
        for (int v = 0; v < N; ++v) {
            for (int k = 0; k < Tokens; ++k)
                __builtin_prefetch(rows[W - 1 + k] + ahead + c + v * lanes<Arch, T>, 0, 3);
            convolve(weights, c + v * lanes<Arch, T>, count, y + v * Tokens,
                     std::make_integer_sequence<int, n_rows>{},
                     std::make_integer_sequence<int, W>{},
                     std::make_integer_sequence<int, Tokens>{});
        }
        if constexpr (Silu) silu_each(y);
        (store<Arch>(out[J % Tokens] + c + J / Tokens * lanes<Arch, T>, y[J], count), ...);
    }

    /// Channels [0, n).
    DELTANET_FORCE_INLINE void run(const Conv1dWeights<T>& weights, index_t n) noexcept {
        constexpr int together =
            static_cast<int>(most(1, Silu ? tuning::activation_batches / Tokens : 1));
        constexpr index_t size = lanes<Arch, T>;
        index_t c = 0;
        for (; c + together * size <= n; c += together * size) {
            vectors<together>(weights, c, std::integral_constant<index_t, size>{},
                              std::make_integer_sequence<int, together * Tokens>{});
        }
        for_each_vector<Arch, T>(n - c, [&](index_t i, auto count) noexcept {
            vectors<1>(weights, c + i, count, std::make_integer_sequence<int, Tokens>{});
        });
    }
};

/// Tokens [t, t + Tokens) of the block.
template <class Arch, class T, int W, bool Silu, bool Normed, int Tokens>
DELTANET_FORCE_INLINE void conv1d_tokens(const Conv1dWeights<T>& weights,
                                         const Conv1dBlock<T>& block, const T* zeros,
                                         index_t t) noexcept {
    Conv1dTile<Arch, T, W, Silu, Tokens> tile;
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
    if (block.parents == nullptr && t + 2 * Tokens <= block.last)
        tile.ahead = Tokens * block.input_stride;
    tile.run(weights, block.n_channels);
    if constexpr (Normed) conv1d_norm<Arch, T, Tokens>(block, tile.out);
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
