// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Decay and beta of a block of value heads from their raw projections:
///   decay_log[t, h] = -exp(A_log[h]) softplus(a[t, h] + dt_bias[h])
///   beta[t, h]      = factor sigmoid(b[t, h])
/// Vectors run over heads. The inputs have any strides (in some models a and b of a head group are
/// interleaved); they come through a gather into a small buffer unless their heads lie side by
/// side.
#pragma once

#include <deltanet/cpu/simd.hpp>
#include <deltanet/cpu/tuning.hpp>

namespace deltanet::cpu::kernels {

/// A [n_tokens, groups, per_group] input whose head h is (h / per_group, h mod per_group).
template <class T>
struct GateInput {
    const T* data;
    index_t token_stride;
    index_t group_stride;
    index_t head_stride;
    index_t per_group;

    /// Heads lie side by side across groups.
    [[nodiscard]] DELTANET_FORCE_INLINE bool dense() const noexcept {
        return head_stride == 1 && group_stride == per_group;
    }

    /// Heads h to h + count of a token, zeros behind them.
    template <class Arch>
    [[nodiscard]] DELTANET_FORCE_INLINE xsimd::batch<T, Arch> load_heads(
        index_t token, index_t h, index_t count) const noexcept {
        const T* const row = data + token * token_stride;
        if (dense()) return load<Arch>(row + h, count);
        alignas(64) T buffer[xsimd::batch<T, Arch>::size] = {};
        for (index_t i = 0; i < count && i < lanes<Arch, T>; ++i) {
            buffer[i] = row[(h + i) / per_group * group_stride + (h + i) % per_group * head_stride];
        }
        return xsimd::batch<T, Arch>::load_aligned(buffer);
    }
};

/// Tokens [first, last) of heads [h0, h0 + n_heads), n_heads at most tuning::gate_heads. A_log and
/// dt_bias [H_v] with strides; decay_log and beta [n_tokens, H_v], heads side by side.
template <class Arch, class T>
void gates(const GateInput<T>& a, const GateInput<T>& b, const T* A_log, index_t A_stride,
           const T* dt_bias, index_t dt_stride, T beta_factor, T* decay_log, index_t decay_stride,
           T* beta, index_t beta_stride, index_t first, index_t last, index_t h0,
           index_t n_heads) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    static_assert(tuning::gate_heads % lanes<Arch, T> == 0);
    alignas(64) T rate[tuning::gate_heads] = {};
    alignas(64) T bias[tuning::gate_heads] = {};
    for (index_t i = 0; i < n_heads; ++i) {
        rate[i] = A_log[(h0 + i) * A_stride];
        bias[i] = dt_bias[(h0 + i) * dt_stride];
    }
    for (index_t i = 0; i < n_heads; i += lanes<Arch, T>) {
        (-cpu::exp(Batch::load_aligned(rate + i))).store_aligned(rate + i);
    }
    for (index_t t = first; t < last; ++t) {
        for (index_t i = 0; i < n_heads; i += lanes<Arch, T>) {
            const index_t h = h0 + i;
            const index_t count = n_heads - i;
            const Batch raw_a = a.template load_heads<Arch>(t, h, count);
            const Batch raw_b = b.template load_heads<Arch>(t, h, count);
            const Batch decay =
                Batch::load_aligned(rate + i) * softplus(raw_a + Batch::load_aligned(bias + i));
            store<Arch>(decay_log + t * decay_stride + h, decay, count);
            store<Arch>(beta + t * beta_stride + h, Batch(beta_factor) * sigmoid(raw_b), count);
        }
    }
}

}  // namespace deltanet::cpu::kernels
