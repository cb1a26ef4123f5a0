// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// One layer of a saved slot (state_blob.hpp) into a slot of any storage type and rollback.
#pragma once

#include <deltanet/detail/host_row.hpp>

#include <cstddef>
#include <cstring>
#include <vector>

namespace deltanet::detail {

/// Where the parts of a layer begin; of any alignment.
struct BlobLayer {
    const std::byte* state;      ///< [H_v, d_k, d_v] as in memory
    const std::byte* conv;       ///< [W - 1 + pending, conv_dim]
    const std::byte* k;          ///< [pending, H_k, d_k]
    const std::byte* u;          ///< [pending, H_v, d_v]
    const std::byte* decay_log;  ///< [pending, H_v]
};

/// Rows [first, n) of `width` floats.
inline void copy_rows(const std::byte* from, index_t first, index_t n, index_t width,
                      float* to) noexcept {
    const index_t row = width * static_cast<index_t>(sizeof(float));
    if (n > first) std::memcpy(to, from + first * row, static_cast<std::size_t>((n - first) * row));
}

/// The state in the blob, of type S, with the first `folded` of the pending updates in it, into
/// the one slot of states of any type.
template <class S>
void fold_saved_state(const SlotLayout& layout, HeadMap head_map, const BlobLayer& layer,
                      index_t folded, const StateView<float>& to) {
    const index_t H_k = layout.n_heads_k, H_v = layout.n_heads_v;
    const index_t d_k = layout.d_k, d_v = layout.d_v;
    const index_t head = state_head_bytes(dtype_v<S>, d_k, d_v);
    std::vector<float> state(static_cast<std::size_t>((H_v * head + 3) / 4));  // aligned
    std::memcpy(state.data(), layer.state, static_cast<std::size_t>(H_v * head));
    const auto floats = [folded](const std::byte* from, index_t width) {
        std::vector<float> values(static_cast<std::size_t>(folded * width));
        copy_rows(from, 0, folded, width, values.data());
        return values;
    };
    std::vector<float> k = floats(layer.k, H_k * d_k), u = floats(layer.u, H_v * d_v);
    std::vector<float> decay_log = floats(layer.decay_log, H_v);
    const PendingUpdates<float> pending{{k.data(), {1, folded, H_k, d_k}},
                                        {u.data(), {1, folded, H_v, d_v}},
                                        {decay_log.data(), {1, folded, H_v}}};
    void* const first = state.data();
    const index_t elements = head / static_cast<index_t>(sizeof(S));
    const StateView<float> view =
        View<S, 4>(static_cast<S*>(first), {1, H_v, d_k, d_v}, {H_v * elements, elements, d_v, 1});
    fold_into_state(view, pending, head_map, 0, folded, to, 0);
}

template <class S>
void load_state(const SlotRows& row, HeadMap head_map, const BlobLayer& layer, index_t folded) {
    const StateView<float> states = row.recurrent();
    states.visit([&]<class To>(const View<To, 4>& view) {
        if constexpr (std::is_same_v<S, To>) {
            if (folded == 0) {  // as it is
                std::memcpy(view.data(), layer.state,
                            static_cast<std::size_t>(view.stride(1) * view.size(1)) * sizeof(To));
                return;
            }
        }
        fold_saved_state<S>(row.layout, head_map, layer, folded, states);
    });
}

inline void load_blob_layer(StateSlots& slots, index_t model_layer, index_t slot, DType saved_as,
                            index_t pending, const BlobLayer& layer, index_t folded) {
    const HostRow host = HostRow::to_fill(slots, model_layer, slot);
    const HeadMap head_map = slots.head_map();
    switch (saved_as) {
        case DType::f32:
            load_state<float>(host.rows(), head_map, layer, folded);
            break;
        case DType::bf16:
            load_state<bf16>(host.rows(), head_map, layer, folded);
            break;
        case DType::f16:
            load_state<f16>(host.rows(), head_map, layer, folded);
            break;
        case DType::i8:
            load_state<i8>(host.rows(), head_map, layer, folded);
            break;
    }
    const SlotLayout& layout = host.rows().layout;
    float* const row = host.rows().first;
    copy_rows(layer.conv, folded, layout.conv_taps + pending, layout.conv_dim, row);
    copy_rows(layer.k, folded, pending, layout.n_heads_k * layout.d_k, row + layout.pending_k());
    copy_rows(layer.u, folded, pending, layout.n_heads_v * layout.d_v, row + layout.pending_u());
    copy_rows(layer.decay_log, folded, pending, layout.n_heads_v, row + layout.pending_log());
    host.store(slots);
}

}  // namespace deltanet::detail
