// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Rows of slots as ops take them: the parts of detail/slot_layout.hpp as views over any number of
/// rows that are a stride apart.
#pragma once

#include <deltanet/detail/slot_layout.hpp>
#include <deltanet/ops/pending_updates.hpp>
#include <deltanet/ops/state_view.hpp>

namespace deltanet::detail {

struct SlotRows {
    SlotLayout layout;
    float* first = nullptr;
    index_t n_rows = 0;
    index_t stride = 0;  ///< in floats

    [[nodiscard]] float* row(index_t i) const noexcept { return first + i * stride; }

    /// [n_rows, W - 1 + R, conv_dim]
    [[nodiscard]] View<float, 3> conv() const noexcept {
        return {first, {n_rows, layout.conv_rows(), layout.conv_dim}, {stride, layout.conv_dim, 1}};
    }
    /// [n_rows, H_v, d_k, d_v], which are stored as S.
    template <class S>
    [[nodiscard]] View<S, 4> recurrent_as() const noexcept {
        constexpr auto per_float = static_cast<index_t>(sizeof(float) / sizeof(S));
        const index_t head = state_head_bytes(dtype_v<S>, layout.d_k, layout.d_v);
        void* const states = first + layout.recurrent();
        return {static_cast<S*>(states),
                {n_rows, layout.n_heads_v, layout.d_k, layout.d_v},
                {stride * per_float, head / static_cast<index_t>(sizeof(S)), layout.d_v, 1}};
    }
    /// The same, whatever they are stored as.
    [[nodiscard]] StateView<float> recurrent() const noexcept {
        switch (layout.state) {
            case DType::bf16:
                return recurrent_as<bf16>();
            case DType::f16:
                return recurrent_as<f16>();
            case DType::i8:
                return recurrent_as<i8>();
            case DType::f32:
                break;
        }
        return recurrent_as<float>();
    }
    [[nodiscard]] PendingUpdates<float> pending() const noexcept {
        const index_t R = layout.rollback;
        if (R == 0) return {};
        const index_t key = layout.n_heads_k * layout.d_k, value = layout.n_heads_v * layout.d_v;
        return {{first + layout.pending_k(),
                 {n_rows, R, layout.n_heads_k, layout.d_k},
                 {stride, key, layout.d_k, 1}},
                {first + layout.pending_u(),
                 {n_rows, R, layout.n_heads_v, layout.d_v},
                 {stride, value, layout.d_v, 1}},
                {first + layout.pending_log(),
                 {n_rows, R, layout.n_heads_v},
                 {stride, layout.n_heads_v, 1}}};
    }
};

}  // namespace deltanet::detail
