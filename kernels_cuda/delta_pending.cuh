// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A few tokens of one value head against a state that is read and not written
/// (ops/pending_updates.hpp). With n updates pending and D_ij the sum of the log decays behind
/// token j to token i along the tokens that i follows:
///   u_i = beta_i (v_i - e^{G_i} S^T k_i - sum_j e^{D_ij} (k_i.k_j) u_j)
///   o_i = scale (e^{G_i} S^T q_i + sum_j e^{D_ij} (q_i.k_j) u_j + (q_i.k_i) u_i)
/// j over the pending updates and the call's own tokens. The u_i are appended. The state comes into
/// registers once (state_tile.cuh) and serves all tokens; the triangular system is solved per
/// column, sixteen lanes for u and sixteen for o of the same columns. Folding writes
///   S = e^{G_n} S + sum_j e^{G_n - G_{j+1}} k_j u_j^T
/// in the same pass, and the tokens then read what was stored, rounded if the state is. Of int8
/// states tokens read the integers alone, and folding all.
///
/// Who appends. An update's u is written by the warp that has its columns. Keys and decays are read
/// by every block of a head or of its key head: where nothing is folded their new rows lie behind
/// all that is read, and the first block of a head writes them; where updates are folded they take
/// the place of rows that other blocks may still read, and append_keys_kernel writes them
/// afterwards.
#pragma once

#include "pending_gates.cuh"

namespace deltanet::cuda {

/// The first value head of a key head.
[[nodiscard]] __device__ __forceinline__ bool is_first_of_key_head(const DeltaKernelArgs& args,
                                                                   const DeltaPlace& place) {
    return args.head_map == HeadMap::grouped ? place.h % (args.n_heads_v / args.n_heads_k) == 0
                                             : place.h < args.n_heads_k;
}

/// One block's work on one sequence.
template <class S, int kRows>
class PendingBlock {
  public:
    __device__ __forceinline__ PendingBlock(const DeltaKernelArgs& args,
                                            const PendingKernelArgs& pending,
                                            const SequenceEntry& entry, float* memory)
        : args_(args),
          pending_(pending),
          entry_(entry),
          place_(args),
          n_tokens_(entry.appends ? entry.n_tokens : 0),
          owned_(owned_column<S>(place_.lane)) {
        shared_.carve(memory, pending.most_keys, pending.most_tokens);
        warp_u_ = shared_.u + place_.warp * pending.most_keys * kTileColumns;
        warp_reads_ = shared_.reads + place_.warp * pending.most_tokens * lanes_per_warp;
    }

    __device__ __forceinline__ void run(const std::int8_t* parents) {
        StateTile<S, kRows> tile;
        if (entry_.fresh)
            tile.clear();
        else
            load_tile(tile, args_, place_, entry_.slot, entry_.folded == 0);
        stage_pending();
        if (entry_.folded == 0) stage_tokens();
        if (place_.warp == 0) {
            pending_decays(shared_, args_, pending_, entry_, parents, n_tokens_, place_);
        }
        __syncthreads();
        if (entry_.folded > 0) {
            fold(tile);
            __syncthreads();  // the folded keys have been read
            stage_tokens();
            __syncthreads();
        }
        if (entry_.folded > 0 || entry_.fresh) store_tile(tile, args_, place_, entry_.slot);
        if (n_tokens_ == 0) return;
        pending_products(shared_, entry_.before, n_tokens_, place_);
        if (entry_.folded == 0) append_keys();
        __syncthreads();  // the decays' memory becomes that of the reads
        for (int i = 0; i < n_tokens_; ++i) {
            warp_reads_[i * lanes_per_warp + place_.lane] =
                tile.read(shared_.keys + (entry_.before + i) * kRows, shared_.queries + i * kRows,
                          place_.lane);
        }
        solve();
    }

  private:
    /// Keys and corrections of the updates that are pending, a row a warp.
    __device__ __forceinline__ void stage_pending() {
        const int n = entry_.folded + entry_.before;
        for (int j = place_.warp; j < n; j += kDeltaWarps) {
            const float* const key = pending_.k + entry_.slot * pending_.k_slot +
                                     j * pending_.k_row + place_.h_k * pending_.k_head;
            stage_row<kRows>(shared_.keys + j * kRows, args_.d_k, place_.lane,
                             [&](int i) { return key[i]; });
        }
        stage_columns(n, 0, [&](int j) { return update(j); });
    }

    /// Keys, queries, values and betas of the tokens, behind the updates that stay pending.
    __device__ __forceinline__ void stage_tokens() {
        for (int i = place_.warp; i < n_tokens_; i += kDeltaWarps) {
            const index_t token = static_cast<index_t>(entry_.first_token) + i;
            const float* const key = args_.k.row(token, place_.h_k);
            const float* const query = args_.q.row(token, place_.h_k);
            stage_row<kRows>(shared_.keys + (entry_.before + i) * kRows, args_.d_k, place_.lane,
                             [&](int j) { return key[j]; });
            stage_row<kRows>(shared_.queries + i * kRows, args_.d_k, place_.lane,
                             [&](int j) { return query[j] * args_.scale; });
            if (place_.lane == 0) {
                shared_.beta[i] = args_.beta[token * args_.beta_token + place_.h * args_.beta_head];
            }
        }
        stage_columns(n_tokens_, entry_.before, [&](int i) {
            return args_.v.row(static_cast<index_t>(entry_.first_token) + i, place_.h);
        });
    }

    /// The warp's columns of rows row_at(j), j < n, into its u from row `first` on: two at a time.
    template <class F>
    __device__ __forceinline__ void stage_columns(int n, int first, const F& row_at) {
        const int in_tile = place_.lane % kTileColumns;
        const int column = place_.column + in_tile;
        for (int j = place_.lane / kTileColumns; j < n; j += lanes_per_warp / kTileColumns) {
            warp_u_[(first + j) * kTileColumns + in_tile] =
                column < args_.d_v ? row_at(j)[column] : 0.0F;
        }
    }

    /// Row of the slot's corrections.
    [[nodiscard]] __device__ __forceinline__ float* update(int row) const {
        return pending_.u + entry_.slot * pending_.u_slot + row * pending_.u_row +
               place_.h * pending_.u_head;
    }

    __device__ __forceinline__ void fold(StateTile<S, kRows>& tile) const {
        tile.scale(shared_.fold_total[0]);
        for (int j = 0; j < entry_.folded; ++j) {
            const float weight = shared_.fold[j];
            const float* const u = warp_u_ + j * kTileColumns + first_column<S>(place_.lane);
            typename StateTile<S, kRows>::Columns weighted;
#pragma unroll
            for (int c = 0; c < StateTile<S, kRows>::kColumns; ++c) weighted[c] = weight * u[c];
            tile.add(shared_.keys + j * kRows, weighted, place_.lane);
        }
    }

    /// The triangular system and the outputs, token by token.
    __device__ __forceinline__ void solve() {
        const bool lower = place_.lane < kTileColumns;  // u; else o
        const int column = place_.column + owned_;
        const bool exists = column < args_.d_v;
        for (int i = 0; i < n_tokens_; ++i) {
            const int own = entry_.before + i;
            const float read = shared_.total[i + 1] * warp_reads_[i * lanes_per_warp + place_.lane];
            float sum = lower ? warp_u_[own * kTileColumns + owned_] - read : read;
            const float* const weights = (lower ? shared_.a : shared_.p) + i * lanes_per_warp;
            for (int j = 0; j < own; ++j) {
                const float weight = weights[j];
                const float u = warp_u_[j * kTileColumns + owned_];
                if (weight != 0.0F) sum = fmaf(weight, u, sum);  // not one that i follows
            }
            const float u =
                __shfl_sync(all_lanes, shared_.beta[i] * sum, place_.lane % kTileColumns);
            if (lower) {
                warp_u_[own * kTileColumns + owned_] = u;
                if (exists) update(own)[column] = u;
            } else if (exists) {
                args_.output[(static_cast<index_t>(entry_.first_token) + i) * args_.output_token +
                             place_.h * args_.output_head + column] = fmaf(weights[own], u, sum);
            }
            __syncwarp();
        }
    }

    /// Behind the updates that other blocks may be reading.
    __device__ __forceinline__ void append_keys() const {
        if (place_.v_block != 0) return;
        if (static_cast<int>(threadIdx.x) < n_tokens_) {
            const auto i = static_cast<int>(threadIdx.x);
            pending_.decay_log[entry_.slot * pending_.decay_slot +
                               (entry_.before + i) * pending_.decay_row +
                               place_.h * pending_.decay_head] =
                args_.decay_log[(entry_.first_token + i) * args_.decay_token +
                                place_.h * args_.decay_head];
        }
        if (!is_first_of_key_head(args_, place_)) return;
        for (int i = place_.warp; i < n_tokens_; i += kDeltaWarps) {
            float* const to = pending_.k + entry_.slot * pending_.k_slot +
                              (entry_.before + i) * pending_.k_row + place_.h_k * pending_.k_head;
            const float* const from = shared_.keys + (entry_.before + i) * kRows;
            for (int j = place_.lane; j < args_.d_k; j += lanes_per_warp) to[j] = from[j];
        }
    }

    const DeltaKernelArgs& args_;
    const PendingKernelArgs& pending_;
    const SequenceEntry& entry_;
    DeltaPlace place_;
    int n_tokens_;
    int owned_;
    PendingShared<kRows> shared_;
    float* warp_u_;
    float* warp_reads_;
};

/// Grid: delta_args.cuh. Entries that do not append only fold.
template <class S, int kRows>
__global__ void __launch_bounds__(kDeltaWarps* lanes_per_warp, kLeastBlocks<kRows>)
    delta_pending_kernel(const __grid_constant__ SequenceTable table,
                         const __grid_constant__ DeltaKernelArgs args,
                         const __grid_constant__ PendingKernelArgs pending) {
    PendingBlock<S, kRows> block(args, pending, table.entries[blockIdx.y],
                                 &shared_storage<float>());
    block.run(nullptr);
}

/// The same where some of the sequences are trees.
template <class S, int kRows>
__global__ void __launch_bounds__(kDeltaWarps* lanes_per_warp, kLeastBlocks<kRows>)
    delta_pending_trees_kernel(const __grid_constant__ SequenceTable table,
                               const __grid_constant__ DeltaKernelArgs args,
                               const __grid_constant__ PendingKernelArgs pending,
                               const __grid_constant__ TreeTable trees) {
    PendingBlock<S, kRows> block(args, pending, table.entries[blockIdx.y],
                                 &shared_storage<float>());
    block.run(trees.parents[blockIdx.y]);
}

/// Keys and decays of tokens that take the place of folded updates. grid: (key heads, entries);
/// a thread an element, of the key head or of its share of the value heads.
__global__ void __launch_bounds__(kDeltaWarps* lanes_per_warp, 8)
    append_keys_kernel(const __grid_constant__ SequenceTable table,
                       const __grid_constant__ DeltaKernelArgs args,
                       const __grid_constant__ PendingKernelArgs pending) {
    const SequenceEntry& entry = table.entries[blockIdx.y];
    if (!entry.appends || entry.folded == 0) return;
    const auto head = static_cast<int>(blockIdx.x);
    const auto thread = static_cast<int>(threadIdx.x);
    const int threads = kDeltaWarps * lanes_per_warp;
    for (int i = 0; i < entry.n_tokens; ++i) {
        const index_t token = static_cast<index_t>(entry.first_token) + i;
        const float* const from = args.k.row(token, head);
        float* const to =
            pending.k + entry.slot * pending.k_slot + i * pending.k_row + head * pending.k_head;
        for (int j = thread; j < args.d_k; j += threads) to[j] = from[j];
        float* const logs =
            pending.decay_log + entry.slot * pending.decay_slot + i * pending.decay_row;
        for (int h = head + thread * args.n_heads_k; h < args.n_heads_v;
             h += threads * args.n_heads_k) {
            logs[h * pending.decay_head] =
                args.decay_log[token * args.decay_token + h * args.decay_head];
        }
    }
}

}  // namespace deltanet::cuda
