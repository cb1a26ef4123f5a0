// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The chunks of a sequence, one after the other, over some columns of the state S [d_k, d_v]; all
/// that does not depend on the state was prepared by chunk_prepare.cuh:
///   D_i = v_i - e^{G_i} S^T k_i
///   U   = (I + A)^-1 diag(beta) D
///   o_i = scale e^{G_i} S^T q_i + sum_{j <= i} P_ij u_j
///   S   = e^{G_C} S + sum_i e^{G_C - G_i} k_i u_i^T
/// Everything is computed transposed, value columns as rows: a warp owns 16 of them, keeps its
/// S^T [16, d_k] in registers as sums in float32 from the first chunk to the last, and needs
/// nothing from any other warp. S^T, D^T and U^T become operands where they are (chunk_tiles.cuh);
/// D and the inverse in three bfloat16 parts, so the solve is float32. Shared memory holds what the
/// warps of a block read alike, and each warp's values.
///
/// Copies of the next chunk run while this one is computed: keys (two buffers) and queries from
/// the moment that the queries are done with, the rest from the moment that P is.
#pragma once

#include "chunk_state.cuh"

namespace deltanet::cuda {

template <int Dk, int Columns>
struct ScanShared {
    /// 4 floats more than there are columns: what lanes of a warp access at once is in all banks.
    static constexpr std::size_t row = Columns + 4;

    TokenRows<Dk> k[2];
    TokenRows<Dk> q;
    HeadRecord head;
    alignas(16) float values[kChunk][row];  ///< v, then the output, of each warp its own columns
};

/// A row [16 columns of 64 tokens] of tiles, and the same as left operands.
struct ScanSums {
    Sums tiles[kTokenTiles];
};

/// Copies consecutive bytes into shared memory, 16 a thread.
template <int Threads, class T>
__device__ __forceinline__ void copy_async(T& to, const T& from, int thread) {
    constexpr int pieces = static_cast<int>(sizeof(T) / 16);
    auto* const destination = reinterpret_cast<unsigned char*>(&to);
    const auto* const source = reinterpret_cast<const unsigned char*>(&from);
#pragma unroll
    for (int piece = 0; piece < pieces; piece += Threads) {
        if (pieces % Threads == 0 || piece + thread < pieces)
            ptx::cp_async<16>(destination + (piece + thread) * 16, source + (piece + thread) * 16);
    }
}

/// One warp's part of the scan.
template <int Dk, int Columns>
class ScanWarp {
    static constexpr int threads = Columns / kWarpColumns * 32;
    using Shared = ScanShared<Dk, Columns>;

  public:
    __device__ __forceinline__ ScanWarp(const ChunkArgs& args, Shared& shared, int thread)
        : args_(args),
          shared_(shared),
          thread_(thread),
          lane_(thread % 32),
          column_(thread / 32 * kWarpColumns),
          key_head_(static_cast<int>(blockIdx.y) / args.heads_per_group),
          member_(static_cast<int>(blockIdx.y) % args.heads_per_group),
          sequence_(static_cast<int>(blockIdx.z)),
          entry_(args.sequences.entries[blockIdx.z]),
          head_(args.value_head(key_head_, member_)),
          first_value_(static_cast<int>(blockIdx.x) * Columns + column_) {}

    __device__ __forceinline__ void run() {
        const int first = args_.window.first_chunk;
        const int all = (entry_.n_tokens + kChunk - 1) / kChunk;
        const int last = all < first + args_.window.n_chunks ? all : first + args_.window.n_chunks;
        // Done with an earlier window, or nothing to do: a state that is read and written again may
        // change.
        if (first >= all && (first > 0 || !entry_.fresh)) return;
        if (first < last) {
            copy_keys(0);
            ptx::cp_async_commit();
            copy_head(0);
            ptx::cp_async_commit();
        }
        load(first);
        for (int chunk = 0; chunk < last - first; ++chunk) {
            if (tokens_of(chunk) > kChunk / 2) {  // what is behind the last token is zeros
                run_chunk<kTokenTiles>(chunk, last - first);
            } else {
                run_chunk<kTokenTiles / 2>(chunk, last - first);
            }
        }
        store(last, all);
    }

  private:
    /// The window's `chunk`-th chunk of `n`, whose tokens are in the first Tiles tiles.
    template <int Tiles>
    __device__ __forceinline__ void run_chunk(int chunk, int n) {
        const bool more = chunk + 1 < n;
        ptx::cp_async_wait<1>();
        __syncthreads();  // keys and queries of this chunk are there, the keys before done with
        ScanSums ks{};
        ScanSums qs{};
        read_state<Tiles>(chunk, ks, qs);
        ptx::cp_async_wait<0>();
        __syncthreads();  // so is the rest, and the queries are done with
        if (more) copy_keys(chunk + 1);
        ptx::cp_async_commit();
        const ScanSums u = solve<Tiles>(ks);
        add_outputs<Tiles>(u, qs);
        Left written[kTokenTiles];
        weigh<Tiles>(u, written);
        const float total = shared_.head.read[kChunk - 1];
        store_outputs<Tiles>(chunk, qs);
        __syncthreads();  // the rest is done with
        if (more) copy_head(chunk + 1);
        ptx::cp_async_commit();
        write_state<Tiles>(chunk, total, written);
    }

    /// (K S)^T and (Q S)^T.
    template <int Tiles>
    __device__ __forceinline__ void read_state(int chunk, ScanSums& ks, ScanSums& qs) const {
#pragma unroll
        for (int c = 0; c < Dk / kTile; ++c) {
            const Left s = round_tile(state_.tiles[c]);
#pragma unroll
            for (int i = 0; i < Tiles; ++i) {
                multiply(ks.tiles[i], s, load_right(shared_.k[chunk % 2][i][c], lane_));
                multiply(qs.tiles[i], s, load_right(shared_.q[i][c], lane_));
            }
        }
    }

    /// U^T.
    template <int Tiles>
    __device__ __forceinline__ ScanSums solve(ScanSums& ks) const {
        ScanSums u{};
#pragma unroll
        for (int j = 0; j < Tiles; ++j) {
            for_each_element(ks.tiles[j], lane_, [&](int column, int token, float& element) {
                const int t = j * kTile + token;
                element = shared_.values[t][column_ + column] - shared_.head.read[t] * element;
            });
            const Split<Left> d = split_tile(ks.tiles[j]);
#pragma unroll
            for (int i = j; i < Tiles; ++i) {
                Sums inverse = load_sums(shared_.head.inverse[lower_tile(i, j)], lane_);
                multiply_split(u.tiles[i], d, [&](int) { return as_right(take_part(inverse)); });
            }
        }
        return u;
    }

    /// O^T, in the place of (Q S)^T.
    template <int Tiles>
    __device__ __forceinline__ void add_outputs(const ScanSums& u, ScanSums& qs) const {
        Left rounded[kTokenTiles];
#pragma unroll
        for (int i = 0; i < Tiles; ++i) {
            for_each_element(qs.tiles[i], lane_, [&](int, int token, float& element) {
                element *= shared_.head.read[i * kTile + token];
            });
            rounded[i] = round_tile(u.tiles[i]);
#pragma unroll
            for (int j = 0; j <= i; ++j) {
                multiply(qs.tiles[i], rounded[j],
                         load_right(shared_.head.p[lower_tile(i, j)], lane_));
            }
        }
    }

    /// e^{G_C - G_i} u_i as operands.
    template <int Tiles>
    __device__ __forceinline__ void weigh(ScanSums u, Left (&written)[kTokenTiles]) const {
#pragma unroll
        for (int i = 0; i < Tiles; ++i) {
            for_each_element(u.tiles[i], lane_, [&](int, int token, float& element) {
                element *= shared_.head.write[i * kTile + token];
            });
            written[i] = round_tile(u.tiles[i]);
        }
    }

    template <int Tiles>
    __device__ __forceinline__ void write_state(int chunk, float total,
                                                const Left (&written)[kTokenTiles]) {
#pragma unroll
        for (int c = 0; c < Dk / kTile; ++c) {
#pragma unroll
            for (int n = 0; n < 2; ++n) {
#pragma unroll
                for (int e = 0; e < 4; ++e) state_.tiles[c].half[n][e] *= total;
            }
#pragma unroll
            for (int i = 0; i < Tiles; ++i) {
                multiply(state_.tiles[c], written[i],
                         load_right_transposed(shared_.k[chunk % 2][i][c], lane_));
            }
        }
    }

    /// Keys and queries of a chunk, on their way.
    __device__ __forceinline__ void copy_keys(int chunk) {
        const KeyRecord<Dk>& keys = static_cast<const KeyRecord<Dk>*>(
            args_.key_records)[args_.record(sequence_, chunk, key_head_)];
        copy_async<threads>(shared_.k[chunk % 2], keys.k, thread_);
        copy_async<threads>(shared_.q, keys.q, thread_);
    }
    /// The value head's record of a chunk, and the warp's values, zeros behind the last token.
    __device__ __forceinline__ void copy_head(int chunk) {
        const index_t record = args_.record(sequence_, chunk, key_head_);
        copy_async<threads>(shared_.head,
                            args_.head_records[record * args_.heads_per_group + member_], thread_);
        const int n_tokens = tokens_of(chunk);
        const int column = column_of_piece();
        const float* const values = args_.v.ptr(first_token(chunk), head_, first_value_);
#pragma unroll
        for (int i = 0; i < kChunk; i += 8) {
            const int token = i + row_of_piece();
            const bool exists = token < n_tokens;
            ptx::cp_async_or_zero<16>(&shared_.values[token][column_ + column],
                                      values + (exists ? token : 0) * args_.v.stride(0) + column,
                                      exists);
        }
    }

    /// How a warp moves 8 rows of its 16 columns, 16 bytes a lane: 4 lanes a row, and 8 lanes,
    /// which shared memory serves together, rows n and n + 4, which are half of the banks apart.
    [[nodiscard]] __device__ __forceinline__ int row_of_piece() const {
        return lane_ / 8 + lane_ / 4 % 2 * 4;
    }
    [[nodiscard]] __device__ __forceinline__ int column_of_piece() const { return lane_ % 4 * 4; }

    /// Outputs go through the place of the warp's values, so that 4 lanes store 64 bytes of a row.
    template <int Tiles>
    __device__ __forceinline__ void store_outputs(int chunk, ScanSums& o) {
#pragma unroll
        for (int i = 0; i < Tiles; ++i) {
            for_each_element(o.tiles[i], lane_, [&](int column, int token, float& element) {
                shared_.values[i * kTile + token][column_ + column] = element;
            });
        }
        __syncwarp();
        const int n_tokens = tokens_of(chunk);
        float* const output = args_.output.ptr(first_token(chunk), head_, first_value_);
        const int column = column_of_piece();
#pragma unroll
        for (int i = 0; i < Tiles * kTile; i += 8) {
            const int token = i + row_of_piece();
            if (token < n_tokens) {
                store128(output + token * args_.output.stride(0) + column,
                         load128(&shared_.values[token][column_ + column]));
            }
        }
    }

    /// The state from the slot; behind the first window, from what the one before left.
    __device__ __forceinline__ void load(int first_chunk) {
        if (first_chunk > 0) {
            load_carry(state_, carried(), lane_);
        } else {
            load_state(state_, args_, entry_, head_, first_value_, lane_);
        }
    }
    /// To the slot behind the last chunk; else to the next window.
    __device__ __forceinline__ void store(int last, int all) {
        if (last < all) {
            store_carry(state_, carried(), lane_);
        } else {
            store_state(state_, args_, entry_, head_, first_value_, lane_);
        }
    }
    /// Where the warp's state is between windows.
    [[nodiscard]] __device__ __forceinline__ FloatTile* carried() const {
        const index_t head =
            (static_cast<index_t>(sequence_) * args_.window.n_key_heads + key_head_) *
                args_.heads_per_group +
            member_;
        const index_t warps = args_.v.size(2) / kWarpColumns;
        return args_.carry + (head * warps + first_value_ / kWarpColumns) * (Dk / kTile);
    }

    [[nodiscard]] __device__ __forceinline__ index_t first_token(int chunk) const {
        return entry_.first_token + static_cast<index_t>(args_.window.first_chunk + chunk) * kChunk;
    }
    /// Tokens of a chunk.
    [[nodiscard]] __device__ __forceinline__ int tokens_of(int chunk) const {
        const int left = entry_.n_tokens - (args_.window.first_chunk + chunk) * kChunk;
        return left < kChunk ? left : kChunk;
    }

    const ChunkArgs& args_;
    Shared& shared_;
    int thread_, lane_;
    int column_;  ///< of the warp in the block
    int key_head_, member_, sequence_;
    const SequenceEntry& entry_;
    int head_;
    int first_value_;  ///< the warp's first column
    ScanState<Dk> state_;
};

/// Grid (d_v / Columns, the window's key heads times r, sequences), two threads for each of
/// Columns, dynamic shared memory of ScanShared<Dk, Columns>.
template <int Dk, int Columns>
__global__ void __launch_bounds__(Columns * 2) chunk_scan(const __grid_constant__ ChunkArgs args) {
    ScanWarp<Dk, Columns>(args, shared_storage<ScanShared<Dk, Columns>>(),
                          static_cast<int>(threadIdx.x))
        .run();
}

}  // namespace deltanet::cuda
