// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a `StateSlots` is asked for.
#pragma once

#include <deltanet/detail/slot_layout.hpp>
#include <deltanet/memory_space.hpp>

namespace deltanet {

/// How many slots and layers, how caller's memory is strided (in floats; 0 means dense, rows
/// rounded up to 64 bytes, layer after layer), what the recurrent state is stored as, and where. A
/// narrow state is less to read and write and to keep; it is rounded once per forward
/// (docs/numerics.md).
struct StateSlotsOptions {
    index_t slots = 1;
    index_t layers = 1;
    index_t slot_stride = 0;
    index_t layer_stride = 0;
    DType state = DType::f32;
    bool huge_pages = false;  ///< asks for them; own memory is then aligned to 2 MiB
    /// R, 0 to 32: tokens that can be taken back. Steps of up to R tokens do not write the
    /// recurrent state; their updates stay pending until there is no more room (docs/state.md).
    index_t rollback = 0;
    /// The space that they are in, which must outlive them; null: the host's.
    MemorySpace* memory = nullptr;
};

namespace detail {

/// Checks the options, and fills in the strides that were left 0.
[[nodiscard]] inline StateSlotsOptions resolve(const LayerConfig& config,
                                               StateSlotsOptions options) {
    const char* const where = "StateSlots";
    config.validate();
    check_at_least(where, "slots", options.slots, 1);
    check_at_least(where, "layers", options.layers, 1);
    if (name_of(options.state) == "unknown")
        fail(where, "state", "a DType", concat(static_cast<index_t>(options.state)));
    if (options.rollback < 0 || options.rollback > kMaxPending)
        fail(where, "rollback", concat("0 to ", kMaxPending), concat(options.rollback));
    const index_t row = SlotLayout(config, options.state, options.rollback).row();
    if (options.slot_stride == 0) options.slot_stride = (row + 15) / 16 * 16;
    if (options.layer_stride == 0) options.layer_stride = options.slots * options.slot_stride;
    check_at_least(where, "slot_stride", options.slot_stride, row);
    if (options.memory == nullptr) options.memory = &host_memory();
    if (options.huge_pages && !options.memory->is_host())
        fail(where, "huge_pages", "false, as the memory is not the host's", "true");
    const float* const unread = nullptr;
    check_writable(where, "layer_stride",
                   View<const float, 3>(unread, {options.layers, options.slots, row},
                                        {options.layer_stride, options.slot_stride, 1}));
    return options;
}

}  // namespace detail
}  // namespace deltanet
