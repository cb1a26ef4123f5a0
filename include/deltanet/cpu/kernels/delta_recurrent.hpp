// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The delta rule token by token over a tile of state columns, in the form that reads the old state
/// once:
///   p = S^T k     m = S^T q     u = beta (v - e^g p)     o = scale (e^g m + (k.q) u)     S = e^g S
///   + k u^T
/// or, with a decay per key channel,
///   p = S^T (e^g k)     m = S^T (e^g q)     u = beta (v - p)     o = scale (m + (k.q) u)
/// One sweep over the rows of the tile gives p and m, a second one writes. State columns never mix,
/// so tiles are independent. Every token is computed the same way wherever its sequence is cut:
/// bit-equal.
#pragma once

#include <deltanet/cpu/kernels/gate_kind.hpp>
#include <deltanet/cpu/scratch.hpp>
#include <deltanet/cpu/state_panel.hpp>
#include <deltanet/cpu/tuning.hpp>

#include <type_traits>
#include <utility>

namespace deltanet::cpu::kernels {

/// Columns of a tile at most.
template <class Arch, class T>
inline constexpr index_t recurrent_cols = tuning::recurrent_batches<Arch>* lanes<Arch, T>;

/// The scratch memory of one worker, as arrays inside one block that is aligned to 64 bytes.
template <class Arch, class T>
struct RecurrentScratch {
    T* k;      ///< [recurrent_tokens, d_k]
    T* q;      ///< [recurrent_tokens, d_k]
    T* kq;     ///< [recurrent_tokens]: k . q
    T* state;  ///< [d_k, recurrent_cols]
    // With a decay per key channel only:
    T* decay;   ///< [recurrent_tokens, d_k]: e^g
    T* read_k;  ///< [recurrent_tokens, d_k]: e^g k
    T* read_q;  ///< [recurrent_tokens, d_k]: e^g q

    [[nodiscard]] static constexpr index_t bytes(GateKind gate, index_t d_k) noexcept {
        RecurrentScratch none{};
        return none.carve(nullptr, gate, d_k);
    }

    /// Points into `memory`; returns the bytes taken, a multiple of 64.
    constexpr index_t carve(T* memory, GateKind gate, index_t d_k) noexcept {
        ScratchCarver<T> carver(memory);
        k = carver.take(tuning::recurrent_tokens * d_k);
        q = carver.take(tuning::recurrent_tokens * d_k);
        kq = carver.take(tuning::recurrent_tokens);
        state = carver.take(d_k * recurrent_cols<Arch, T>);
        if (gate == GateKind::per_channel) {
            for (T** rows : {&decay, &read_k, &read_q})
                *rows = carver.take(tuning::recurrent_tokens * d_k);
        }
        return carver.bytes();
    }
};

/// k, q [n_tokens, d_k] with token strides -> scratch k, q, kq. Dense, because every tile of every
/// value head reads them again, and rows of a model's tensors collide in the cache.
template <class Arch, class T>
DELTANET_KERNEL void recurrent_pack(const T* k, index_t k_stride, const T* q, index_t q_stride,
                                    index_t n_tokens, index_t d_k,
                                    const RecurrentScratch<Arch, T>& scratch) noexcept {
    for (index_t t = 0; t < n_tokens; ++t) {
        copy<Arch>(k + t * k_stride, scratch.k + t * d_k, d_k);
        copy<Arch>(q + t * q_stride, scratch.q + t * d_k, d_k);
        scratch.kq[t] = dot<Arch>(k + t * k_stride, q + t * q_stride, d_k);
    }
}

/// decay_log [n_tokens, d_k] with a token stride, packed k and q -> scratch decay, read_k, read_q.
template <class Arch, class T>
void recurrent_pack_channels(const T* decay_log, index_t decay_stride, index_t n_tokens,
                             index_t d_k, const RecurrentScratch<Arch, T>& scratch) noexcept {
    for (index_t t = 0; t < n_tokens; ++t) {
        const index_t row = t * d_k;
        for_each_vector<Arch, T>(d_k, [&](index_t i, auto count) noexcept {
            const auto decay = cpu::exp(load<Arch>(decay_log + t * decay_stride + i, count));
            store<Arch>(scratch.decay + row + i, decay, count);
            store<Arch>(scratch.read_k + row + i, decay * load<Arch>(scratch.k + row + i, count),
                        count);
            store<Arch>(scratch.read_q + row + i, decay * load<Arch>(scratch.q + row + i, count),
                        count);
        });
    }
}

/// Columns [0, width) of one value head along one stretch of a sequence. Strides in elements. S:
/// what the state is stored as.
template <class T, class S>
struct RecurrentTile {
    const T* v;  ///< [n_tokens, width]
    index_t v_stride;
    const T* decay_log;  ///< [n_tokens]; with a decay per key channel not read
    index_t decay_stride;
    const T* beta;  ///< [n_tokens]
    index_t beta_stride;
    StateColumns<S> state;  ///< [d_k, width], read and written
    T* output;              ///< [n_tokens, width]
    index_t output_stride;
    const S* next;  ///< [d_k * width] to be fetched meanwhile; null for none
    index_t width;  ///< 1 to recurrent_cols
    index_t n_tokens;
    index_t d_k;
    T scale;
    bool is_first;  ///< stretch of its sequence: the state is read from the slot
    bool is_last;   ///< and written to it behind the last one; in between it is in the scratch tile
};

/// One token's columns in registers. Folds, not loops: see gemm_micro.hpp.
template <class Arch, class T, int Batches>
struct RecurrentStep {
    using Batch = xsimd::batch<T, Arch>;
    Batch p[static_cast<std::size_t>(Batches)];  ///< S^T k, then u
    Batch m[static_cast<std::size_t>(Batches)];  ///< S^T q

    /// p += k s, m += q s for one row of the state.
    template <class S, int... B>
    DELTANET_FORCE_INLINE void read_row(const S* s, const Batch& k, const Batch& q,
                                        std::integer_sequence<int, B...>) noexcept {
        (read_batch(load<Arch>(s + B * lanes<Arch, T>), k, q, p[B], m[B]), ...);
    }
    DELTANET_FORCE_INLINE static void read_batch(Batch s, const Batch& k, const Batch& q,
                                                 Batch& p_acc, Batch& m_acc) noexcept {
        compat::keep_in_register(s);
        p_acc = compat::fma(k, s, p_acc);
        m_acc = compat::fma(q, s, m_acc);
    }

    /// to = e^g from + k u for one row of the state.
    template <class From, class To, int... B>
    DELTANET_FORCE_INLINE void write_row(const From* from, To* to, const Batch& k,
                                         const Batch& decay,
                                         std::integer_sequence<int, B...>) const noexcept {
        const Batch row[] = {
            compat::fma(k, p[B], decay * load<Arch>(from + B * lanes<Arch, T>))...};
        store_row<Arch>(to, row);
    }

    DELTANET_FORCE_INLINE void clear() noexcept {
        for (int b = 0; b < Batches; ++b) p[b] = m[b] = Batch(T(0));
    }
};

/// Asks for the lines of the next state, half a tile row at a time. They walk through a few streams
/// side by side, each in the order of its addresses: memory serves that fastest (on a Zen 3 core
/// 124 us against 145 us with one stream and 180 us without, 16 / 32 heads of 128).
template <index_t Cols, class S>
class NextState {
  public:
    DELTANET_FORCE_INLINE NextState(const S* next, index_t d_k) noexcept
        : next_(next), halves_(kHalves * d_k) {}

    /// What is still missing of so many eighths of rows.
    DELTANET_FORCE_INLINE void fetch_until(index_t eighths) noexcept {
        for (const index_t due = eighths * kHalves / 8; asked_ < due; ++asked_) {
            const S* const from =
                next_ + (asked_ % kStreams * per_stream() + asked_ / kStreams) * kStep;
            for (index_t c = 0; c < kStep; c += kLine) __builtin_prefetch(from + c, 0, 2);
        }
    }

  private:
    static constexpr index_t kStreams = tuning::fetch_streams;
    static constexpr index_t kLine = 64 / static_cast<index_t>(sizeof(S));
    static constexpr index_t kHalves = Cols >= 2 * kLine ? 2 : 1;  // a row may be a single line
    static constexpr index_t kStep = (Cols / kHalves + kLine - 1) / kLine * kLine;

    [[nodiscard]] DELTANET_FORCE_INLINE index_t per_stream() const noexcept {
        return (halves_ + kStreams - 1) / kStreams;
    }

    const S* next_;
    index_t halves_;
    index_t asked_ = 0;
};

/// Brings what a tile is about to use into the L1 cache. Multiply-adds that wait for the L2 cache
/// fill the scheduler, and then what stands behind them, the lines of the next state, is not asked
/// for either (Sapphire Rapids, float32: 0.885 and 0.91 of the bandwidth of updates with rows
/// ahead; 0.93 with v and the output, too).
template <index_t Cols, class S>
struct TileAhead {
    const S* from;
    index_t stride;
    index_t d_k;

    /// The row so many rows further on.
    DELTANET_FORCE_INLINE void row(index_t i) const noexcept {
        lines<0>(from + most(0, least(i, d_k - 1)) * stride);
    }
    template <int Write, class T>
    DELTANET_FORCE_INLINE static void lines(const T* p) noexcept {
        for (index_t c = 0; c < Cols; c += 64 / static_cast<index_t>(sizeof(T)))
            __builtin_prefetch(p + c, Write, 3);
    }
};

/// One token: reads the state from `from` and writes it to `to`, which may be the same. Fetch: the
/// memory of the next state is asked for meanwhile, a quarter of it in the first sweep, whose own
/// loads need the core's few fill buffers too (Sapphire Rapids, states in 16 bits: 82 and 79 us a
/// token with a half and a quarter). The second sweep goes backwards: what the first one left in
/// the L1 cache are the last rows.
template <class Arch, class T, int Batches, GateKind Gate, bool Fetch, class S, class From,
          class To>
DELTANET_KERNEL void recurrent_token(const RecurrentTile<T, S>& tile,
                                     const RecurrentScratch<Arch, T>& scratch, index_t t,
                                     const From* from, index_t from_stride, To* to,
                                     index_t to_stride) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr auto all = std::make_integer_sequence<int, Batches>{};
    constexpr bool per_channel = Gate == GateKind::per_channel;
    const T* const k = scratch.k + t * tile.d_k;
    const T* const read_k = per_channel ? scratch.read_k + t * tile.d_k : k;
    const T* const read_q = (per_channel ? scratch.read_q : scratch.q) + t * tile.d_k;
    const T* const row_decay = per_channel ? scratch.decay + t * tile.d_k : nullptr;
    const T* const v = tile.v + t * tile.v_stride;
    T* const o = tile.output + t * tile.output_stride;
    // Of what was read, and of every row.
    const Batch decay =
        per_channel ? Batch(T(1)) : cpu::exp(Batch(tile.decay_log[t * tile.decay_stride]));
    const Batch beta(tile.beta[t * tile.beta_stride]);
    const Batch scale(tile.scale);
    const Batch kq(scratch.kq[t]);

    RecurrentStep<Arch, T, Batches> step;
    step.clear();
    [[maybe_unused]] NextState<Batches * lanes<Arch, T>, S> next(tile.next, tile.d_k);
    constexpr index_t first = tuning::fetch_eighths<S>;
    [[maybe_unused]] constexpr index_t rows = tuning::recurrent_rows_ahead<S>;
    using Ahead = TileAhead<Batches * lanes<Arch, T>, From>;
    [[maybe_unused]] const Ahead ahead{from, from_stride, tile.d_k};
    if constexpr (Fetch) {
        Ahead::template lines<0>(v);
        Ahead::template lines<1>(o);
    }
    for (index_t i = 0; i < tile.d_k; ++i) {
        if constexpr (Fetch) {
            next.fetch_until(first * (i + 1));
            if constexpr (rows > 0) ahead.row(i + rows);
        }
        step.read_row(from + i * from_stride, Batch(read_k[i]), Batch(read_q[i]), all);
    }
    const auto outputs = [&](auto width) noexcept {
        for (int b = 0; b < Batches; ++b) {
            const index_t column = b * lanes<Arch, T>;
            const index_t count = width - column;
            const Batch u = beta * compat::fma(-decay, step.p[b], load<Arch>(v + column, count));
            store<Arch>(o + column, scale * compat::fma(kq, u, decay * step.m[b]), count);
            step.p[b] = u;
        }
    };
    constexpr std::integral_constant<index_t, Batches * lanes<Arch, T>> whole;
    tile.width == whole ? outputs(whole) : outputs(tile.width);
    for (index_t i = tile.d_k - 1; i >= 0; --i) {
        if constexpr (Fetch) {
            next.fetch_until(8 * tile.d_k - (8 - first) * i);
            if constexpr (rows > 0) ahead.row(i - rows);
        }
        step.write_row(from + i * from_stride, to + i * to_stride, Batch(k[i]),
                       per_channel ? Batch(row_decay[i]) : decay, all);
    }
}

/// All tokens. In between the state lives in the scratch tile: dense rows, which do not fight for
/// cache sets as the rows of the slot do, in the type of the arithmetic, so that a state stored in
/// 16 bits is rounded once. One token goes straight from slot to slot.
template <class Arch, class T, int Batches, GateKind Gate, class S>
void recurrent_tokens(const RecurrentTile<T, S>& tile,
                      const RecurrentScratch<Arch, T>& scratch) noexcept {
    constexpr index_t cols = Batches * lanes<Arch, T>;
    // Only the widest tiles, which is all of most models, fetch ahead and convert on their way.
    constexpr bool widest = Batches == tuning::recurrent_batches<Arch>;
    const auto token = [&](index_t t, auto* from, index_t from_stride, auto* to,
                           index_t to_stride) noexcept {
        if constexpr (widest) {
            if (tile.next != nullptr && t == 0) {
                return recurrent_token<Arch, T, Batches, Gate, true>(tile, scratch, t, from,
                                                                     from_stride, to, to_stride);
            }
        }
        recurrent_token<Arch, T, Batches, Gate, false>(tile, scratch, t, from, from_stride, to,
                                                       to_stride);
    };
    const bool ragged = tile.width != cols;
    [[maybe_unused]] S* const slot = tile.state.data;
    [[maybe_unused]] const index_t slot_stride = tile.state.stride;
    if constexpr ((widest && !std::is_same_v<S, i8>) || std::is_same_v<S, T>) {
        if (!ragged && tile.n_tokens == 1 && tile.is_first && tile.is_last)
            return token(0, slot, slot_stride, slot, slot_stride);
    }
    if constexpr (std::is_same_v<S, T>) {
        if (!ragged) {  // the first and the last token do the copying
            for (index_t t = 0; t < tile.n_tokens; ++t) {
                const bool from_slot = tile.is_first && t == 0;
                const bool to_slot = tile.is_last && t + 1 == tile.n_tokens;
                token(t, from_slot ? slot : scratch.state, from_slot ? slot_stride : cols,
                      to_slot ? slot : scratch.state, to_slot ? slot_stride : cols);
            }
            return;
        }
    }
    if (tile.is_first)
        load_state_panel<Arch, cols>(tile.state, tile.width, tile.d_k, scratch.state);
    for (index_t t = 0; t < tile.n_tokens; ++t) token(t, scratch.state, cols, scratch.state, cols);
    if (tile.is_last)
        store_state_panel<Arch, cols>(scratch.state, tile.state, tile.width, tile.d_k);
}

template <class Arch, class T, class S, GateKind Gate>
void delta_recurrent(const RecurrentTile<T, S>& tile,
                     const RecurrentScratch<Arch, T>& scratch) noexcept {
    const index_t batches = (tile.width + lanes<Arch, T> - 1) / lanes<Arch, T>;
    [&]<int... B>(std::integer_sequence<int, B...>) noexcept {
        (void)((batches == B + 1 &&
                (recurrent_tokens<Arch, T, B + 1, Gate>(tile, scratch), true)) ||
               ...);
    }
    (std::make_integer_sequence<int, tuning::recurrent_batches<Arch>>{});
}

}  // namespace deltanet::cpu::kernels
