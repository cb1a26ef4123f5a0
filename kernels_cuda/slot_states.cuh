// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The states of all slots as kernels take them: of whatever storage type, and columns of one head.
#pragma once

#include "device.cuh"
#include <deltanet/dtype.hpp>
#include <deltanet/ops/state_view.hpp>

namespace deltanet::cuda {

/// [n_slots, H_v, d_k, d_v]; heads of int8 states are blocks (ops/state_columns.hpp).
struct SlotStates {
    void* data = nullptr;
    index_t slot = 0, head = 0, row = 0;  ///< strides
    DType dtype = DType::f32;

    [[nodiscard]] static SlotStates of(const StateView<float>& states) {
        return states.visit([]<class S>(const View<S, 4>& view) -> SlotStates {
            return {view.data(), view.stride(0), view.stride(1), view.stride(2), dtype_v<S>};
        });
    }

    /// Of one slot's head.
    template <class S>
    [[nodiscard]] __device__ __forceinline__ StateColumns<S> columns(int in_slot, int of_head,
                                                                     int d_k, int d_v) const {
        return columns_at(static_cast<S*>(data) + in_slot * slot + of_head * head, row, {d_k, d_v});
    }
};

}  // namespace deltanet::cuda
