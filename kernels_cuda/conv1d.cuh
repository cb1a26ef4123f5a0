// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Causal depthwise convolution with state, SiLU, and the L2 norm of each head, in one pass:
///   y[t, c] = silu( bias[c] + sum_i weight[c, i] u[t - (W - 1) + i, c] ),   u = old state rows,
///   then inputs;   then y / sqrt(sum y^2 + eps) or y / max(sqrt(sum y^2), eps) over the head
/// A lane keeps four channels and walks a strip of tokens with the last W inputs in registers; the
/// lanes of a head (lane_row.cuh) sum its squares. Decoding is a strip of one token.
///
/// The state. The warp that has a sequence's first strip is the only one that reads the state rows
/// of its channels, and it alone writes them, behind its last read: no block waits for another.
#pragma once

#include "activations.cuh"
#include "gates.cuh"
#include "l2norm.cuh"
#include "lane_row.cuh"
#include "sequence_table.cuh"
#include "storage.cuh"

namespace deltanet::cuda {

inline constexpr int kConvWarps = 4;
inline constexpr int kStripTokens = 32;  ///< of a warp
inline constexpr int kConvBatch = 4;     ///< tokens whose inputs are loaded together
/// That have to fit on a multiprocessor: up to 128 registers a thread, or 168.
template <int kWidth>
inline constexpr int kConvLeastBlocks = kWidth <= 6 ? 4 : 3;
static_assert(kStripTokens >= kMaxPending, "tokens that are appended lie in the first strip");
static_assert(kConvWarps == kGateWarps);

/// Channels that come from one input. A unit is a head, or kTurnElements channels without a norm.
struct ConvPart {
    const float* input = nullptr;  ///< [n_tokens, groups, group_size]
    index_t token = 0, group = 0;  ///< strides
    std::int32_t group_size = 0;
    std::int32_t channels = 0;
    std::int32_t first_channel = 0;  ///< in weight, state and output
    std::int32_t first_block = 0;    ///< blocks of the parts before, for one strip
    RowLanes unit;
    bool normed = false;
};

struct ConvKernelArgs {
    ConvPart parts[3];
    std::int32_t n_parts = 0;
    std::int32_t strip_blocks = 0;  ///< blocks of a strip, over all parts
    const float* weight = nullptr;  ///< [C, W]
    index_t weight_channel = 0, weight_tap = 0;
    const float* bias = nullptr;  ///< [C] or null
    index_t bias_stride = 0;
    float* state = nullptr;  ///< [n_slots, W - 1 + R, C]
    index_t state_slot = 0, state_row = 0;
    float* output = nullptr;  ///< [n_tokens, C]
    index_t output_token = 0;
    LengthNorm norm;
    bool silu = true;
    bool vector = false;         ///< 16-byte accesses to inputs, state and output
    bool weight_vector = false;  ///< and to the taps of a channel
};

/// What one lane works on: `count` channels from `channel` of its part on, of one sequence.
template <int kWidth>
struct ConvLane {
    static constexpr int kTaps = kWidth - 1;

    const ConvKernelArgs& args;
    const ConvPart& part;
    const SequenceEntry& entry;
    int channel;
    int count;

    /// Input of a token of the sequence.
    __device__ __forceinline__ Quad input(int token) const {
        const float* const row =
            part.input + static_cast<index_t>(entry.first_token + token) * part.token;
        if (args.vector) {  // four channels are in one group
            return load_quad(
                row + channel / part.group_size * part.group + channel % part.group_size, count,
                true);
        }
        Quad quad{};
#pragma unroll
        for (int i = 0; i < kLaneElements; ++i) {
            const int c = channel + i;
            if (i < count) quad.x[i] = row[c / part.group_size * part.group + c % part.group_size];
        }
        return quad;
    }
    [[nodiscard]] __device__ __forceinline__ float* state(int row) const {
        return args.state + entry.slot * args.state_slot + row * args.state_row +
               part.first_channel + channel;
    }
    /// u of the formula, `token` from -kTaps on.
    __device__ __forceinline__ Quad row(int token) const {
        if (token >= 0) return input(token);
        if (entry.fresh) return Quad{};
        return load_quad(state(entry.folded + entry.before + kTaps + token), count, args.vector);
    }
    __device__ __forceinline__ void set_state(int row, const Quad& value) const {
        store_quad(state(row), value, count, args.vector);
    }
    __device__ __forceinline__ void store(int token, const Quad& y) const {
        float* const to = args.output +
                          static_cast<index_t>(entry.first_token + token) * args.output_token +
                          part.first_channel + channel;
        store_quad(to, y, count, args.vector);
    }

    /// The new state: with appended tokens what was there, or what was read of it, and the inputs
    /// behind; else the last W - 1 rows of (old state, inputs). Old rows move from a higher row to
    /// a lower one: in ascending order none is overwritten before it is read.
    __device__ __forceinline__ void update_state() const {
        if (!entry.appends) {
            if (entry.n_tokens == 0 && !entry.fresh) return;
#pragma unroll
            for (int i = 0; i < kTaps; ++i) set_state(i, row(entry.n_tokens - kTaps + i));
            return;
        }
        if (entry.before == 0 && (entry.fresh || entry.folded > 0)) {
#pragma unroll
            for (int i = 0; i < kTaps; ++i) set_state(i, row(i - kTaps));
        }
        for (int t = 0; t < entry.n_tokens; ++t) set_state(entry.before + kTaps + t, input(t));
    }
};

/// Weights of a lane's channels.
template <int kWidth>
struct ConvWeights {
    Array<float, kWidth> taps[kLaneElements];
    float bias[kLaneElements];

    __device__ __forceinline__ void load(const ConvKernelArgs& args, int channel, int count) {
#pragma unroll
        for (int i = 0; i < kLaneElements; ++i) {
            const bool exists = i < count;
            const float* const from =
                args.weight + static_cast<index_t>(channel + i) * args.weight_channel;
            bias[i] = exists && args.bias != nullptr
                          ? args.bias[static_cast<index_t>(channel + i) * args.bias_stride]
                          : 0.0F;
            if constexpr (kWidth % kLaneElements == 0) {
                if (args.weight_vector) {
#pragma unroll
                    for (int tap = 0; tap < kWidth; tap += kLaneElements) {
                        const Quad four = load_quad(from + tap, exists ? kLaneElements : 0, true);
#pragma unroll
                        for (int j = 0; j < kLaneElements; ++j) taps[i][tap + j] = four.x[j];
                    }
                    continue;
                }
            }
#pragma unroll
            for (int tap = 0; tap < kWidth; ++tap)
                taps[i][tap] = exists ? from[tap * args.weight_tap] : 0.0F;
        }
    }

    /// The output of a token from the last kWidth rows of u, oldest first; the norm included.
    __device__ __forceinline__ Quad apply(const Array<Quad, kWidth>& u, const ConvKernelArgs& args,
                                          const ConvPart& part) const {
        Quad y;
#pragma unroll
        for (int i = 0; i < kLaneElements; ++i) {
            float sum = bias[i];
#pragma unroll
            for (int tap = 0; tap < kWidth; ++tap) sum = fmaf(taps[i][tap], u[tap].x[i], sum);
            y.x[i] = args.silu ? fast_silu(sum) : sum;
        }
        if (part.normed) {  // the same for a whole warp
            const float factor =
                inverse_length(row_sum(sum_of_squares(y, 0.0F), part.unit.lanes), args.norm);
#pragma unroll
            for (int i = 0; i < kLaneElements; ++i) y.x[i] *= factor;
        }
        return y;
    }
};

/// Tokens [first, last) of a chain.
template <int kWidth>
__device__ __forceinline__ void conv_chain(const ConvLane<kWidth>& lane,
                                           const ConvWeights<kWidth>& weights, int first,
                                           int last) {
    constexpr int taps = kWidth - 1;
    Array<Quad, kWidth> u;
#pragma unroll
    for (int i = 0; i < taps; ++i) u[i] = lane.row(first - taps + i);
    for (int t = first; t < last; t += kConvBatch) {
        Quad next[kConvBatch];
#pragma unroll
        for (int k = 0; k < kConvBatch; ++k) {
            if (t + k < last) next[k] = lane.input(t + k);
        }
#pragma unroll
        for (int k = 0; k < kConvBatch; ++k) {
            if (t + k >= last) break;
            u[taps] = next[k];
            lane.store(t + k, weights.apply(u, lane.args, lane.part));
#pragma unroll
            for (int i = 0; i < taps; ++i) u[i] = u[i + 1];
        }
    }
}

/// All tokens of a tree: each with the rows of those that it follows.
template <int kWidth>
__device__ __forceinline__ void conv_tree(const ConvLane<kWidth>& lane,
                                          const ConvWeights<kWidth>& weights,
                                          const std::int8_t* parents) {
    for (int t = 0; t < lane.entry.n_tokens; ++t) {
        Array<Quad, kWidth> u;
        int token = t;
#pragma unroll
        for (int i = kWidth - 1; i >= 0; --i) {
            u[i] = lane.row(token);
            token = token < 0 ? token - 1 : parents[token];
        }
        lane.store(t, weights.apply(u, lane.args, lane.part));
    }
}

/// Strip and block of the convolution, for all its warps.
template <int kWidth, bool kTrees>
__device__ __forceinline__ void conv_block(const SequenceTable& table, const TreeTable* trees,
                                           const ConvKernelArgs& args, unsigned block) {
    const auto strip_blocks = static_cast<unsigned>(args.strip_blocks);
    const auto item = static_cast<int>(block / strip_blocks);
    const auto in_strip = static_cast<int>(block % strip_blocks);
    const int index = table.find(item);
    const SequenceEntry& entry = table.entries[index];
    const int first = (item - entry.first_item) * kStripTokens;

    int which = 0;
    for (int i = 1; i < args.n_parts; ++i) which += in_strip >= args.parts[i].first_block;
    const ConvPart& part = args.parts[which];
    const int in_warp = lane_index();
    const int warp = (in_strip - part.first_block) * kConvWarps + warp_index();
    const int unit = warp * part.unit.rows_per_warp() + in_warp / part.unit.lanes;
    const int in_unit = in_warp % part.unit.lanes * kLaneElements;
    const int channel = unit * part.unit.size + in_unit;
    const int in_part = part.channels - channel;
    const int of_unit = part.unit.size - in_unit;
    const int count = clamp_count(in_part < of_unit ? in_part : of_unit);
    const ConvLane<kWidth> lane{args, part, entry, count > 0 ? channel : 0, count};

    const int left = entry.n_tokens - first;
    const int last = first + (left < kStripTokens ? left : kStripTokens);
    if (entry.slot < 0) {
        for (int t = first; t < last; ++t) lane.store(t, Quad{});
        return;
    }
    ConvWeights<kWidth> weights;
    weights.load(args, part.first_channel + lane.channel, count);
    if constexpr (kTrees) {
        conv_tree<kWidth>(lane, weights, trees->parents[index]);
    } else {
        conv_chain<kWidth>(lane, weights, first, last);
    }
    if (first == 0) lane.update_state();
}

/// grid: for every strip of the table args.strip_blocks blocks, then those of the gates.
template <int kWidth>
__global__ void __launch_bounds__(kConvWarps* lanes_per_warp, kConvLeastBlocks<kWidth>)
    conv_gates_kernel(const __grid_constant__ SequenceTable table,
                      const __grid_constant__ ConvKernelArgs args,
                      const __grid_constant__ GatesKernelArgs gates) {
    const auto conv_blocks = static_cast<unsigned>(table.n_items * args.strip_blocks);
    if (blockIdx.x < conv_blocks) {
        conv_block<kWidth, false>(table, nullptr, args, blockIdx.x);
    } else {
        gates_block(gates, blockIdx.x - conv_blocks);
    }
}

/// The same for trees, without gates: a strip is a whole sequence.
template <int kWidth>
__global__ void __launch_bounds__(kConvWarps* lanes_per_warp, kConvLeastBlocks<kWidth>)
    conv_trees_kernel(const __grid_constant__ SequenceTable table,
                      const __grid_constant__ TreeTable trees,
                      const __grid_constant__ ConvKernelArgs args) {
    conv_block<kWidth, true>(table, &trees, args, blockIdx.x);
}

}  // namespace deltanet::cuda
