// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The numbers that decide speed and never results: every one of them may change without a kernel
/// being touched. The exceptions are the chunk lengths, which decide rounding.
#pragma once

#include <deltanet/cpu/arch.hpp>
#include <deltanet/linear/weight_format.hpp>
#include <deltanet/sequence.hpp>

namespace deltanet::cpu::tuning {

/// Tokens that the chunked delta rule solves at once, a divisor of the grid.
template <class Arch>
inline constexpr index_t chunk_tokens = 16;

/// The same with products in bfloat16: the state is packed into pairs once a chunk.
template <class Arch>
inline constexpr index_t bf16_chunk_tokens = 32;
static_assert(kGridTokens % chunk_tokens<default_arch> == 0 &&
              kGridTokens % bf16_chunk_tokens<default_arch> == 0);

/// `ScanMode::automatic` takes the chunked form for sequences of at least this many tokens.
inline constexpr index_t chunked_from_tokens = 12;

/// Tokens whose keys and queries the recurrent form packs at a time: they and one tile of the state
/// fit into the L1 cache or near it.
inline constexpr index_t recurrent_tokens = 16;

/// Rows of the state that a step with pending updates loads at a time, between as many rows of
/// arithmetic.
inline constexpr index_t pending_rows = 8;

/// Rows of the state that the chunked form copies at a time, for all panels of a head.
inline constexpr index_t state_rows = 8;

/// Streams in which the recurrent form fetches the next head's state, and a product with quantised
/// rows the next rows.
inline constexpr index_t fetch_streams = 4;
/// The same of a product with panels of them (8 tokens of Q8_0, Sapphire Rapids: 2105 and 2252 us
/// with 2 and 4).
inline constexpr index_t panel_fetch_streams = 2;

/// Eighths of the next state that it asks for in the first of its two sweeps, whose own loads need
/// the core's few fill buffers too. Of states in 16 bits less: the second sweep is the longer one
/// (Sapphire Rapids: 82, 79 and 82 us a token with 4, 2 and 1).
template <class S>
inline constexpr index_t fetch_eighths = sizeof(S) < 4 ? 2 : 4;

/// Rows of its own tile that it brings into the L1 cache ahead. Of 16 bits a tile is half as large
/// and stays there.
template <class S>
inline constexpr index_t recurrent_rows_ahead = sizeof(S) < 4 ? 0 : 16;

/// Channels of one convolution task at most: their weights stay in the L1 cache.
inline constexpr index_t conv_channels = 256;

/// Rows of the batch that a convolution task takes: few enough that their pages stay in the TLB
/// while the channel blocks go by.
inline constexpr index_t conv_rows = 64;

/// Tokens that the convolution computes at once: an input is loaded once for all of them.
inline constexpr int conv_tokens = 4;

/// Batches whose activations are computed step by step together, as exponentials; their divisions
/// come a step later. More of them fill the scheduler with what waits (gated norm, Sapphire Rapids:
/// 13.7 and 14.4 cycles a vector with 2 and 4).
inline constexpr int activation_batches = 2;

/// How many rows ahead the gated norm fetches.
inline constexpr index_t norm_rows_ahead = 8;

/// Elements that a task of an elementwise op reads at least, so that handing it out is not what
/// costs.
inline constexpr index_t elements_per_task = 8192;

/// Value heads whose gate constants a gates task computes at once.
inline constexpr index_t gate_heads = 64;

/// Tasks that a delta-rule call is split into at least, per worker, if it has so many columns.
inline constexpr index_t tasks_per_worker = 2;

/// A task takes several neighbouring key heads along a sequence, chunk by chunk, as long as their
/// states are no larger: a quarter of the second-level cache of cores with AVX-512, half of that of
/// others. Rows of a token are then read in longer pieces (16 / 32 heads, T 1024, Sapphire Rapids:
/// 2085 and 2031 cycles a token-head with 1 and 2 key heads of 128, 652 and 619 with 1 and 8 of
/// 64).
template <class Arch>
inline constexpr index_t task_state_bytes = 192 * 1024;

/// Chunks are prepared ahead where the columns of a key head are cut into so many parts: with
/// fewer, preparing them again in each part is as cheap as fetching them (at 16 / 32 heads of 128
/// and T 2048 a token costs in all 48.4 and 47.7 us with 4 parts, 58.2 and 49.6 us with 8).
inline constexpr index_t prepared_from_parts = 4;

/// A window has room for this many chunks of a key head per worker: all that one worker adds stays
/// in its second-level cache.
inline constexpr index_t records_per_worker = 16;

/// Chunks of every sequence that a window has at least, so that its two steps are worth waiting
/// for.
inline constexpr index_t least_window_chunks = 4;

/// Chunks that a task prepares.
inline constexpr index_t prepared_chunks = 4;

/// The register tile of the chunked form: rows times batches accumulators, the batches of one row
/// of B and one broadcast element of A have to fit into the registers, and the accumulators have to
/// cover the latency of multiply-adds. With 32 registers 16 of them do, at 10 loads for 16
/// multiply-adds; more would only be more code.
template <class Arch>
inline constexpr int tile_rows = n_registers<Arch> == 32 ? 8 : 6;
template <class Arch>
inline constexpr int tile_batches = 2;
static_assert(tile_rows<default_arch> * tile_batches<default_arch> + tile_batches<default_arch> +
                  1 <=
              n_registers<default_arch>);

/// Batches of state columns that the recurrent form takes along a sequence: d_k rows of them stay
/// in the L1 cache, and two accumulators for each hide the latency of the multiply-adds.
template <class Arch>
inline constexpr int recurrent_batches = 4;
static_assert(recurrent_batches<default_arch> % tile_batches<default_arch> == 0);

/// Products with quantised weights: rows that a task takes, at least.
inline constexpr index_t block_task_rows = 64;
/// The register tile of a panel: vectors of rows, and tokens.
inline constexpr index_t block_panel_batches = 2;
template <class Arch>
inline constexpr index_t block_tokens = 4;
/// Up to so many tokens go straight from the blocks of whole rows through the registers, without a
/// panel. Of Q6_K fewer: with the columns of three pieces of memory there are too few registers
/// (4 tokens, Sapphire Rapids: 1945 and 1785 us without and with a panel).
template <WeightFormat F>
inline constexpr index_t block_row_tokens = F == WeightFormat::q6_k ? 2 : 4;
static_assert((block_tokens<default_arch> + 1) * block_panel_batches + 1 <=
              n_registers<default_arch>);

/// Products with weights that are plain numbers: rows that a task takes, at least.
inline constexpr index_t row_task_rows = 48;
/// Their register tile, rows and tokens: one accumulator each, of which the lanes are summed at the
/// end. More rows would load a token's elements less often, which come from the second-level cache.
template <class Arch>
inline constexpr int row_tile_rows = n_registers<Arch> == 32 ? 6 : 4;
template <class Arch>
inline constexpr int row_tile_tokens = n_registers<Arch> == 32 ? 4 : 2;
static_assert(row_tile_rows<default_arch> * row_tile_tokens<default_arch> +
                  row_tile_tokens<default_arch> + 1 <=
              n_registers<default_arch>);
/// Elements of a row that are kept as floats for all tokens: with the tokens of a tile they fit
/// into the L1 cache.
inline constexpr index_t row_part = 512;
/// Tokens that rows are multiplied by, one after the other, at most: their sums and a panel's
/// floats share the L1 cache, and the packed tokens take half of the second-level cache of cores
/// with AVX-512 (Sapphire Rapids, 512 tokens of 2048: 372, 360 and 369 us a token with 128, 64 and
/// 96).
inline constexpr index_t row_tokens = 64;
inline constexpr index_t row_token_bytes = 1024 * 1024;

}  // namespace deltanet::cpu::tuning
