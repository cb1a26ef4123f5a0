// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Slot states in and out, in the layouts that other programs use. Every layout is a strided view
/// here. The convolution's, oldest input first, always:
///
///   * channel-major [C, W - 1] (ggml, ik_llama.cpp): View{p, {C, W - 1}}
///   * one column wider [C, W] (transformers, fla): View{p, {C, W}}; column 0 is never read
///   * tap-major [W - 1, C] (this library): View{p, {C, W - 1}, {1, C}}
///
/// and the recurrent one's:
///
///   * [H_v, d_k, d_v] (transformers, fla, ik_llama.cpp): StateOrder::k_first
///   * [H_v, d_v, d_k] (llama.cpp, fla layers, FlashKDA): StateOrder::v_first
///
/// The other side is float32; a 16-bit recurrent state is converted, rounding to nearest even.
/// Caches that keep q, k and v apart are three calls with their first channel. It is host memory;
/// slots on a device are waited for and copied, a row a call.
#pragma once

#include <deltanet/detail/host_row.hpp>

#include <cstdint>

namespace deltanet {

/// Which of the two head dimensions is the outer one. For d_k = d_v a wrong choice is silent.
enum class StateOrder : std::uint8_t { k_first, v_first };

namespace detail {

template <class T>
void check_conv_exchange(const char* where, const StateSlots& slots, index_t slot, index_t layer,
                         index_t first_channel, View<T, 2> external) {
    slots.check_slot(where, "slot", slot);
    slots.check_layer(where, layer);
    SlotAccess::progress(slots).check_no_tree(where, layer, slot);
    const index_t taps = slots.conv_taps();
    const index_t channels = external.size(0);
    if (external.size(1) != taps && external.size(1) != taps + 1) {
        fail(where, "external", concat(taps, " or ", taps + 1, " columns"),
             concat(external.size(1)));
    }
    if (first_channel < 0 || first_channel > slots.conv_dim() - channels) {
        fail(where, "external", concat("channels inside [0, ", slots.conv_dim(), ")"),
             concat("[", first_channel, ", ", first_channel + channels, ")"));
    }
    check_shape(where, "external", external, external.shape());
}

template <class T>
void check_recurrent_exchange(const char* where, const StateSlots& slots, index_t slot,
                              index_t layer, StateOrder order, View<T, 3> external) {
    slots.check_slot(where, "slot", slot);
    slots.check_layer(where, layer);
    SlotAccess::progress(slots).check_no_tree(where, layer, slot);
    const bool k_first = order == StateOrder::k_first;
    check_shape(where, "external", external,
                {slots.n_heads_v(), k_first ? slots.d_k() : slots.d_v(),
                 k_first ? slots.d_v() : slots.d_k()});
}

}  // namespace detail

/// Writes the slot's convolution state from `external` [channels, W - 1 or W], any strides,
/// beginning at `first_channel`; flushes what is pending in this layer before. Throws `Error`
/// before anything is written.
inline void import_conv(StateSlots& slots, index_t slot, index_t layer,
                        View<const float, 2> external, index_t first_channel = 0) {
    detail::check_conv_exchange("import_conv", slots, slot, layer, first_channel, external);
    slots.flush(slot, layer);
    const detail::HostRow row = detail::HostRow::of(slots, layer, slot);
    const View<float, 2> state = row.rows().conv()[0];
    const index_t skip = external.size(1) - slots.conv_taps();
    for (index_t t = 0; t < slots.conv_taps(); ++t) {
        for (index_t c = 0; c < external.size(0); ++c)
            state(t, first_channel + c) = external(c, skip + t);
    }
    row.store(slots);
}

/// Reads the slot's convolution state into `external` [channels, W - 1 or W], any strides,
/// beginning at `first_channel`. A W-th column, the oldest, which no one reads, becomes 0.
inline void export_conv(const StateSlots& slots, index_t slot, index_t layer,
                        View<float, 2> external, index_t first_channel = 0) {
    detail::check_conv_exchange("export_conv", slots, slot, layer, first_channel, external);
    detail::check_writable("export_conv", "external", external);
    const detail::HostRow row = detail::HostRow::of(slots, layer, slot);
    const View<float, 2> state = row.rows().conv()[0];
    const index_t pending = slots.progress(slot, layer).pending;
    const index_t skip = external.size(1) - slots.conv_taps();
    for (index_t c = 0; c < external.size(0); ++c) {
        if (skip == 1) external(c, 0) = 0.0F;
        for (index_t t = 0; t < slots.conv_taps(); ++t)
            external(c, skip + t) = state(pending + t, first_channel + c);
    }
}

/// Writes the slot's recurrent state from `external`, [H_v, d_k, d_v] or [H_v, d_v, d_k] by
/// `order`, any strides; flushes what is pending in this layer before. Throws `Error` before
/// anything is written.
inline void import_recurrent(StateSlots& slots, index_t slot, index_t layer,
                             View<const float, 3> external, StateOrder order) {
    detail::check_recurrent_exchange("import_recurrent", slots, slot, layer, order, external);
    slots.flush(slot, layer);
    const bool k_first = order == StateOrder::k_first;
    const detail::HostRow row = detail::HostRow::of(slots, layer, slot);
    detail::store_elements(row.rows().recurrent(), 0, [&](index_t h, index_t i, index_t j) {
        return static_cast<double>(k_first ? external(h, i, j) : external(h, j, i));
    });
    row.store(slots);
}

/// Reads the slot's recurrent state, that with all pending updates, into `external`, [H_v, d_k,
/// d_v] or [H_v, d_v, d_k] by `order`, any strides.
inline void export_recurrent(const StateSlots& slots, index_t slot, index_t layer,
                             View<float, 3> external, StateOrder order) {
    detail::check_recurrent_exchange("export_recurrent", slots, slot, layer, order, external);
    detail::check_writable("export_recurrent", "external", external);
    const bool k_first = order == StateOrder::k_first;
    const detail::HostRow row = detail::HostRow::of(slots, layer, slot);
    detail::for_each_logical_element(
        row.rows().recurrent(), row.rows().pending(), slots.head_map(), 0,
        slots.progress(slot, layer).pending, [&](index_t h, index_t i, index_t j, double s) {
            (k_first ? external(h, i, j) : external(h, j, i)) = static_cast<float>(s);
        });
}

}  // namespace deltanet
