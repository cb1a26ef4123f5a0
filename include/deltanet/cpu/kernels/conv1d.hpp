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

/// The L2 norm of a tile's heads, in a pass of its own over what the L1 cache has of them: sums of
/// squares that the convolution took along would crowd its registers (Sapphire Rapids, heads of
/// 128: 19.4 and 18.6 cycles for 16 channels and a token).
template <class Arch, class T, int Tokens, class Length>
DELTANET_FORCE_INLINE void conv1d_norm(const Conv1dBlock<T>& block, T* const* out,
                                       Length head) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr index_t size = lanes<Arch, T>;
    const index_t n = block.n_channels / head * Tokens;
    const auto row = [&](index_t i) noexcept { return out[i % Tokens] + i / Tokens * head; };
    for (index_t first = 0; first < n; first += size) {
        const index_t rows = least(size, n - first);
        const auto at = [&](index_t i) noexcept { return row(first + i); };
        alignas(64) T factors[Batch::size];
        const Batch sum = sums_of_squares<Arch>(at, rows, head);
        (block.max_form ? inverse_lengths<true>(sum, block.eps)
                        : inverse_lengths<false>(sum, block.eps))
            .store_aligned(factors);
        for (index_t i = 0; i < rows; ++i) {
            const Batch factor(factors[i]);
            T* const y = at(i);
            for_each_vectors<8, Arch, T>(head, [&](index_t j, auto count) noexcept {
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

    /// Outputs of N vectors of channels from c on, of the last one `count` channels: what silu
    /// divides, and by what.
    template <int N>
    struct Fractions {
        static constexpr std::size_t size = static_cast<std::size_t>(N * Tokens);
        Batch y[size];
        Batch divisors[size];

        template <class Count>
        DELTANET_FORCE_INLINE void store_to(T* const* to, index_t c, Count count) const noexcept {
            for (std::size_t j = 0; j < size; ++j) {
                const index_t at = c + static_cast<index_t>(j) / Tokens * lanes<Arch, T>;
                store<Arch>(to[j % Tokens] + at, Silu ? y[j] / divisors[j] : y[j], count);
            }
        }
    };

    /// N vectors from channel c, or one of `count` channels.
    template <int N, class Count>
    DELTANET_FORCE_INLINE void vectors(const Conv1dWeights<T>& weights, index_t c, Count count,
                                       Fractions<N>& f) const noexcept {
        for (int v = 0; v < N; ++v) {
            for (int k = 0; k < Tokens; ++k) {
                const index_t at = c + v * lanes<Arch, T>;
                __builtin_prefetch(rows[W - 1 + k] + ahead + at, 0, 3);
                __builtin_prefetch(out[k] + at, 1, 3);  // stores wait for their lines, in order
            }
            convolve(weights, c + v * lanes<Arch, T>, count, f.y + v * Tokens,
                     std::make_integer_sequence<int, n_rows>{},
                     std::make_integer_sequence<int, W>{},
                     std::make_integer_sequence<int, Tokens>{});
        }
        if constexpr (Silu) silu_divisors(f.y, f.divisors);
    }

    /// Channels [0, n). Divisions come a step after their divisors: they need not wait for these at
    /// the place of other instructions.
    DELTANET_FORCE_INLINE void run(const Conv1dWeights<T>& weights, index_t n) noexcept {
        constexpr int together =
            static_cast<int>(most(1, Silu ? tuning::activation_batches / Tokens : 1));
        constexpr std::integral_constant<index_t, lanes<Arch, T>> whole;
        constexpr index_t step = together * lanes<Arch, T>;
        index_t c = 0;
        if (n >= step) {
            Fractions<together> last;
            vectors<together>(weights, 0, whole, last);
            for (c = step; c + step <= n; c += step) {
                Fractions<together> next;
                vectors<together>(weights, c, whole, next);
                last.store_to(out, c - step, whole);
                last = next;
            }
            last.store_to(out, c - step, whole);
        }
        for_each_vector<Arch, T>(n - c, [&](index_t i, auto count) noexcept {
            Fractions<1> one;
            vectors<1>(weights, c + i, count, one);
            one.store_to(out, c + i, count);
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
    if constexpr (Normed) {
        with_head_size(block.head, [&](auto head) noexcept {
            conv1d_norm<Arch, T, Tokens>(block, tile.out, head);
        });
    }
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
