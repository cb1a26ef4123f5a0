// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The recurrent state of many sequences through many layers of one shape, in memory that the
/// caller owns or in one aligned allocation, of the host or of a device (memory_space.hpp). A slot
/// is one sequence's state; slot operations act on all layers of it at once. Per slot and layer a
/// row holds the convolution state, the pending updates and the recurrent state
/// (detail/slot_layout.hpp); without room for rollback
///   row = [ conv [W - 1, conv_dim], oldest input first | recurrent [H_v, d_k, d_v] ]
/// The last is float32, bfloat16, float16 or int8 (ops/state_columns.hpp), the rest float32.
/// Strides and sizes count floats. Rows of a layer are a slot stride apart, layers are apart by a
/// layer stride or stand at their own addresses. state_exchange.hpp converts to and from the
/// layouts of other programs.
#pragma once

#include <deltanet/detail/slot_progress.hpp>
#include <deltanet/detail/slot_rows.hpp>
#include <deltanet/huge_pages.hpp>
#include <deltanet/layer_config.hpp>
#include <deltanet/state_slots_options.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace deltanet {

namespace detail {
struct SlotAccess;
}

/// Move-only. Not synchronised: operations on distinct slots may run at the same time.
class StateSlots {
  public:
    /// Own memory of `options.memory`, aligned to 64 bytes, all zeros.
    StateSlots(const LayerConfig& config, const StateSlotsOptions& options)
        : StateSlots(Sizes{detail::resolve(config, options)}, config) {
        const index_t bytes = floats_needed(config, options) * static_cast<index_t>(sizeof(float));
        owned_ = detail::allocate_in(memory(), bytes,
                                     options.huge_pages ? kHugePageBytes : detail::kLineBytes);
        if (options.huge_pages) advise_huge_pages(owned_.get(), bytes);
        memory().clear(owned_.get(), bytes);
        auto* const first = reinterpret_cast<float*>(owned_.get());
        for (index_t l = 0; l < n_layers(); ++l) bases_[at(l)] = first + l * options_.layer_stride;
    }

    /// Caller's memory, in the space that the options name, which must outlive this object and hold
    /// at least `floats_needed(config, options)`. It is not cleared: start sequences fresh, or
    /// `reset` their slots.
    StateSlots(const LayerConfig& config, const StateSlotsOptions& options, std::span<float> memory)
        : StateSlots(Sizes{detail::resolve(config, options)}, config) {
        const index_t needed = floats_needed(config, options);
        if (memory.data() == nullptr || static_cast<index_t>(memory.size()) < needed) {
            detail::fail(kName, "memory", detail::concat("at least ", needed, " floats"),
                         memory.data() == nullptr ? "a null pointer"
                                                  : detail::concat(memory.size(), " floats"));
        }
        if (options.huge_pages)
            advise_huge_pages(memory.data(), needed * static_cast<index_t>(sizeof(float)));
        for (index_t l = 0; l < n_layers(); ++l)
            bases_[at(l)] = memory.data() + l * options_.layer_stride;
    }

    /// Caller's memory in one piece per layer; `options.layers`, `layer_stride` and `huge_pages`
    /// are not looked at. Each layer's piece must hold (slots - 1) * slot_stride + row floats.
    StateSlots(const LayerConfig& config, StateSlotsOptions options, std::span<float* const> layers)
        : StateSlots(Sizes{detail::resolve(config, with_layers(options, layers.size()))}, config) {
        for (std::size_t l = 0; l < layers.size(); ++l) {
            if (layers[l] == nullptr)
                detail::fail(kName, detail::concat("layers[", l, "]"), "memory", "a null pointer");
            bases_[l] = layers[l];
        }
    }

    /// Floats of one slot in one layer; an odd number of 16-bit elements is rounded up.
    [[nodiscard]] static constexpr index_t row_floats(const LayerConfig& config,
                                                      DType state = DType::f32,
                                                      index_t rollback = 0) noexcept {
        return detail::SlotLayout(config, state, rollback).row();
    }
    /// Bytes that one more slot costs through `layers` layers, without padding between rows.
    [[nodiscard]] static constexpr index_t bytes_per_slot(const LayerConfig& config,
                                                          index_t layers = 1,
                                                          DType state = DType::f32,
                                                          index_t rollback = 0) noexcept {
        return row_floats(config, state, rollback) * layers * static_cast<index_t>(sizeof(float));
    }
    /// Floats from the first to behind the last row of an arena with these options.
    [[nodiscard]] static index_t floats_needed(const LayerConfig& config,
                                               const StateSlotsOptions& options) {
        const StateSlotsOptions o = detail::resolve(config, options);
        return (o.layers - 1) * o.layer_stride + (o.slots - 1) * o.slot_stride +
               row_floats(config, o.state, o.rollback);
    }

    [[nodiscard]] index_t n_slots() const noexcept { return options_.slots; }
    [[nodiscard]] index_t n_layers() const noexcept { return static_cast<index_t>(bases_.size()); }
    [[nodiscard]] index_t conv_dim() const noexcept { return layout_.conv_dim; }
    [[nodiscard]] index_t conv_taps() const noexcept { return layout_.conv_taps; }
    [[nodiscard]] index_t n_heads_k() const noexcept { return layout_.n_heads_k; }
    [[nodiscard]] index_t n_heads_v() const noexcept { return layout_.n_heads_v; }
    [[nodiscard]] index_t d_k() const noexcept { return layout_.d_k; }
    [[nodiscard]] index_t d_v() const noexcept { return layout_.d_v; }
    [[nodiscard]] HeadMap head_map() const noexcept { return head_map_; }
    /// R: tokens of a slot that can be pending.
    [[nodiscard]] index_t max_rollback() const noexcept { return layout_.rollback; }

    /// [n_slots, W - 1 + R, conv_dim], oldest input first; channels q, k, v. With n updates pending
    /// the state of the convolution is rows n to n + W - 2.
    [[nodiscard]] View<float, 3> conv(index_t layer) const {
        check_layer("StateSlots::conv", layer);
        return rows(layer).conv();
    }
    /// [n_slots, H_v, d_k, d_v]. Throws `Error` when the states are stored as something else than
    /// S. With S = i8 the view shows the integers alone.
    template <class S = float>
    [[nodiscard]] View<S, 4> recurrent(index_t layer) const {
        check_layer("StateSlots::recurrent", layer);
        if (options_.state != dtype_v<S>) {
            detail::fail("StateSlots::recurrent", "S",
                         detail::concat("the element type of ", name_of(options_.state)),
                         name_of(dtype_v<S>));
        }
        return rows(layer).recurrent_as<S>();
    }
    /// The same of whatever type, as the delta rule takes it.
    [[nodiscard]] StateView<float> recurrent_state(index_t layer) const {
        check_layer("StateSlots::recurrent_state", layer);
        return rows(layer).recurrent();
    }
    /// What was not written into the recurrent state of each slot yet: of slot s and this layer,
    /// `progress(s, layer).pending` updates.
    [[nodiscard]] PendingUpdates<float> pending_updates(index_t layer) const {
        check_layer("StateSlots::pending_updates", layer);
        return rows(layer).pending();
    }
    /// What the recurrent state is stored as.
    [[nodiscard]] DType state_dtype() const noexcept { return options_.state; }
    /// The space that all of it is in.
    [[nodiscard]] MemorySpace& memory() const noexcept { return *options_.memory; }

    /// Tokens that the slot has read, without those of a tree that is still to be accepted. Throws
    /// `Error` while its layers differ, as between the layers of one step.
    [[nodiscard]] index_t position(index_t slot) const {
        return whole("StateSlots::position", slot).position;
    }
    /// Tokens that can be taken back, those of a tree among them.
    [[nodiscard]] index_t pending(index_t slot) const {
        return whole("StateSlots::pending", slot).pending;
    }
    /// How far one layer of the slot is.
    [[nodiscard]] const detail::SlotProgress& progress(index_t slot, index_t layer) const {
        check_slot("StateSlots::progress", "slot", slot);
        check_layer("StateSlots::progress", layer);
        return progress_.at(layer, slot);
    }

    /// Afterwards the slot is as if its last `n_tokens` tokens had never been read, the convolution
    /// included. Moves no state. Any number up to `pending(slot)`; of a tree all nodes, and what is
    /// before them.
    void rollback(index_t slot, index_t n_tokens) {
        const char* const where = "StateSlots::rollback";
        check_slot(where, "slot", slot);
        progress_.set(slot, progress_.rolled_back(where, slot, n_tokens));
    }

    /// Keeps one branch of the tree that the slot's last step read: `path` are nodes from the root
    /// on, each the parent of the next; an empty path keeps none. What was pending before the tree
    /// stays. Copies the branch's updates and convolution inputs together.
    void accept(index_t slot, std::span<const index_t> path) {
        const char* const where = "StateSlots::accept";
        check_slot(where, "slot", slot);
        const detail::SlotProgress after = progress_.accepted(where, slot, path);
        const auto n = static_cast<index_t>(path.size());
        const index_t first = after.pending - n;
        for (index_t l = 0; l < n_layers(); ++l) {
            for (index_t i = 0; i < n; ++i) move_update(l, slot, first + path[at(i)], first + i);
        }
        progress_.set(slot, after);
    }

    /// Writes the pending updates of one layer of a slot into its state; nothing can be taken back
    /// then. Steps do this by themselves when they need room.
    void flush(index_t slot, index_t layer) {
        check_slot("StateSlots::flush", "slot", slot);
        check_layer("StateSlots::flush", layer);
        progress_.check_no_tree("StateSlots::flush", layer, slot);
        const detail::SlotProgress& p = progress_.at(layer, slot);
        if (p.pending == 0) return;
        memory().fold(rows(layer), head_map_, slot, p.pending);
        progress_.settle(layer, slot);
    }
    /// Of all layers.
    void flush(index_t slot) {
        check_slot("StateSlots::flush", "slot", slot);
        for (index_t l = 0; l < n_layers(); ++l) flush(slot, l);
    }

    /// Zeros in every layer of the slot. A fresh start needs no reset.
    void reset(index_t slot) {
        check_slot("StateSlots::reset", "slot", slot);
        for (index_t l = 0; l < n_layers(); ++l) memory().clear(row(l, slot), row_bytes());
        progress_.set(slot, {});
    }

    /// Makes `to` an equal of `from` in every layer, pending updates included. Copying a slot to
    /// itself does nothing.
    void copy(index_t from, index_t to) {
        check_slot("StateSlots::copy", "from", from);
        check_slot("StateSlots::copy", "to", to);
        if (from == to) return;
        for (index_t l = 0; l < n_layers(); ++l) copy(row(l, to), row(l, from), layout_.row());
        progress_.copy(from, to);
    }
    /// Copies a slot to several, as beams and samples of one prompt begin. Throws `Error` before
    /// anything is written.
    void fork(index_t from, std::span<const index_t> to) {
        check_slot("StateSlots::fork", "from", from);
        for (std::size_t i = 0; i < to.size(); ++i) {
            if (to[i] < 0 || to[i] >= n_slots())
                check_slot("StateSlots::fork", detail::concat("to[", i, "]"), to[i]);
        }
        for (const index_t slot : to) copy(from, slot);
    }
    /// Exchanges two slots in every layer.
    void swap(index_t a, index_t b) {
        check_slot("StateSlots::swap", "a", a);
        check_slot("StateSlots::swap", "b", b);
        if (a == b) return;
        for (index_t l = 0; l < n_layers(); ++l)
            memory().exchange(row(l, a), row(l, b), row_bytes());
        progress_.swap(a, b);
    }

    /// For layers: what ops need to know about a sequence's slot, in this layer.
    [[nodiscard]] SequenceSpan with_pending(index_t layer, SequenceSpan sequence) const noexcept {
        sequence.pending = is_padding(sequence) ? 0 : progress_.at(layer, sequence.slot).pending;
        return sequence;
    }
    /// For layers: a forward of this layer has run this sequence, and left so much pending.
    void advance(index_t layer, const SequenceSpan& sequence, index_t pending) noexcept {
        if (!is_padding(sequence)) progress_.advance(layer, sequence, pending);
    }

    /// Throws unless this arena holds the state of such a layer.
    void check_matches(std::string_view function, const LayerConfig& config) const {
        detail::check_same_state(function, layout_, head_map_, config);
    }

    void check_slot(std::string_view function, std::string_view argument, index_t slot) const {
        detail::check_range(function, argument, slot, n_slots());
    }
    void check_layer(std::string_view function, index_t layer) const {
        detail::check_range(function, "layer", layer, n_layers());
    }

  private:
    friend struct detail::SlotAccess;
    static constexpr const char* kName = "StateSlots";
    static constexpr index_t kHugePageBytes = index_t{2} << 20;
    struct Sizes {
        StateSlotsOptions resolved;
    };

    /// Sizes only: the layers' addresses are still to be set.
    StateSlots(const Sizes& sizes, const LayerConfig& config)
        : options_(sizes.resolved),
          layout_(config, options_.state, options_.rollback),
          head_map_(config.head_map),
          bases_(static_cast<std::size_t>(options_.layers), nullptr),
          progress_(options_.layers, options_.slots, options_.rollback) {}

    static StateSlotsOptions with_layers(StateSlotsOptions options, std::size_t layers) {
        options.layers = static_cast<index_t>(layers);
        options.layer_stride = 0;
        return options;
    }

    static std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
    [[nodiscard]] float* row(index_t layer, index_t slot) const noexcept {
        return bases_[at(layer)] + slot * options_.slot_stride;
    }
    /// All slots of a layer.
    [[nodiscard]] detail::SlotRows rows(index_t layer) const noexcept {
        return {layout_, bases_[at(layer)], n_slots(), options_.slot_stride};
    }
    [[nodiscard]] index_t row_bytes() const noexcept {
        return layout_.row() * static_cast<index_t>(sizeof(float));
    }
    /// Floats that do not overlap.
    void copy(float* to, const float* from, index_t n) const {
        memory().copy(to, from, n * static_cast<index_t>(sizeof(float)));
    }
    [[nodiscard]] const detail::SlotProgress& whole(std::string_view function, index_t slot) const {
        check_slot(function, "slot", slot);
        return progress_.whole(function, slot);
    }
    /// Update `from` of a slot becomes update `to`, with its input of the convolution.
    void move_update(index_t layer, index_t slot, index_t from, index_t to) {
        if (from == to) return;
        float* const base = row(layer, slot);
        const auto move = [=, this](index_t first, index_t width) {
            copy(base + first + to * width, base + first + from * width, width);
        };
        move(conv_taps() * conv_dim(), conv_dim());
        move(layout_.pending_k(), n_heads_k() * d_k());
        move(layout_.pending_u(), n_heads_v() * d_v());
        move(layout_.pending_log(), n_heads_v());
    }

    StateSlotsOptions options_;
    detail::SlotLayout layout_;
    HeadMap head_map_;
    std::vector<float*> bases_;  ///< per layer: the row of slot 0
    detail::SlotProgressTable progress_;
    detail::OwnedMemory owned_;
};

}  // namespace deltanet
