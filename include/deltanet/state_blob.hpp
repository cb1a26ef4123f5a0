// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Saving a slot as bytes that describe themselves, and loading it: into the same slot or another,
/// of an arena with other memory (a device's too), another rollback or another storage type, in
/// this build or a later one. Legal at every moment, also with pending updates and with a tree.
/// Little-endian:
///   header   64-bit words: "DELTANET", version, bytes in all, checksum, tag, layers, H_k, H_v,
///   d_k,
///            d_v, W - 1, head map, type of the state, position, pending, tree, then a word for
///            each node of the tree: its parent + 1
///   a layer  recurrent [H_v, d_k, d_v] as in memory, padded to 8 bytes | conv [W - 1 + pending,
///   conv_dim] |
///            pending k [pending, H_k, d_k] | u [pending, H_v, d_v] | decay_log [pending, H_v] | 0
///            to 7 bytes that make it a multiple of 8
/// The checksum is over everything but itself.
#pragma once

#include <deltanet/detail/blob_bytes.hpp>
#include <deltanet/detail/blob_layer.hpp>
#include <deltanet/state_slots.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace deltanet {

/// What a blob says about itself.
struct StateBlobInfo {
    std::uint64_t tag = 0;  ///< the saver's
    index_t layers = 0;
    index_t n_heads_k = 0, n_heads_v = 0, d_k = 0, d_v = 0, conv_taps = 0;
    HeadMap head_map = HeadMap::grouped;
    DType state = DType::f32;
    index_t position = 0;  ///< tokens that were read
    index_t pending = 0;   ///< of which so many can be taken back
    index_t tree = 0;      ///< nodes of a tree that is still to be accepted
    index_t bytes = 0;
};

namespace detail {

/// Sizes of a blob's parts.
struct BlobLayout {
    StateBlobInfo info;

    [[nodiscard]] index_t header() const noexcept { return 8 * (BlobHeader::n_words + info.tree); }
    [[nodiscard]] index_t conv_dim() const noexcept {
        return 2 * info.n_heads_k * info.d_k + info.n_heads_v * info.d_v;
    }
    [[nodiscard]] index_t state() const noexcept {
        return padded(info.n_heads_v * state_head_bytes(info.state, info.d_k, info.d_v));
    }
    [[nodiscard]] index_t conv() const noexcept {
        return 4 * (info.conv_taps + info.pending) * conv_dim();
    }
    [[nodiscard]] index_t k() const noexcept {
        return 4 * info.pending * info.n_heads_k * info.d_k;
    }
    [[nodiscard]] index_t u() const noexcept {
        return 4 * info.pending * info.n_heads_v * info.d_v;
    }
    [[nodiscard]] index_t decay_log() const noexcept { return 4 * info.pending * info.n_heads_v; }
    [[nodiscard]] index_t layer() const noexcept {
        return padded(state() + conv() + k() + u() + decay_log());
    }
    [[nodiscard]] index_t bytes() const noexcept { return header() + info.layers * layer(); }

  private:
    static index_t padded(index_t bytes) noexcept { return (bytes + 7) / 8 * 8; }
};

inline StateBlobInfo blob_info_of(const StateSlots& slots, index_t slot, std::uint64_t tag) {
    const SlotProgress& p = SlotAccess::progress(slots).whole("save_slot", slot);
    StateBlobInfo info{.tag = tag,
                       .layers = slots.n_layers(),
                       .n_heads_k = slots.n_heads_k(),
                       .n_heads_v = slots.n_heads_v(),
                       .d_k = slots.d_k(),
                       .d_v = slots.d_v(),
                       .conv_taps = slots.conv_taps(),
                       .head_map = slots.head_map(),
                       .state = slots.state_dtype(),
                       .position = p.position,
                       .pending = p.pending,
                       .tree = p.tree,
                       .bytes = 0};
    info.bytes = BlobLayout{info}.bytes();
    return info;
}

/// Throws unless the blob is whole and unaltered.
inline StateBlobInfo check_blob(const char* where, std::span<const std::byte> blob) {
    const auto size = static_cast<index_t>(blob.size());
    const auto refuse = [&](const std::string& expected, const std::string& found) {
        fail(where, "blob", expected, found);
    };
    if (size < 8 * BlobHeader::n_words)
        refuse(concat("at least ", 8 * BlobHeader::n_words, " bytes"), concat(size, " bytes"));
    const BlobHeader header(blob);
    if (header.word(BlobHeader::magic) != BlobHeader::magic_word)
        refuse("a saved slot, which begins with DELTANET", "something else");
    if (header.word(BlobHeader::version) != BlobHeader::current_version) {
        refuse(concat("version ", BlobHeader::current_version),
               concat("version ", header.word(BlobHeader::version)));
    }
    if (header.word(BlobHeader::bytes) != blob.size()) {
        refuse(concat(header.word(BlobHeader::bytes), " bytes, as it says itself"),
               concat(size, " bytes"));
    }
    if (header.word(BlobHeader::checksum) != blob_checksum(blob))
        refuse("a checksum that fits its bytes", "another one: the blob was altered");
    // Behind the checksum: a blob that somebody made by hand.
    const auto number = [&](BlobHeader::Word word, index_t most) {
        const std::uint64_t value = header.word(word);
        if (value > static_cast<std::uint64_t>(most))
            refuse(concat("at most ", most, " in word ", static_cast<index_t>(word)),
                   concat(value));
        return static_cast<index_t>(value);
    };
    constexpr index_t most = index_t{1} << 20;
    const StateBlobInfo info{
        .tag = header.word(BlobHeader::tag),
        .layers = number(BlobHeader::layers, most),
        .n_heads_k = number(BlobHeader::n_heads_k, most),
        .n_heads_v = number(BlobHeader::n_heads_v, most),
        .d_k = number(BlobHeader::d_k, most),
        .d_v = number(BlobHeader::d_v, most),
        .conv_taps = number(BlobHeader::conv_taps, 7),
        .head_map = number(BlobHeader::head_map, 1) == 0 ? HeadMap::grouped : HeadMap::tiled,
        .state = BlobHeader::dtype_of(number(BlobHeader::state, 3)),
        .position = number(BlobHeader::position, std::numeric_limits<index_t>::max()),
        .pending = number(BlobHeader::pending, kMaxPending),
        .tree = number(BlobHeader::tree, kMaxPending),
        .bytes = size};
    if (info.tree > info.pending)
        refuse(concat("a tree of at most ", info.pending, " nodes"), concat(info.tree));
    return info;
}

/// Throws unless the slots can hold what was saved.
inline void check_blob_fits(const char* where, const StateSlots& slots, const StateBlobInfo& info,
                            std::uint64_t tag) {
    if (info.tag != tag) fail(where, "blob", concat("tag ", tag), concat("tag ", info.tag));
    const auto shape = [](index_t layers, index_t H_k, index_t H_v, index_t d_k, index_t d_v,
                          index_t taps, HeadMap map) {
        return concat("[layers, H_k, H_v, d_k, d_v, W - 1] = [", layers, ", ", H_k, ", ", H_v, ", ",
                      d_k, ", ", d_v, ", ", taps, "], ", name_of(map), " heads");
    };
    const std::string expected =
        shape(slots.n_layers(), slots.n_heads_k(), slots.n_heads_v(), slots.d_k(), slots.d_v(),
              slots.conv_taps(), slots.head_map());
    const std::string found = shape(info.layers, info.n_heads_k, info.n_heads_v, info.d_k, info.d_v,
                                    info.conv_taps, info.head_map);
    if (expected != found) fail(where, "blob", expected, found);
    if (info.tree > slots.max_rollback()) {
        fail(
            where, "blob",
            concat("a tree of at most ", slots.max_rollback(), " nodes, the rollback of the slots"),
            concat(info.tree));
    }
}

}  // namespace detail

/// Bytes that saving the slot takes now.
[[nodiscard]] inline index_t saved_slot_bytes(const StateSlots& slots, index_t slot) {
    return detail::blob_info_of(slots, slot, 0).bytes;
}

/// Saves the slot, all layers of it, into `to`, of exactly `saved_slot_bytes` bytes. `tag` is
/// yours, say a hash of the model's weights: `load_slot` wants the same. Throws `Error` between the
/// layers of a step, and then has written nothing.
inline void save_slot(const StateSlots& slots, index_t slot, std::span<std::byte> to,
                      std::uint64_t tag = 0) {
    const StateBlobInfo info = detail::blob_info_of(slots, slot, tag);
    if (static_cast<index_t>(to.size()) != info.bytes) {
        detail::fail("save_slot", "to", detail::concat(info.bytes, " bytes"),
                     detail::concat(to.size(), " bytes"));
    }
    const detail::BlobLayout blob{info};
    detail::BlobWriter writer(to);
    writer.header(info.tag, static_cast<std::uint64_t>(info.bytes));
    for (const index_t number :
         {info.layers, info.n_heads_k, info.n_heads_v, info.d_k, info.d_v, info.conv_taps,
          static_cast<index_t>(info.head_map), detail::BlobHeader::number_of(info.state),
          info.position, info.pending, info.tree})
        writer.word(static_cast<std::uint64_t>(number));
    for (index_t node = 0; node < info.tree; ++node) {
        const index_t parent = detail::SlotAccess::progress(slots).parent(slot, node);
        writer.word(static_cast<std::uint64_t>(parent + 1));
    }
    const detail::SlotLayout& layout = detail::SlotAccess::layout(slots);
    for (index_t l = 0; l < info.layers; ++l) {
        const float* const row = detail::SlotAccess::row(slots, l, slot);
        const MemorySpace& space = slots.memory();
        const index_t end = writer.used() + blob.layer();
        writer.bytes(space, row + layout.recurrent(),
                     info.n_heads_v * state_head_bytes(info.state, info.d_k, info.d_v));
        writer.pad_to_word();
        writer.bytes(space, row, blob.conv());
        writer.bytes(space, row + layout.pending_k(), blob.k());
        writer.bytes(space, row + layout.pending_u(), blob.u());
        writer.bytes(space, row + layout.pending_log(), blob.decay_log());
        writer.pad_to(end);
    }
    writer.finish();
}

/// The same into a vector.
[[nodiscard]] inline std::vector<std::byte> save_slot(const StateSlots& slots, index_t slot,
                                                      std::uint64_t tag = 0) {
    std::vector<std::byte> blob(static_cast<std::size_t>(saved_slot_bytes(slots, slot)));
    save_slot(slots, slot, blob, tag);
    return blob;
}

/// What a blob holds. Throws `Error` unless it is whole and unaltered.
[[nodiscard]] inline StateBlobInfo inspect_saved_slot(std::span<const std::byte> blob) {
    return detail::check_blob("inspect_saved_slot", blob);
}

/// Makes `slot` what was saved. With less room for rollback than there are updates pending the
/// oldest are folded; another storage type converts, rounding to nearest. Throws `Error` for a blob
/// that is truncated, altered, of another shape or has another tag, and leaves the slot as it was.
inline void load_slot(StateSlots& slots, index_t slot, std::span<const std::byte> blob,
                      std::uint64_t tag = 0) {
    const char* const where = "load_slot";
    slots.check_slot(where, "slot", slot);
    const StateBlobInfo info = detail::check_blob(where, blob);
    detail::check_blob_fits(where, slots, info, tag);
    const detail::BlobLayout parts{info};
    if (parts.bytes() != info.bytes) {
        detail::fail(where, "blob", detail::concat(parts.bytes(), " bytes for its shape"),
                     detail::concat(info.bytes));
    }
    const detail::BlobHeader header(blob);
    std::vector<index_t> parents;
    for (index_t node = 0; node < info.tree; ++node) {
        const std::uint64_t parent = header.word(detail::BlobHeader::n_words + node);
        if (parent > static_cast<std::uint64_t>(node)) {
            detail::fail(where, "blob", detail::concat("a parent before node ", node),
                         detail::concat(parent, " - 1"));
        }
        parents.push_back(static_cast<index_t>(parent) - 1);
    }
    const index_t folded = std::max<index_t>(0, info.pending - slots.max_rollback());
    detail::BlobReader reader(blob, parts.header());
    for (index_t l = 0; l < info.layers; ++l) {
        const detail::BlobLayer layer{
            .state = reader.take(parts.state()),
            .conv = reader.take(parts.conv()),
            .k = reader.take(parts.k()),
            .u = reader.take(parts.u()),
            .decay_log = reader.take(parts.decay_log()),
        };
        reader.skip_to(parts.header() + (l + 1) * parts.layer());
        detail::load_blob_layer(slots, l, slot, info.state, info.pending, layer, folded);
    }
    detail::SlotAccess::progress(slots).set(slot, {info.position, info.pending - folded, info.tree},
                                            parents);
}

}  // namespace deltanet
