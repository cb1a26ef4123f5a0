// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a chunk of 64 tokens needs before its state is touched, for all chunks of a window at once:
/// a block per chunk, key head and sequence. Per key head, shared by its r value heads,
///   kk_ij = k_i . k_j        qk_ij = scale q_i . k_j        (j <= i)
/// on tensor cores, and per value head, with G_i the sum of the log decays of tokens 1 to i,
///   A_ij = beta_i e^{G_i - G_j} kk_ij  (j < i, else 0)      P_ij = e^{G_i - G_j} qk_ij  (j <= i)
///   (I + A)^-1 diag(beta)
/// No exponential of a positive number is ever taken. G is summed in double and kept as the sum of
/// two floats, so that a difference of two of them is as exact as its own size allows.
///
/// The inverse: its 16 x 16 blocks on the diagonal by forward substitution in float32, the others
/// from   T_ij = -(sum_{j < m <= i} T_im A_mj) T_jj   by products of tiles in three bfloat16 parts,
/// as exact as float32. It is no risk to have it: element ij is how u_i answers to r_j, through
/// tokens that can only shrink the state while beta |k|^2 < 2, so it is at most beta_i |k_i| |k_j|.
#pragma once

#include "chunk_tiles.cuh"

namespace deltanet::cuda {

inline constexpr int kPrepareWarps = 4;
inline constexpr int kPrepareThreads = kPrepareWarps * 32;
static_assert(kPrepareWarps == kTokenTiles, "a warp for each row of tiles");

/// Floats from a row of a diagonal block of A to the next, and from a block to the next: 8 bytes a
/// lane, stored as sums lie in a warp, and 16 bytes, read by two blocks at once, meet all banks.
inline constexpr int kDiagonalRow = 24;
inline constexpr int kDiagonalBlock = kTile * kDiagonalRow + 8;

/// Tiles below the diagonal that are not a row's last ones.
inline constexpr int kRowTiles = (kTokenTiles - 2) * (kTokenTiles - 1) / 2;

/// Gates of one value head's tokens.
struct PrepareGates {
    alignas(16) float high[kChunk], low[kChunk];  ///< log2(e) G_i
    float beta[kChunk];
};

/// A of one value head.
struct PrepareMatrix {
    /// The tiles below the diagonal, and on it those of the inverse.
    Split<Tile> tiles[kLowerTiles];
    /// Tiles of the inverse that their row's next ones are made of: (2, 1), (3, 2), (3, 1).
    Split<Tile> rows[kRowTiles];
    alignas(16) float diagonal[kTokenTiles][kDiagonalBlock];
};

template <int Dk>
struct PrepareShared {
    union {
        KeyRecord<Dk> rows;  ///< until they have been multiplied
        PrepareMatrix a;
    };
    PrepareGates gates[kPrepareWarps];  ///< of as many value heads
};

/// Rows of floats -> 16 rows of tiles, to shared memory and to the record. A half-warp reads 8 rows
/// of 32 bytes and writes the 8 x 8 matrix that they are; a warp has 16 rows.
template <int Dk>
__device__ __forceinline__ void prepare_rows(const float* rows, index_t stride, int n_tokens,
                                             float scale, TokenRows<Dk>& shared,
                                             TokenRows<Dk>& record, int warp, int lane) {
    const int row = (lane >> 1) & 7;
    const int column = (lane >> 4) * 8 + (lane & 1) * 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int token = warp * kTile + half * 8 + row;
#pragma unroll 4
        for (int c = 0; c < Dk / kTile; ++c) {
            float4 x = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
            if (token < n_tokens) x = load128(rows + token * stride + c * kTile + column);
            const uint2 words = make_uint2(ptx::to_bf16x2(scale * x.x, scale * x.y),
                                           ptx::to_bf16x2(scale * x.z, scale * x.w));
            const int matrix = half + (lane >> 4) * 2;
            const int word = (lane & 15) * 2;
            store64(&shared[warp][c].words[matrix][word], words);
            store64(&record[warp][c].words[matrix][word], words);
        }
    }
}

/// Gates of one value head, by one warp, two tokens a lane. Tokens behind the last neither decay
/// nor write.
__device__ __forceinline__ void prepare_gates(const ChunkArgs& args, index_t first_token,
                                              int n_tokens, int head, PrepareGates& gates,
                                              HeadRecord& record, int lane) {
    constexpr double log2_e = 1.4426950408889634;
    /// Below this e^g is 0 in float32, and stays 0 with any other decay.
    constexpr float least = -200.0F;
    float beta[2] = {};
    double sums[2] = {};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const int token = lane * 2 + i;
        if (token >= n_tokens) break;
        beta[i] = *args.beta.ptr(first_token + token, head);
        float decay_log = *args.decay_log.ptr(first_token + token, head);
        if (decay_log < least) decay_log = least;  // NaN stays
        sums[i] = log2_e * static_cast<double>(decay_log);
    }
    sums[1] += sums[0];
    double before = sums[1];
#pragma unroll
    for (int distance = 1; distance < lanes_per_warp; distance *= 2) {
        const double other = __shfl_up_sync(all_lanes, before, static_cast<unsigned>(distance));
        if (lane >= distance) before += other;
    }
    const double total = __shfl_sync(all_lanes, before, lanes_per_warp - 1);
    before -= sums[1];
    float high[2], low[2], read[2], write[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const double sum = before + sums[i];
        high[i] = static_cast<float>(sum);
        low[i] = static_cast<float>(sum - static_cast<double>(high[i]));
        read[i] = exp2f(high[i]);
        write[i] = exp2f(static_cast<float>(total - sum));
    }
    const auto store = [lane](float* to, const float(&pair)[2]) {
        store64(to + lane * 2, make_float2(pair[0], pair[1]));
    };
    store(gates.beta, beta);
    store(gates.high, high);
    store(gates.low, low);
    store(record.read, read);
    store(record.write, write);
}

/// The l-th tile of a lower triangle.
struct LowerTile {
    int i, j;
    __device__ __forceinline__ explicit LowerTile(int l)
        : i((l >= 1 ? 1 : 0) + (l >= 3 ? 1 : 0) + (l >= 6 ? 1 : 0)), j(l - i * (i + 1) / 2) {}
};

/// A and P of one tile: P to the record; A to shared memory, on the diagonal as floats.
__device__ __forceinline__ void prepare_tile(int l, const Sums& kk, const Sums& qk,
                                             const PrepareGates& gates, PrepareMatrix& shared,
                                             HeadRecord& record, int lane) {
    const LowerTile at(l);
    const int row = at.i * kTile + (lane >> 2);
    const float beta[2] = {gates.beta[row], gates.beta[row + 8]};
    Sums a = kk;
    Sums p = qk;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int i = row + (e >> 1) * 8;
            const int j = at.j * kTile + n * 8 + (lane & 3) * 2 + (e & 1);
            const float exponent = (gates.high[i] - gates.high[j]) + (gates.low[i] - gates.low[j]);
            const float decay = exp2f(j <= i ? exponent : 0.0F);
            a.half[n][e] *= beta[e >> 1] * decay;  // from the diagonal on not read
            p.half[n][e] = j <= i ? decay * p.half[n][e] : 0.0F;
        }
    }
    store_tile(round_tile(p), record.p[l], lane);
    if (at.i == at.j) {
#pragma unroll
        for (int w = 0; w < 4; ++w) {
            const int i = (lane >> 2) + (w & 1) * 8;
            const int j = (w >> 1) * 8 + (lane & 3) * 2;
            store64(&shared.diagonal[at.i][i * kDiagonalRow + j],
                    make_float2(a.half[w >> 1][(w & 1) * 2], a.half[w >> 1][(w & 1) * 2 + 1]));
        }
    } else {
        store_tile(split_tile(a), shared.tiles[l], lane);
    }
}

/// Inverts the blocks of I + A on the diagonal, a thread for each of their columns.
__device__ __forceinline__ void invert_diagonal(PrepareMatrix& shared, int thread) {
    const int block = thread / kTile;
    const int column = thread % kTile;
    const float* const a = shared.diagonal[block];
    float x[kTile];
#pragma unroll
    for (int i = 0; i < kTile; ++i) {
        x[i] = i == column ? 1.0F : 0.0F;
#pragma unroll
        for (int m = 0; m < i; m += 4) {
            const auto row = load128(a + i * kDiagonalRow + m);
            x[i] -= row.x * x[m];
            if (m + 1 < i) x[i] -= row.y * x[m + 1];
            if (m + 2 < i) x[i] -= row.z * x[m + 2];
            if (m + 3 < i) x[i] -= row.w * x[m + 3];
        }
    }
    Split<Tile>& tile = shared.tiles[lower_tile(block, block)];
#pragma unroll
    for (int i = 0; i < kTile; ++i) {
        const int element = ((i >> 3) + (column >> 3) * 2) * 64 + (i & 7) * 8 + (column & 7);
        float rest = x[i];
#pragma unroll
        for (int p = 0; p < kParts; ++p) {
            const std::uint32_t rounded = ptx::to_bf16x2(rest, 0.0F);
            reinterpret_cast<std::uint16_t*>(&tile.parts[p])[element] =
                static_cast<std::uint16_t>(rounded);
            rest -= low_bf16(rounded);
        }
    }
}

/// Tile (i, j) of the inverse times diag(beta), to the record.
__device__ __forceinline__ void store_inverse(int i, int j, Sums tile, const PrepareGates& gates,
                                              HeadRecord& record, int lane) {
    for_each_element(tile, lane, [&](int, int column, float& element) {
        element *= gates.beta[j * kTile + column];
    });
    store_tile(tile, record.inverse[lower_tile(i, j)], lane);
}

/// T_ij of a row, as left operands where they are needed more than once: on the diagonal, and to
/// the left of it what the warp of the row has stored itself.
[[nodiscard]] __device__ __forceinline__ Split<Tile>& tile_of_row(PrepareMatrix& shared, int i,
                                                                  int distance) {
    return distance == 0 ? shared.tiles[lower_tile(i, i)]
                         : shared.rows[lower_tile(i - 2, distance - 1)];
}

/// A row of tiles of the inverse, from the diagonal to the left, by one warp.
__device__ __forceinline__ void invert_row(int i, PrepareMatrix& shared, const PrepareGates& gates,
                                           HeadRecord& record, int lane) {
    const auto part_of = [lane](const Split<Tile>& tile) {
        return [&tile, lane](int p) { return load_right_transposed(tile.parts[p], lane); };
    };
    Sums diagonal{};
#pragma unroll
    for (int p = kParts - 1; p >= 0; --p)
        add_part(diagonal, load_left(tile_of_row(shared, i, 0).parts[p], lane));
    store_inverse(i, i, diagonal, gates, record, lane);
#pragma unroll 1
    for (int distance = 1; distance <= i; ++distance) {
        const int j = i - distance;
        Sums sum{};
#pragma unroll 1
        for (int d = 0; d < distance; ++d) {
            const Split<Left> left = load_left(tile_of_row(shared, i, d), lane);
            multiply_split(sum, left, part_of(shared.tiles[lower_tile(i - d, j)]));
        }
        for_each_element(sum, lane, [](int, int, float& element) { element = -element; });
        const Split<Left> left = split_tile(sum);
        Sums tile{};
        multiply_split(tile, left, part_of(shared.tiles[lower_tile(j, j)]));
        store_inverse(i, j, tile, gates, record, lane);
        if (j > 0) {
            store_tile(split_tile(tile), tile_of_row(shared, i, distance), lane);
            __syncwarp();
        }
    }
}

/// Grid (chunks of the window, its key heads, sequences), kPrepareThreads threads, dynamic shared
/// memory of PrepareShared<Dk>. Three blocks a multiprocessor have 168 registers a thread; loops
/// are unrolled as far as that lasts.
template <int Dk>
__global__ void __launch_bounds__(kPrepareThreads, 3)
    chunk_prepare(const __grid_constant__ ChunkArgs args) {
    auto& shared = shared_storage<PrepareShared<Dk>>();
    const int thread = static_cast<int>(threadIdx.x);
    const int warp = thread / 32;
    const int lane = thread % 32;
    const auto chunk = static_cast<int>(blockIdx.x);
    const auto key_head = static_cast<int>(blockIdx.y);
    const auto sequence = static_cast<int>(blockIdx.z);
    const SequenceEntry& entry = args.sequences.entries[sequence];
    const int done = (args.window.first_chunk + chunk) * kChunk;
    if (done >= entry.n_tokens) return;
    const int n_tokens = entry.n_tokens - done < kChunk ? entry.n_tokens - done : kChunk;
    const index_t first_token = entry.first_token + done;
    const index_t record = args.record(sequence, chunk, key_head);
    KeyRecord<Dk>& keys = static_cast<KeyRecord<Dk>*>(args.key_records)[record];
    HeadRecord* const heads = args.head_records + record * args.heads_per_group;
    const int head_k = args.window.first_key_head + key_head;

    prepare_rows<Dk>(args.k.ptr(first_token, head_k), args.k.stride(0), n_tokens, 1.0F,
                     shared.rows.k, keys.k, warp, lane);
    prepare_rows<Dk>(args.q.ptr(first_token, head_k), args.q.stride(0), n_tokens, args.scale,
                     shared.rows.q, keys.q, warp, lane);

    constexpr int tiles_per_warp = (kLowerTiles + kPrepareWarps - 1) / kPrepareWarps;
    Sums kk[tiles_per_warp] = {};
    Sums qk[tiles_per_warp] = {};
    for (int member = 0; member < args.heads_per_group; ++member) {
        if (member % kPrepareWarps == 0) {
            if (member > 0) __syncthreads();  // the gates of the heads before are done with
            if (member + warp < args.heads_per_group) {
                prepare_gates(args, first_token, n_tokens, args.value_head(key_head, member + warp),
                              shared.gates[warp], heads[member + warp], lane);
            }
        }
        __syncthreads();  // rows and gates are there, the tiles of the head before are done with
        if (member == 0) {
#pragma unroll
            for (int b = 0; b < tiles_per_warp; ++b) {
                const int l = warp + b * kPrepareWarps;
                if (l >= kLowerTiles) break;
                const LowerTile at(l);
#pragma unroll 4
                for (int c = 0; c < Dk / kTile; ++c) {
                    const Right right = load_right(shared.rows.k[at.j][c], lane);
                    multiply(kk[b], load_left(shared.rows.k[at.i][c], lane), right);
                    multiply(qk[b], load_left(shared.rows.q[at.i][c], lane), right);
                }
            }
            __syncthreads();  // the rows are done with, A takes their place
        }
        const PrepareGates& gates = shared.gates[member % kPrepareWarps];
#pragma unroll
        for (int b = 0; b < tiles_per_warp; ++b) {
            const int l = warp + b * kPrepareWarps;
            if (l >= kLowerTiles) break;
            prepare_tile(l, kk[b], qk[b], gates, shared.a, heads[member], lane);
        }
        __syncthreads();  // A is there
        if (thread < kChunk) invert_diagonal(shared.a, thread);
        __syncthreads();  // and its inverse on the diagonal
        invert_row(warp, shared.a, gates, heads[member], lane);
    }
}

}  // namespace deltanet::cuda
