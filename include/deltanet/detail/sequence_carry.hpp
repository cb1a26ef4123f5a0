// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the pieces of a sequence pass on to each other (parallel/sequence_parallel.hpp), and the
/// memory that one piece needs for it.
///
/// Of the convolution the last W - 1 inputs, which may reach back over several short pieces. Of the
/// recurrent state, per value head, how the piece as a whole maps the state before it to the state
/// behind it:
///   S' = M S + L                     M [d_k, d_k], L [d_k, d_v]
/// L is what a scan from zeros leaves and M what a scan with v = 0 makes of the identity. They
/// travel as one record [d_k + d_v, d_k] = [M; L^T], and states as S^T: then S^T -> S^T M^T + L^T
/// and the reads o += S^T m are products with the rows of a weight matrix.
#pragma once

#include <deltanet/detail/layer_buffers.hpp>
#include <deltanet/detail/token_blocks.hpp>
#include <deltanet/layer_config.hpp>
#include <deltanet/linear/eigen.hpp>
#include <deltanet/workspace.hpp>

#include <algorithm>
#include <span>

namespace deltanet::detail {

/// Laid out by the same code that says how much it takes.
struct SequenceBuffers {
    View<float, 3> conv;       ///< [1, W - 1, conv_dim], the state that the piece runs on
    View<float, 3> tails;      ///< [world, W - 1, conv_dim], last inputs of the pieces
    View<float, 2> tail;       ///< [W - 1, conv_dim], of this one
    View<float, 4> state;      ///< [1, H_v, d_k, d_v], of the scan
    View<float, 3> record;     ///< [H_v, d_k + d_v, d_k], of this piece
    View<float, 4> records;    ///< [world, H_v, d_k + d_v, d_k]
    View<float, 3> incoming;   ///< [H_v, d_v, d_k], S^T
    View<float, 3> next;       ///< [H_v, d_v, d_k]
    View<float, 3> reads;      ///< [n_tokens, H_v, d_k], m: what each query makes of a state before
    std::span<index_t> reach;  ///< [H_v], first tokens of the piece that read from the state before
    View<float, 2> decay_log;  ///< [n_tokens, H_v], with kToZero where the state before is gone
    View<float, 1> zeros;      ///< [d_k]
    std::span<std::byte> rule;  ///< scratch of the delta rule
    index_t worker_bytes;
    std::span<std::byte> products;  ///< of `worker_bytes` for each worker

    static constexpr index_t kTokenBlock = 64;
    /// Logarithm of a decay behind which a state counts as gone, 9e-27 of it: no float32 sum that
    /// a norm with an epsilon looks at shows the difference. It also keeps M out of the subnormal
    /// numbers, below e^-87, which are very slow.
    static constexpr float kGone = -60.0F;
    static constexpr float kToZero = -1000.0F;  ///< as a decay: makes 0 of anything

    SequenceBuffers(const LayerConfig& c, index_t n_tokens, index_t world, index_t concurrency,
                    index_t rule_bytes, Carver& carver)
        : conv(carver.take<float, 3>({1, c.conv_taps(), c.conv_dim()})),
          tails(carver.take<float, 3>({world, c.conv_taps(), c.conv_dim()})),
          tail(carver.take<float, 2>({c.conv_taps(), c.conv_dim()})),
          state(carver.take<float, 4>({1, c.n_heads_v, c.d_k, c.d_v})),
          record(carver.take<float, 3>({c.n_heads_v, c.d_k + c.d_v, c.d_k})),
          records(carver.take<float, 4>({world, c.n_heads_v, c.d_k + c.d_v, c.d_k})),
          incoming(carver.take<float, 3>({c.n_heads_v, c.d_v, c.d_k})),
          next(carver.take<float, 3>({c.n_heads_v, c.d_v, c.d_k})),
          reads(heads(padded_rows(carver, n_tokens, c.n_heads_v * c.d_k), 0, c.n_heads_v, c.d_k)),
          reach(carver.take_span<index_t>(c.n_heads_v)),
          decay_log(carver.take<float, 2>({n_tokens, c.n_heads_v})),
          zeros(carver.take<float, 1>({c.d_k})),
          rule(carver.take_bytes(rule_bytes), static_cast<std::size_t>(rule_bytes)),
          worker_bytes((product_bytes(c) + kTokenBlock * c.d_v * index_t{sizeof(float)} + 63) / 64 *
                       64),
          products(carver.take_bytes(concurrency * worker_bytes),
                   static_cast<std::size_t>(concurrency * worker_bytes)) {}

    /// Scratch of the two products that a worker does: a state by M, and outputs by a state.
    [[nodiscard]] static index_t product_bytes(const LayerConfig& c) {
        const float unread = 0.0F;  // sizes alone are asked for
        const EigenLinear transition(View<const float, 2>(&unread, {c.d_k, c.d_k}));
        const EigenLinear state(View<const float, 2>(&unread, {c.d_v, c.d_k}));
        return std::max(transition.scratch_bytes(c.d_v, 1), state.scratch_bytes(kTokenBlock, 1));
    }
    /// M of this piece, as the states [1, H_v, d_k, d_k] that a delta rule works on.
    [[nodiscard]] View<float, 4> transition() const noexcept {
        const index_t d_k = record.size(2);
        return {record.data(),
                {1, record.size(0), d_k, d_k},
                {record.count(), record.stride(0), d_k, 1}};
    }
    /// L^T of a record.
    [[nodiscard]] static View<float, 3> local(View<float, 3> record) noexcept {
        const index_t d_k = record.size(2);
        return record.slice(1, d_k, record.size(1) - d_k);
    }
};

/// Finds how far into the piece the state before it reaches, per head, and decays that end it
/// there. Returns the tokens that a scan from the identity has to go through.
inline index_t find_reach(const SequenceBuffers& b, View<const float, 2> decay_log) {
    const index_t n_tokens = decay_log.size(0);
    index_t needed = 0;
    for (index_t h = 0; h < decay_log.size(1); ++h) {
        float sum = 0.0F;
        index_t reach = n_tokens;
        for (index_t t = 0; t < n_tokens; ++t) {
            b.decay_log(t, h) = decay_log(t, h);
            sum += decay_log(t, h);
            if (reach < n_tokens || sum >= SequenceBuffers::kGone) continue;
            reach = t;
            b.decay_log(t, h) = SequenceBuffers::kToZero;
        }
        b.reach[static_cast<std::size_t>(h)] = reach;
        needed = std::max(needed, std::min(n_tokens, reach + 1));
    }
    return needed;
}

/// The last W - 1 inputs before piece `rank`: out [W - 1, conv_dim]. The first piece's tail reaches
/// back into what was before the sequence; of another piece as many rows count as it has tokens.
template <class TokensOf>
void inputs_before(index_t rank, View<const float, 3> tails, const TokensOf& n_tokens,
                   View<float, 2> out) {
    index_t missing = out.size(0);
    for (index_t r = rank - 1; r >= 0 && missing > 0; --r) {
        const index_t taps = tails.size(1);
        const index_t rows = std::min(missing, r == 0 ? taps : std::min(taps, n_tokens(r)));
        missing -= rows;
        for (index_t i = 0; i < rows; ++i)
            std::copy_n(tails.ptr(r, taps - rows + i), out.size(1), out.ptr(missing + i));
    }
}

/// S^T behind piece `rank` out of S^T before it, in place.
template <Executor E>
void pass_piece(index_t rank, const SequenceBuffers& b, E& executor) {
    const index_t d_k = b.record.size(2), d_v = b.incoming.size(1);
    executor.parallel_for(b.incoming.size(0), [&](index_t h, index_t worker) {
        const View<float, 2> record = b.records[rank][h];
        const View<float, 2> before = b.incoming[h], behind = b.next[h];
        if (rank > 0) {
            SequentialExecutor alone;
            const auto bytes = static_cast<std::size_t>(b.worker_bytes);
            EigenLinear(record.slice(0, 0, d_k))(
                before, behind, b.products.subspan(static_cast<std::size_t>(worker) * bytes, bytes),
                alone);
            accumulate(1.0F, behind, record.slice(0, d_k, d_v));
        }
        for (index_t j = 0; j < d_v; ++j) std::copy_n(record.ptr(d_k + j), d_k, before.ptr(j));
    });
}

/// What the state before the piece adds to its outputs [n_tokens, H_v, d_v].
template <Executor E>
void add_reads(const SequenceBuffers& b, View<float, 3> outputs, E& executor) {
    const index_t d_v = b.incoming.size(1);
    executor.parallel_for(b.incoming.size(0), [&](index_t h, index_t worker) {
        SequentialExecutor alone;
        std::byte* const memory = b.products.data() + worker * b.worker_bytes;
        const index_t product_bytes =
            SequenceBuffers::kTokenBlock * d_v * static_cast<index_t>(sizeof(float));
        const EigenLinear state(b.incoming[h]);
        const auto of_head = [h](const View<float, 3>& rows, index_t first, index_t n) {
            return View<float, 2>(rows.ptr(first, h), {n, rows.size(2)}, {rows.stride(0), 1});
        };
        for_each_token_block(
            b.reach[static_cast<std::size_t>(h)], SequenceBuffers::kTokenBlock,
            [&](index_t first, index_t n) {
                const View<float, 2> product(reinterpret_cast<float*>(memory), {n, d_v});
                state(of_head(b.reads, first, n), product,
                      {memory + product_bytes,
                       static_cast<std::size_t>(b.worker_bytes - product_bytes)},
                      alone);
                accumulate(1.0F, product, of_head(outputs, first, n));
            });
    });
}

}  // namespace deltanet::detail
