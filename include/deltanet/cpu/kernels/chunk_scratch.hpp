// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Memory of the chunked delta rule, as arrays inside blocks that are aligned to 64 bytes. C: the
/// most tokens of a chunk. The operands of products stand in words of `Products`, of which n rows
/// take words(n). What is prepared before the state is touched has a block of its own, so that it
/// can be prepared by one worker and used by others.
#pragma once

#include <deltanet/cpu/kernels/gate_kind.hpp>
#include <deltanet/cpu/products.hpp>
#include <deltanet/cpu/scratch.hpp>
#include <deltanet/cpu/tuning.hpp>

namespace deltanet::cpu::kernels {

/// Of a chunk and a key head; with a decay per key channel of a chunk and a value head, and
/// decayed: the first two are read from the state before the chunk, the third is written behind it.
/// Rows are dense and padded to whole lines, with zeros; behind the last token is anything. A
/// model's own rows lie too far apart, often in the same few sets of the cache.
template <class T>
struct ChunkKeys {
    T* k_words;      ///< [C, row_words(d_k)]: contracted over d_k
    T* q_words;      ///< [C, row_words(d_k)]
    T* write_words;  ///< contracted over tokens: in pairs [words(C), write_stride(d_k)], else
                     ///< [C, write_stride(d_k)], which without decays is k_words
};

/// Of a chunk and a value head. The factors of the decays are 1 where `ChunkKeys` has them.
template <class T>
struct ChunkGates {
    T* minus_a;  ///< [C, C], strictly lower triangle; the rest is 0
    T* p_words;  ///< [C, words(C)], lower triangle and diagonal; the rest is 0
    T* beta;     ///< [C]
    T* read_k;   ///< [C]: -beta_i e^{G_i}
    T* read_q;   ///< [C]: scale e^{G_i}
    T* write;    ///< [C]: e^{G_C - G_i}
    T* total;    ///< [d_k]: e^{G_C}, of each row of the state
};

/// What one worker needs: room for a chunk's keys and gates, and everything else.
template <class Arch, class T, index_t C, class Products>
struct ChunkScratch : ChunkKeys<T>, ChunkGates<T> {
    using Keys = ChunkKeys<T>;
    using Gates = ChunkGates<T>;
    static constexpr index_t chunk = C;
    static constexpr index_t panel_cols = tuning::tile_batches<Arch> * lanes<Arch, T>;
    static constexpr bool in_pairs = Products::depth == 2;

    [[nodiscard]] static constexpr index_t words(index_t n) noexcept {
        return (n + Products::depth - 1) / Products::depth;
    }

    /// Words from a row to the next of `k_words` and `q_words`: whole lines.
    [[nodiscard]] static constexpr index_t row_words(index_t d_k) noexcept {
        return whole_lines(words(d_k));
    }
    /// And of `write_words`.
    [[nodiscard]] static constexpr index_t write_stride(index_t d_k) noexcept {
        return whole_lines(d_k);
    }

    T* kk;             ///< [C, C], lower triangle
    T* qk;             ///< [C, C], lower triangle and diagonal
    T* p;              ///< [C, C]; p_words itself if not in pairs
    T* decay_of;       ///< [C]: e^{g_i}
    T* u;              ///< [C, panel_cols]
    T* u_words;        ///< [words(C), panel_cols]
    T* u_write;        ///< [C, panel_cols]: e^{G_C - G_i} u_i
    T* u_write_words;  ///< [words(C), panel_cols]
    T* state_words;    ///< [words(d_k), panel_cols], in pairs only: of the panel at hand
    T* state;          ///< [panels, d_k, panel_cols]: of all value heads, from chunk to chunk
    // With a decay per key channel only:
    T* read_keys;     ///< [C, write_stride(d_k)]: e^{G_i} k_i; if not in pairs k_words itself
    T* read_queries;  ///< [C, write_stride(d_k)]: e^{G_i} q_i; or q_words
    T* write_keys;    ///< [C, write_stride(d_k)]: e^{G_C - G_i} k_i; or write_words
    T* decay;         ///< [d_k]: e^g of the token at hand

    /// For `panels` panels of state.
    [[nodiscard]] static constexpr index_t bytes(GateKind gate, index_t d_k,
                                                 index_t panels) noexcept {
        ChunkScratch none{};
        return none.carve(nullptr, gate, d_k, panels);
    }

    /// Points into `memory`; returns the bytes taken, a multiple of 64.
    constexpr index_t carve(T* memory, GateKind gate, index_t d_k, index_t panels) noexcept {
        ScratchCarver<T> carver(memory);
        for (T** square : {&kk, &qk}) *square = carver.take(C * C);
        decay_of = carver.take(C);
        for (T** rows : {&u, &u_write}) *rows = carver.take(C * panel_cols);
        state = carver.take(panels * d_k * panel_cols);
        if constexpr (in_pairs) {
            p = carver.take(C * C);
            for (T** rows : {&u_words, &u_write_words}) *rows = carver.take(words(C) * panel_cols);
            state_words = carver.take(words(d_k) * panel_cols);
        } else {
            u_words = u;
            u_write_words = u_write;
            state_words = nullptr;
        }
        if (gate == GateKind::per_channel) {
            if constexpr (in_pairs) {
                for (T** rows : {&read_keys, &read_queries, &write_keys})
                    *rows = carver.take(C * write_stride(d_k));
            }
            decay = carver.take(d_k);
        }
        use(carve_keys(carver, gate, d_k));
        use(carve_gates(carver, d_k));
        return carver.bytes();
    }

    [[nodiscard]] static constexpr Keys carve_keys(ScratchCarver<T>& carver, GateKind gate,
                                                   index_t d_k) noexcept {
        Keys keys{};
        keys.k_words = carver.take(C * row_words(d_k));
        keys.q_words = carver.take(C * row_words(d_k));
        keys.write_words = in_pairs || gate == GateKind::per_channel
                               ? carver.take(words(C) * write_stride(d_k))
                               : keys.k_words;
        return keys;
    }
    [[nodiscard]] static constexpr Gates carve_gates(ScratchCarver<T>& carver,
                                                     index_t d_k) noexcept {
        Gates gates{};
        gates.minus_a = carver.take(C * C);
        gates.p_words = carver.take(C * words(C));
        for (T** row : {&gates.beta, &gates.read_k, &gates.read_q, &gates.write})
            *row = carver.take(C);
        gates.total = carver.take(d_k);
        return gates;
    }

    /// Works on these from now on.
    constexpr void use(const Keys& keys) noexcept {
        static_cast<Keys&>(*this) = keys;
        if constexpr (!in_pairs) {
            read_keys = keys.k_words;
            read_queries = keys.q_words;
            write_keys = keys.write_words;
        }
    }
    constexpr void use(const Gates& gates) noexcept {
        static_cast<Gates&>(*this) = gates;
        if constexpr (!in_pairs) p = gates.p_words;
    }

  private:
    [[nodiscard]] static constexpr index_t whole_lines(index_t n) noexcept {
        constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
        return (n + line - 1) / line * line;
    }
};

/// What is prepared of one chunk and one key head with its value heads, in one block.
template <class Scratch, class T>
class ChunkRecord {
  public:
    [[nodiscard]] static constexpr index_t elements(GateKind gate, index_t d_k,
                                                    index_t heads) noexcept {
        const index_t n_keys = gate == GateKind::per_channel ? heads : 1;
        return n_keys * keys_elements(gate, d_k) + heads * gates_elements(d_k);
    }

    ChunkRecord(T* memory, GateKind gate, index_t d_k, index_t heads) noexcept
        : memory_(memory), gate_(gate), d_k_(d_k), heads_(heads) {}

    /// Of the key head, or of its head-th value head.
    [[nodiscard]] ChunkKeys<T> keys(index_t head) const noexcept {
        ScratchCarver<T> carver(memory_ + heads_ * gates_elements(d_k_) +
                                head * keys_elements(gate_, d_k_));
        return Scratch::carve_keys(carver, gate_, d_k_);
    }
    /// Of the head-th value head of the key head.
    [[nodiscard]] ChunkGates<T> gates(index_t head) const noexcept {
        ScratchCarver<T> carver(memory_ + head * gates_elements(d_k_));
        return Scratch::carve_gates(carver, d_k_);
    }

  private:
    [[nodiscard]] static constexpr index_t keys_elements(GateKind gate, index_t d_k) noexcept {
        ScratchCarver<T> carver(nullptr);
        static_cast<void>(Scratch::carve_keys(carver, gate, d_k));
        return carver.bytes() / static_cast<index_t>(sizeof(T));
    }
    [[nodiscard]] static constexpr index_t gates_elements(index_t d_k) noexcept {
        ScratchCarver<T> carver(nullptr);
        static_cast<void>(Scratch::carve_gates(carver, d_k));
        return carver.bytes() / static_cast<index_t>(sizeof(T));
    }

    T* memory_;
    GateKind gate_;
    index_t d_k_;
    index_t heads_;
};

}  // namespace deltanet::cpu::kernels
