// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What delta_pending.cuh needs before the state is touched: products of keys and queries and, with
/// the decays of a value head,
///   a_ij = -e^{D_ij} k_i.k_j      p_ij = e^{D_ij} q_i.k_j      read_i = e^{G_i}
/// for tokens i and what they follow, 0 for what they do not. Tokens may form a tree. Every
/// exponent is a sum of log decays, none a difference. Lanes are the updates j: at most 32, those
/// that were pending and the call's own together.
#pragma once

#include "delta_args.cuh"

namespace deltanet::cuda {

inline constexpr float kNever = -INFINITY;  ///< the log of a decay that is not defined
static_assert(kMaxPending == lanes_per_warp, "an update is a lane");

/// [n_slots, R, ...] of ops/pending_updates.hpp. Innermost strides are 1.
struct PendingKernelArgs {
    float* k = nullptr;  ///< [n_slots, R, H_k, d_k]
    index_t k_slot = 0, k_row = 0, k_head = 0;
    float* u = nullptr;  ///< [n_slots, R, H_v, d_v]
    index_t u_slot = 0, u_row = 0, u_head = 0;
    float* decay_log = nullptr;  ///< [n_slots, R, H_v]
    index_t decay_slot = 0, decay_row = 0, decay_head = 0;
    std::int32_t most_keys = 0;    ///< rows of `keys` below that the launch needs
    std::int32_t most_tokens = 0;  ///< rows of `queries`
};

/// The shared memory of a block, carved out of one piece. Sizes of a launch, not of a sequence, so
/// that few tokens take little and many blocks fit.
template <int kRows>
struct PendingShared {
    float* keys;        ///< [most_keys, kRows]: folded ones, then pending ones and the tokens'
    float* queries;     ///< [most_tokens, kRows], times the scale
    float* a;           ///< [most_tokens, 32]
    float* p;           ///< [most_tokens, 32]
    float* total;       ///< [1 + most_tokens]: G, then e^G; row 0 for the token before the first
    float* beta;        ///< [most_tokens]
    float* fold;        ///< [32]: e^{G_n - G_{j+1}} of folded updates
    float* fold_total;  ///< [1]: e^{G_n}
    float* u;           ///< [warps, most_keys, 16]: updates; a token's v until its u is known
    float* reads;       ///< [warps, most_tokens, 32]: as StateTile::read leaves them
    float* log_decay;   ///< [1 + most_tokens, 32]: D; shares its memory with `reads`

    /// In floats; memory null: only counts.
    constexpr index_t carve(float* memory, index_t most_keys, index_t most_tokens) {
        index_t used = 0;
        const auto take = [&](index_t n) {
            float* const piece = memory == nullptr ? nullptr : memory + used;
            used += (n + 3) / 4 * 4;
            return piece;
        };
        keys = take(most_keys * kRows);
        queries = take(most_tokens * kRows);
        a = take(most_tokens * lanes_per_warp);
        p = take(most_tokens * lanes_per_warp);
        total = take(1 + most_tokens);
        beta = take(most_tokens);
        fold = take(lanes_per_warp);
        fold_total = take(1);
        u = take(kDeltaWarps * most_keys * kTileColumns);
        const index_t n_logs = (1 + most_tokens) * lanes_per_warp;
        const index_t n_reads = kDeltaWarps * most_tokens * lanes_per_warp;
        reads = take(n_reads > n_logs ? n_reads : n_logs);
        log_decay = reads;
        return used;
    }
};

/// Decays, done by one warp; the numbers of `entry` are those that the tokens find.
template <int kRows>
__device__ __forceinline__ void pending_decays(const PendingShared<kRows>& shared,
                                               const DeltaKernelArgs& args,
                                               const PendingKernelArgs& pending,
                                               const SequenceEntry& entry,
                                               const std::int8_t* parents, int n_tokens,
                                               const DeltaPlace& place) {
    const int lane = place.lane;
    const int n_pending = entry.folded + entry.before;  // one of them is 0
    const float* const logs =
        pending.decay_log + entry.slot * pending.decay_slot + place.h * pending.decay_head;
    // after: the sum of the decays behind update `lane`; lane 0's inclusive sum is all of them.
    float sum = lane < n_pending ? logs[lane * pending.decay_row] : 0.0F;
#pragma unroll
    for (unsigned offset = 1; offset < lanes_per_warp; offset *= 2) {
        const float other = __shfl_down_sync(all_lanes, sum, offset);
        if (lane + static_cast<int>(offset) < lanes_per_warp) sum += other;
    }
    const float next = __shfl_down_sync(all_lanes, sum, 1);
    float row = lane < n_pending ? (lane + 1 < lanes_per_warp ? next : 0.0F) : kNever;
    float total = __shfl_sync(all_lanes, sum, 0);
    if (entry.folded > 0) {
        shared.fold[lane] = expf(row);
        if (lane == 0) shared.fold_total[0] = expf(total);
        row = kNever;
        total = 0.0F;
    }
    shared.log_decay[lane] = row;
    if (lane == 0) shared.total[0] = total;
    const float gates = lane < n_tokens
                            ? args.decay_log[(entry.first_token + lane) * args.decay_token +
                                             place.h * args.decay_head]
                            : 0.0F;
    for (int i = 0; i < n_tokens; ++i) {  // each lane reads what it has written itself
        const int before = parents == nullptr ? i : parents[i] + 1;
        const float gate = __shfl_sync(all_lanes, gates, i);
        const float decay = shared.log_decay[before * lanes_per_warp + lane] + gate;
        shared.log_decay[(i + 1) * lanes_per_warp + lane] = lane == entry.before + i ? 0.0F : decay;
        if (lane == 0) shared.total[i + 1] = shared.total[before] + gate;
    }
    if (lane == 0) {
        for (int i = 0; i < n_tokens; ++i) shared.total[i + 1] = expf(shared.total[i + 1]);
    }
}

/// The matrices a and p; pairs go round the warps. Keys, queries and decays are there.
template <int kRows>
__device__ __forceinline__ void pending_products(const PendingShared<kRows>& shared, int n_before,
                                                 int n_tokens, const DeltaPlace& place) {
    constexpr int parts = kRows / lanes_per_warp;
    for (int i = 0; i < n_tokens; ++i) {
        const float* const own_k = shared.keys + (n_before + i) * kRows + place.lane;
        const float* const own_q = shared.queries + i * kRows + place.lane;
        Array<float, parts> k, q;
#pragma unroll
        for (int m = 0; m < parts; ++m) {
            k[m] = own_k[m * lanes_per_warp];
            q[m] = own_q[m * lanes_per_warp];
        }
        for (int j = (i + place.warp) % kDeltaWarps; j <= n_before + i; j += kDeltaWarps) {
            const float* const key = shared.keys + j * kRows + place.lane;
            float kk = 0.0F, qk = 0.0F;
#pragma unroll
            for (int m = 0; m < parts; ++m) {
                const float x = key[m * lanes_per_warp];
                kk = fmaf(k[m], x, kk);
                qk = fmaf(q[m], x, qk);
            }
            // k.k in the lower half of the warp, q.k in the upper one
            const bool upper = place.lane >= lanes_per_warp / 2;
            float dot =
                (upper ? qk : kk) + __shfl_xor_sync(all_lanes, upper ? kk : qk, lanes_per_warp / 2);
            dot = row_sum(dot, lanes_per_warp / 2);
            if (place.lane % (lanes_per_warp / 2) == 0) {
                const float decay = expf(shared.log_decay[(i + 1) * lanes_per_warp + j]);
                const float weighted = decay == 0.0F ? 0.0F : decay * dot;  // whatever dot is
                (upper ? shared.p : shared.a)[i * lanes_per_warp + j] =
                    upper ? weighted : -weighted;
            }
        }
    }
}

}  // namespace deltanet::cuda
