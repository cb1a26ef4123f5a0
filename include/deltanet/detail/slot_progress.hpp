// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// How far every slot is in every layer: tokens that it has read, how many of them are pending, and
/// whether the last of these are a tree that is still to be accepted. A step of a model moves one
/// layer after the other; what concerns a slot as a whole wants all of them at the same place.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/ops/pending_updates.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace deltanet::detail {

/// Of one slot in one layer.
struct SlotProgress {
    index_t position = 0;  ///< tokens, without those of a tree
    index_t pending = 0;   ///< updates, with those of a tree
    index_t tree = 0;      ///< nodes at the end of the pending updates

    [[nodiscard]] bool operator==(const SlotProgress&) const = default;
};

class SlotProgressTable {
  public:
    SlotProgressTable(index_t layers, index_t slots, index_t rollback)
        : n_layers_(layers),
          n_slots_(slots),
          rollback_(rollback),
          entries_(static_cast<std::size_t>(layers * slots)),
          parents_(static_cast<std::size_t>(slots * rollback)) {}

    [[nodiscard]] const SlotProgress& at(index_t layer, index_t slot) const noexcept {
        return entries_[static_cast<std::size_t>(layer * n_slots_ + slot)];
    }
    /// The same in all layers.
    void set(index_t slot, const SlotProgress& progress) noexcept {
        for (index_t l = 0; l < n_layers_; ++l) entry(l, slot) = progress;
    }
    void set_layer(index_t layer, index_t slot, const SlotProgress& progress) noexcept {
        entry(layer, slot) = progress;
    }
    void set(index_t slot, const SlotProgress& progress,
             std::span<const index_t> tree_parents) noexcept {
        set(slot, progress);
        for (std::size_t t = 0; t < tree_parents.size(); ++t) parents(slot)[t] = tree_parents[t];
    }
    void copy(index_t from, index_t to) noexcept {
        for (index_t l = 0; l < n_layers_; ++l) entry(l, to) = at(l, from);
        for (index_t t = 0; t < rollback_; ++t) parents(to)[t] = parents(from)[t];
    }

    void swap(index_t a, index_t b) noexcept {
        for (index_t l = 0; l < n_layers_; ++l) std::swap(entry(l, a), entry(l, b));
        std::swap_ranges(parents(a), parents(a) + rollback_, parents(b));
    }

    /// Of the whole slot. Throws where its layers differ.
    [[nodiscard]] const SlotProgress& whole(std::string_view function, index_t slot) const {
        const SlotProgress& first = at(0, slot);
        for (index_t l = 1; l < n_layers_; ++l) {
            if (at(l, slot) == first) continue;
            fail(function, concat("slot ", slot), "all layers at the same token",
                 concat("layer 0 at ", text(first), ", layer ", l, " at ", text(at(l, slot))));
        }
        return first;
    }

    /// The slot without its last `n_tokens` tokens. Throws where they are not all pending, or only
    /// part of a tree.
    [[nodiscard]] SlotProgress rolled_back(const char* where, index_t slot,
                                           index_t n_tokens) const {
        SlotProgress p = whole(where, slot);
        if (n_tokens < 0 || n_tokens > p.pending) {
            fail(where, "n_tokens",
                 concat("0 to ", p.pending, ", as many as are pending in slot ", slot),
                 concat(n_tokens));
        }
        if (n_tokens == 0) return p;
        if (n_tokens < p.tree) {
            fail(where, "n_tokens",
                 concat("all ", p.tree, " nodes of the tree in slot ", slot,
                        ", or accept() of some"),
                 concat(n_tokens));
        }
        p.position -= n_tokens - p.tree;
        p.pending -= n_tokens;
        p.tree = 0;
        return p;
    }

    /// The slot with the nodes of `path` instead of its tree. Throws where that is not a branch
    /// from the root on.
    [[nodiscard]] SlotProgress accepted(const char* where, index_t slot,
                                        std::span<const index_t> path) const {
        SlotProgress p = whole(where, slot);
        if (p.tree == 0) {
            fail(where, "slot", "a slot whose last step was a tree",
                 concat("slot ", slot, ", where none is open"));
        }
        index_t before = -1;
        for (std::size_t i = 0; i < path.size(); ++i) {
            const index_t node = path[i];
            check_range(where, concat("path[", i, "]"), node, p.tree);
            if (parent(slot, node) != before) {
                fail(where, concat("path[", i, "]"), concat("a node whose parent is ", before),
                     concat(node, ", whose parent is ", parent(slot, node)));
            }
            before = node;
        }
        const auto n = static_cast<index_t>(path.size());
        p.pending += n - p.tree;
        p.position += n;
        p.tree = 0;
        return p;
    }

    void check_no_tree(const char* where, index_t layer, index_t slot) const {
        const index_t nodes = at(layer, slot).tree;
        if (nodes == 0) return;
        fail(where, "slot", "no tree, or one of which a path is accepted",
             concat("slot ", slot, " with a tree of ", nodes, " nodes"));
    }

    /// A forward of a layer has run this sequence and left `pending` updates.
    void advance(index_t layer, const SequenceSpan& sequence, index_t pending) noexcept {
        SlotProgress& p = entry(layer, sequence.slot);
        const bool is_tree = !sequence.parents.empty();
        if (sequence.start == Start::fresh) p.position = 0;
        p.pending = pending;
        p.tree = is_tree ? sequence.n_tokens : 0;
        p.position += is_tree ? 0 : sequence.n_tokens;
        for (std::size_t t = 0; t < sequence.parents.size(); ++t)
            parents(sequence.slot)[t] = sequence.parents[t];
    }

    /// Nothing is pending any more.
    void settle(index_t layer, index_t slot) noexcept {
        entry(layer, slot).pending = 0;
        entry(layer, slot).tree = 0;
    }

    /// The parent of a node of the slot's tree.
    [[nodiscard]] index_t parent(index_t slot, index_t node) const noexcept {
        return parents_[static_cast<std::size_t>(slot * rollback_ + node)];
    }

  private:
    [[nodiscard]] static std::string text(const SlotProgress& p) {
        return concat(p.position, " with ", p.pending, " pending");
    }
    [[nodiscard]] SlotProgress& entry(index_t layer, index_t slot) noexcept {
        return entries_[static_cast<std::size_t>(layer * n_slots_ + slot)];
    }
    [[nodiscard]] index_t* parents(index_t slot) noexcept {
        return parents_.data() + slot * rollback_;
    }

    index_t n_layers_, n_slots_, rollback_;
    std::vector<SlotProgress> entries_;
    std::vector<index_t> parents_;  ///< [slots, R]
};

}  // namespace deltanet::detail
