// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "chunk_prepare.cuh"
#include "chunk_scan.cuh"
#include "chunked_delta_rule.hpp"
#include "launch.cuh"

#include <algorithm>
#include <cmath>

namespace deltanet::cuda {
namespace {

/// Bytes of a window's records. They are written by one kernel and read by the next, and stay in
/// the second level of the cache where that is 40 MB and more.
constexpr index_t kWindowBytes = index_t{32} << 20;
/// Key heads of sequences that go through windows together, if they are longer than one window: a
/// bound of the states that wait between two windows.
constexpr index_t kWindowHeads = 64;

/// Sizes of a call.
struct ChunkSizes {
    index_t n_heads_k, d_k, d_v, heads_per_group;

    explicit ChunkSizes(const DeltaRuleArgs<float>& args) noexcept
        : n_heads_k(args.k.size(1)),
          d_k(args.k.size(2)),
          d_v(args.v.size(2)),
          heads_per_group(args.v.size(1) / args.k.size(1)) {}
    constexpr ChunkSizes(index_t k, index_t v, index_t r) noexcept
        : n_heads_k(1), d_k(k), d_v(v), heads_per_group(r) {}

    [[nodiscard]] constexpr index_t key_record_bytes() const noexcept {
        return 2 * kTokenTiles * (d_k / kTile) * static_cast<index_t>(sizeof(Tile));
    }
    /// What a chunk of a key head takes.
    [[nodiscard]] constexpr index_t record_bytes() const noexcept {
        return key_record_bytes() + heads_per_group * static_cast<index_t>(sizeof(HeadRecord));
    }
    /// What a key head's states take between windows.
    [[nodiscard]] constexpr index_t carry_bytes() const noexcept {
        return heads_per_group * d_k * d_v * static_cast<index_t>(sizeof(float));
    }
};

[[nodiscard]] index_t chunks_of(const SequenceSpan& sequence) noexcept {
    return (sequence.n_tokens + kChunk - 1) / kChunk;
}

/// Neighbouring sequences, some of their key heads, and how many of their chunks at a time.
struct ChunkGroup {
    std::span<const SequenceSpan> sequences;
    index_t longest = 0;  ///< chunks
    index_t first_key_head = 0;
    index_t n_key_heads = 0;
    index_t window_chunks = 0;

    [[nodiscard]] index_t heads() const noexcept {
        return static_cast<index_t>(sequences.size()) * n_key_heads;
    }
    [[nodiscard]] index_t bytes(const ChunkSizes& sizes) const noexcept {
        return heads() * (window_chunks * sizes.record_bytes() +
                          (window_chunks < longest ? sizes.carry_bytes() : 0));
    }
};

/// The next group: as many of `sequences` as fit with all of their chunks, and if not even one
/// does, some with as many chunks as there is room for.
[[nodiscard]] ChunkGroup next_group(std::span<const SequenceSpan> sequences,
                                    const ChunkSizes& sizes, index_t window_bytes,
                                    index_t all_bytes) noexcept {
    ChunkGroup group;
    group.n_key_heads = sizes.n_heads_k;
    const index_t records = window_bytes / sizes.record_bytes();
    std::size_t n = 0;
    index_t longest = 0;
    while (n < sequences.size() && n < std::size_t{SequenceTable::kCapacity}) {
        const index_t with = std::max(longest, chunks_of(sequences[n]));
        const auto heads = static_cast<index_t>(n + 1) * sizes.n_heads_k;
        if (heads * with > records) break;
        longest = with;
        ++n;
    }
    if (n > 0) {
        group.sequences = sequences.first(n);
        group.longest = group.window_chunks = longest;
        return group;
    }
    // Windows: what is left beside the states must hold a chunk of every head.
    const index_t each = sizes.record_bytes() + sizes.carry_bytes();
    const index_t heads = std::clamp<index_t>(all_bytes / each, 1, kWindowHeads);
    group.n_key_heads = std::min(sizes.n_heads_k, heads);
    n = static_cast<std::size_t>(std::max<index_t>(1, heads / sizes.n_heads_k));
    group.sequences = sequences.first(std::min(n, sequences.size()));
    for (const SequenceSpan& sequence : group.sequences)
        group.longest = std::max(group.longest, chunks_of(sequence));
    const index_t room = std::min(window_bytes, all_bytes - group.heads() * sizes.carry_bytes());
    group.window_chunks =
        std::clamp<index_t>(room / (group.heads() * sizes.record_bytes()), 1, group.longest);
    return group;
}

/// f(group) until all sequences are done, with all their key heads.
template <class F>
void for_each_group(std::span<const SequenceSpan> sequences, const ChunkSizes& sizes,
                    index_t window_bytes, index_t all_bytes, F&& f) {
    while (!sequences.empty()) {
        if (is_padding(sequences.front())) {
            sequences = sequences.subspan(1);
            continue;
        }
        std::size_t run = 1;
        while (run < sequences.size() && !is_padding(sequences[run])) ++run;
        ChunkGroup group = next_group(sequences.first(run), sizes, window_bytes, all_bytes);
        const index_t step = group.n_key_heads;
        for (index_t head = 0; head < sizes.n_heads_k; head += step) {
            group.first_key_head = head;
            group.n_key_heads = std::min(step, sizes.n_heads_k - head);
            f(group);
        }
        sequences = sequences.subspan(group.sequences.size());
    }
}

/// Multiprocessors of the current device.
[[nodiscard]] index_t n_multiprocessors() {
    int device = 0;
    int n = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    return n;
}

dim3 grid_of(index_t x, index_t y, index_t z) {
    return {static_cast<unsigned>(x), static_cast<unsigned>(y), static_cast<unsigned>(z)};
}

template <int Dk, int Columns>
void launch_scan(const ChunkArgs& args, cudaStream_t stream) {
    launch(chunk_scan<Dk, Columns>,
           grid_of(args.v.size(2) / Columns, args.window.n_key_heads * args.heads_per_group,
                   args.sequences.count),
           dim3(Columns * 2), static_cast<index_t>(sizeof(ScanShared<Dk, Columns>)), stream, args);
}

/// The widest blocks that are enough for all multiprocessors: wide ones read less, since the warps
/// of a block share the records. Which it is changes no bit.
template <int Dk, int Columns>
void launch_scan_up_to(const ChunkArgs& args, index_t multiprocessors, cudaStream_t stream) {
    constexpr int least_columns = 32;
    const index_t d_v = args.v.size(2);
    const index_t heads =
        index_t{args.window.n_key_heads} * args.heads_per_group * args.sequences.count;
    if (Columns == least_columns ||
        (d_v % Columns == 0 && heads * (d_v / Columns) >= multiprocessors)) {
        launch_scan<Dk, Columns>(args, stream);
    } else {
        launch_scan_up_to<Dk, std::max(Columns / 2, least_columns)>(args, multiprocessors, stream);
    }
}

template <int Dk>
void launch_window(const ChunkArgs& args, index_t multiprocessors, cudaStream_t stream) {
    launch(chunk_prepare<Dk>,
           grid_of(args.window.n_chunks, args.window.n_key_heads, args.sequences.count),
           dim3(kPrepareThreads), static_cast<index_t>(sizeof(PrepareShared<Dk>)), stream, args);
    launch_scan_up_to<Dk, 128>(args, multiprocessors, stream);
}

void launch_window(const ChunkArgs& args, index_t multiprocessors, cudaStream_t stream) {
    const index_t d_k = args.k.size(2);
    if (d_k == 64) {
        launch_window<64>(args, multiprocessors, stream);
    } else if (d_k == 96) {
        launch_window<96>(args, multiprocessors, stream);
    } else {
        launch_window<128>(args, multiprocessors, stream);
    }
}

[[nodiscard]] ChunkArgs arguments_of(const DeltaRuleArgs<float>& args) {
    ChunkArgs chunk_args{};
    chunk_args.q = args.q;
    chunk_args.k = args.k;
    chunk_args.v = args.v;
    chunk_args.decay_log = args.decay_log.heads();
    chunk_args.beta = args.beta;
    chunk_args.output = args.output;
    chunk_args.states = SlotStates::of(args.state);
    const auto d_k = static_cast<double>(args.k.size(2));
    chunk_args.scale = static_cast<float>(args.scale != 0.0 ? args.scale : 1.0 / std::sqrt(d_k));
    chunk_args.head_map = args.head_map;
    chunk_args.heads_per_group = static_cast<std::int32_t>(args.v.size(1) / args.k.size(1));
    return chunk_args;
}

[[nodiscard]] index_t bytes_of(const ChunkSizes& sizes,
                               std::span<const SequenceSpan> sequences) noexcept {
    const index_t all = kWindowBytes + kWindowHeads * sizes.carry_bytes();
    index_t bytes = 0;
    for_each_group(sequences, sizes, kWindowBytes, all,
                   [&](const ChunkGroup& group) { bytes = std::max(bytes, group.bytes(sizes)); });
    return bytes;
}

template <class T, int Rank>
[[nodiscard]] bool has_aligned_rows(const View<T, Rank>& view) noexcept {
    bool aligned = reinterpret_cast<std::uintptr_t>(view.data()) % 16 == 0;
    for (int dim = 0; dim + 1 < Rank; ++dim) aligned = aligned && view.stride(dim) % 4 == 0;
    return aligned;
}

[[nodiscard]] bool has_kernel(index_t d_k, index_t d_v) noexcept {
    return (d_k == 64 || d_k == 96 || d_k == 128) && d_v % 32 == 0;
}

}  // namespace

bool chunked_delta_rule_fits(const DeltaRuleArgs<float>& args) noexcept {
    return has_kernel(args.k.size(2), args.v.size(2)) && !args.decay_log.per_channel() &&
           has_aligned_rows(args.q) && has_aligned_rows(args.k) && has_aligned_rows(args.v) &&
           has_aligned_rows(args.output);
}

index_t chunked_scratch_bytes(const DeltaRuleArgs<float>& args,
                              std::span<const SequenceSpan> sequences) noexcept {
    return bytes_of(ChunkSizes(args), sequences);
}

index_t chunked_scratch_bytes(index_t d_k, index_t d_v, index_t heads_per_group) noexcept {
    if (!has_kernel(d_k, d_v)) return 0;
    return kWindowBytes + kWindowHeads * ChunkSizes(d_k, d_v, heads_per_group).carry_bytes();
}

index_t chunked_least_scratch_bytes(index_t d_k, index_t d_v, index_t heads_per_group) noexcept {
    const ChunkSizes sizes(d_k, d_v, heads_per_group);
    return sizes.record_bytes() + sizes.carry_bytes();
}

void chunked_delta_rule(const DeltaRuleArgs<float>& args, std::span<const SequenceSpan> sequences,
                        std::span<std::byte> scratch, cudaStream_t stream) {
    const ChunkSizes sizes(args);
    const index_t multiprocessors = n_multiprocessors();
    const auto all = static_cast<index_t>(scratch.size());
    ChunkArgs chunk_args = arguments_of(args);
    for_each_group(
        sequences, sizes, std::min(all, kWindowBytes), all, [&](const ChunkGroup& group) {
            const index_t records = group.heads() * group.window_chunks;
            chunk_args.key_records = scratch.data();
            chunk_args.head_records =
                reinterpret_cast<HeadRecord*>(scratch.data() + records * sizes.key_record_bytes());
            chunk_args.carry =
                reinterpret_cast<FloatTile*>(scratch.data() + records * sizes.record_bytes());
            chunk_args.sequences.count = static_cast<std::int32_t>(group.sequences.size());
            for (std::size_t i = 0; i < group.sequences.size(); ++i)
                chunk_args.sequences.entries[i] = entry_of(group.sequences[i], 0);
            chunk_args.window.first_key_head = static_cast<std::int32_t>(group.first_key_head);
            chunk_args.window.n_key_heads = static_cast<std::int32_t>(group.n_key_heads);
            // A fresh sequence without tokens still clears its slot: one window at least.
            const index_t step = std::max<index_t>(1, group.window_chunks);
            for (index_t first = 0; first == 0 || first < group.longest; first += step) {
                chunk_args.window.first_chunk = static_cast<std::int32_t>(first);
                chunk_args.window.n_chunks =
                    static_cast<std::int32_t>(std::min(group.window_chunks, group.longest - first));
                launch_window(chunk_args, multiprocessors, stream);
            }
        });
}

}  // namespace deltanet::cuda
