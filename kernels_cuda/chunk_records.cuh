// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the two kernels of the chunked delta rule hand to each other, and their arguments.
///
/// chunk_prepare writes, for every chunk of 64 tokens, one record per key head (keys and queries in
/// bfloat16) and one per value head (the inverse of the triangular system, the masked and decayed
/// products of queries and keys, decays). chunk_scan reads them once for each of its tiles of value
/// columns. Records are made of 16 x 16 tiles whose bytes lie as tensor cores want them, so a copy
/// of a record into shared memory is a copy of consecutive bytes, and no load from it meets a bank
/// conflict.
#pragma once

#include "sequence_table.cuh"
#include "slot_states.cuh"
#include <deltanet/layer_config.hpp>
#include <deltanet/views.hpp>

#include <cstddef>
#include <cstdint>

namespace deltanet::cuda {

/// Tokens of a chunk.
inline constexpr int kChunk = static_cast<int>(kGridTokens);
/// Rows and columns of a tile, and tiles of a chunk's tokens.
inline constexpr int kTile = 16;
inline constexpr int kTokenTiles = kChunk / kTile;
/// Tiles of a lower triangle of kChunk x kChunk, its diagonal included.
inline constexpr int kLowerTiles = kTokenTiles * (kTokenTiles + 1) / 2;

/// Where tile (i, j), j <= i, of a lower triangle is.
[[nodiscard]] constexpr int lower_tile(int i, int j) noexcept { return i * (i + 1) / 2 + j; }

/// 16 x 16 elements of bfloat16 as four 8 x 8 matrices of 128 consecutive bytes each, row-major:
/// (rows 0-7, columns 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15). A word is two neighbours of a
/// row. Word `lane` of a matrix is what lane `lane` of a warp holds of it in every operand and sum
/// of mma.sync; 16 bytes from word 4 r on are row r, which is what ldmatrix asks for.
struct alignas(16) Tile {
    std::uint32_t words[4][32];
};
static_assert(sizeof(Tile) == 512);

/// 16 x 16 floats as the lanes of a warp hold them (Sums in chunk_tiles.cuh): 16 bytes of each
/// lane, then 16 more.
struct alignas(16) FloatTile {
    float half[2][32][4];
};

/// Rows of d_k elements of a chunk's tokens.
template <int Dk>
using TokenRows = Tile[kTokenTiles][static_cast<std::size_t>(Dk / kTile)];

/// Keys, and queries times the scale, of a chunk and key head; zeros behind the last token.
template <int Dk>
struct KeyRecord {
    TokenRows<Dk> k;
    TokenRows<Dk> q;
};

/// Of a chunk and value head, with G_i the sum of the log decays of tokens 1 to i:
struct HeadRecord {
    FloatTile inverse[kLowerTiles];  ///< (I + A)^-1 diag(beta)
    Tile p[kLowerTiles];             ///< scale e^{G_i - G_j} q_i . k_j for j <= i, else 0
    alignas(16) float read[kChunk];  ///< e^{G_i}
    float write[kChunk];             ///< e^{G_C - G_i}
};
static_assert(sizeof(HeadRecord) % 16 == 0);

/// Chunks [first_chunk, first_chunk + n_chunks) of every sequence of the table, for some of the key
/// heads and all of their value heads: what one launch of each kernel does.
struct ChunkWindow {
    std::int32_t first_chunk;
    std::int32_t n_chunks;
    std::int32_t first_key_head;
    std::int32_t n_key_heads;
};

struct ChunkArgs {
    View<const float, 3> q, k;       ///< [n_tokens, H_k, d_k], rows aligned to 16 bytes
    View<const float, 3> v;          ///< [n_tokens, H_v, d_v], rows aligned to 16 bytes
    View<const float, 2> decay_log;  ///< [n_tokens, H_v]
    View<const float, 2> beta;       ///< [n_tokens, H_v]
    View<float, 3> output;           ///< [n_tokens, H_v, d_v], rows aligned to 16 bytes
    SlotStates states;
    float scale;
    HeadMap head_map;
    std::int32_t heads_per_group;  ///< r
    ChunkWindow window;
    void* key_records;         ///< KeyRecord<d_k> [sequences, chunks, key heads] of the window
    HeadRecord* head_records;  ///< [sequences, chunks, key heads, r] of the window
    FloatTile* carry;          ///< [sequences, key heads, r, d_v / 16, d_k / 16], chunk_state.cuh
    SequenceTable sequences;

    /// Of the window's `chunk`-th chunk and `key_head`-th key head.
    [[nodiscard]] constexpr index_t record(int sequence, int chunk, int key_head) const noexcept {
        return (static_cast<index_t>(sequence) * window.n_chunks + chunk) * window.n_key_heads +
               key_head;
    }
    /// The value head that is the `member`-th of the window's `key_head`-th key head.
    [[nodiscard]] constexpr int value_head(int key_head, int member) const noexcept {
        const int head = window.first_key_head + key_head;
        return head_map == HeadMap::grouped ? head * heads_per_group + member
                                            : member * static_cast<int>(k.size(1)) + head;
    }
};

}  // namespace deltanet::cuda
