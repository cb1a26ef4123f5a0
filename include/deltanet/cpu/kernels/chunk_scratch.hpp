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
template <class T>
struct ChunkKeys {
    T* kt_words;  ///< [words(d_k), C]: K transposed, contracted over d_k; anything behind the last
                  ///< token
    T* qt_words;  ///< [words(d_k), C]
    T* k_words;  ///< contracted over tokens: in pairs [words(C), d_k], else [d_k, C], which without
                 ///< decays is kt_words
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

    T* kt;             ///< [d_k, C]: K transposed; kt_words itself if not in pairs
    T* qt;             ///< [d_k, C]
    T* kk;             ///< [C, C], lower triangle
    T* qk;             ///< [C, C], lower triangle and diagonal
    T* p;              ///< [C, C]; p_words itself if not in pairs
    T* gate_log;       ///< [C]
    T* position;       ///< [C]: 0, 1, 2, ...
    T* u;              ///< [C, panel_cols]
    T* u_words;        ///< [words(C), panel_cols]
    T* u_write;        ///< [C, panel_cols]: e^{G_C - G_i} u_i
    T* u_write_words;  ///< [words(C), panel_cols]
    T* state_words;    ///< [words(d_k), panel_cols], in pairs only: of the panel at hand
    T* state;          ///< [panels, d_k, panel_cols]: of all value heads, from chunk to chunk
    // With a decay per key channel only:
    T* read_keys;     ///< [C, d_k]: e^{G_i} k_i
    T* read_queries;  ///< [C, d_k]: e^{G_i} q_i
    T* write_keys;    ///< [C, d_k]: e^{G_C - G_i} k_i
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
        for (T** row : {&gate_log, &position}) *row = carver.take(C);
        for (T** rows : {&u, &u_write}) *rows = carver.take(C * panel_cols);
        state = carver.take(panels * d_k * panel_cols);
        if constexpr (in_pairs) {
            for (T** keys : {&kt, &qt}) *keys = carver.take(d_k * C);
            p = carver.take(C * C);
            for (T** rows : {&u_words, &u_write_words}) *rows = carver.take(words(C) * panel_cols);
            state_words = carver.take(words(d_k) * panel_cols);
        } else {
            u_words = u;
            u_write_words = u_write;
            state_words = nullptr;
        }
        if (gate == GateKind::per_channel) {
            for (T** rows : {&read_keys, &read_queries, &write_keys}) *rows = carver.take(C * d_k);
            decay = carver.take(d_k);
        }
        use(carve_keys(carver, gate, d_k));
        use(carve_gates(carver, d_k));
        return carver.bytes();
    }

    [[nodiscard]] static constexpr Keys carve_keys(ScratchCarver<T>& carver, GateKind gate,
                                                   index_t d_k) noexcept {
        Keys keys{};
        keys.kt_words = carver.take(words(d_k) * C);
        keys.qt_words = carver.take(words(d_k) * C);
        keys.k_words =
            in_pairs || gate == GateKind::per_channel ? carver.take(words(C) * d_k) : keys.kt_words;
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
            kt = keys.kt_words;
            qt = keys.qt_words;
        }
    }
    constexpr void use(const Gates& gates) noexcept {
        static_cast<Gates&>(*this) = gates;
        if constexpr (!in_pairs) p = gates.p_words;
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
