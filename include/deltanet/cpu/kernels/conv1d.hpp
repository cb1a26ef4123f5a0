// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Causal depthwise convolution of a block of channels along one sequence, then SiLU:
///   y[t, c] = silu( bias[c] + sum_i weight[c, i] u[t - (W - 1) + i, c] ),   u = old state rows,
///   then inputs
/// Vectors run over channels. Row after row, not channel after channel: rows of different tokens
/// lie a multiple of 4 KiB apart in a model's tensors and would fight for the same cache sets, of
/// which this order needs only W at a time.
#pragma once

#include <deltanet/cpu/simd.hpp>
#include <deltanet/cpu/tuning.hpp>

namespace deltanet::cpu::kernels {

/// Weights of one block, tap by tap, zero behind the last channel up to a full vector.
template <class T>
struct Conv1dWeights {
    alignas(64) T taps[8][tuning::conv_channels];  ///< [W, channels]
    alignas(64) T bias[tuning::conv_channels];
};

/// weight [n_channels, n_taps] of any strides; bias null for none.
template <class Arch, class T>
void conv1d_pack(const T* weight, index_t channel_stride, index_t tap_stride, index_t n_taps,
                 const T* bias, index_t bias_stride, index_t n_channels,
                 Conv1dWeights<T>& packed) noexcept {
    static_assert(tuning::conv_channels % lanes<Arch, T> == 0);
    const index_t n_padded = (n_channels + lanes<Arch, T> - 1) / lanes<Arch, T> * lanes<Arch, T>;
    for (index_t i = 0; i < n_taps; ++i) {
        for (index_t c = 0; c < n_channels; ++c) {
            packed.taps[i][c] = weight[c * channel_stride + i * tap_stride];
        }
        for (index_t c = n_channels; c < n_padded; ++c) packed.taps[i][c] = T(0);
    }
    for (index_t c = 0; c < n_padded; ++c) {
        packed.bias[c] = bias != nullptr && c < n_channels ? bias[c * bias_stride] : T(0);
    }
}

/// One block of channels of one sequence. Strides in elements; channels lie side by side.
template <class T>
struct Conv1dBlock {
    const T* input;  ///< [n_tokens, n_channels]
    index_t input_stride;
    T* state;  ///< [W - 1, n_channels], oldest first
    index_t state_stride;
    T* output;  ///< [n_tokens, n_channels]
    index_t output_stride;
    index_t n_tokens;
    index_t n_channels;  ///< at most tuning::conv_channels
    bool fresh;          ///< the state is zeros and its memory is not read
};

/// The last W - 1 rows of (old state, inputs). With fewer than W - 1 tokens some old rows move up,
/// from a higher row to a lower one: in ascending order none is overwritten before it is read.
template <class Arch, class T>
void conv1d_update_state(const Conv1dBlock<T>& block, index_t n_rows) noexcept {
    for (index_t i = 0; i < n_rows; ++i) {
        T* const to = block.state + i * block.state_stride;
        const index_t token = block.n_tokens - n_rows + i;
        if (token >= 0) {
            copy<Arch>(block.input + token * block.input_stride, to, block.n_channels);
        } else if (block.fresh) {
            fill_zero<Arch>(to, block.n_channels);
        } else if (block.n_tokens > 0) {
            copy<Arch>(block.state + (i + block.n_tokens) * block.state_stride, to,
                       block.n_channels);
        }
    }
}

template <class Arch, class T, int W, bool Silu>
void conv1d(const Conv1dWeights<T>& weights, const Conv1dBlock<T>& block) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    alignas(64) T zeros[tuning::conv_channels];
    if (block.fresh) fill_zero<Arch>(zeros, block.n_channels);
    const T* rows[static_cast<std::size_t>(W)];  // u[t - (W - 1)] to u[t]
    for (index_t i = 0; i + 1 < W; ++i) {
        rows[i + 1] = block.fresh ? zeros : block.state + i * block.state_stride;
    }
    for (index_t t = 0; t < block.n_tokens; ++t) {
        for (index_t i = 0; i + 1 < W; ++i) rows[i] = rows[i + 1];
        rows[W - 1] = block.input + t * block.input_stride;
        T* const out = block.output + t * block.output_stride;
        for (index_t c = 0; c < block.n_channels; c += lanes<Arch, T>) {
            const index_t count = block.n_channels - c;
            Batch y = load<Arch>(weights.bias + c);
            for (index_t i = 0; i < W; ++i) {
                y = compat::fma(load<Arch>(weights.taps[i] + c), load<Arch>(rows[i] + c, count), y);
            }
            if constexpr (Silu) y = silu(y);
            store<Arch>(out + c, y, count);
        }
    }
    conv1d_update_state<Arch>(block, W - 1);
}

}  // namespace deltanet::cpu::kernels
