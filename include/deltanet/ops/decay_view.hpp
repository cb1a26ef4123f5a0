// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Log decays as the delta rule takes them: one per value head, or one per value head and key
/// channel.
#pragma once

#include <deltanet/views.hpp>

namespace deltanet {

/// Made from a view [n_tokens, H_v] (Gated DeltaNet) or [n_tokens, H_v, d_k] (Kimi Delta Attention,
/// arXiv 2510.26692).
template <class T>
class DecayView {
  public:
    constexpr DecayView() noexcept = default;
    constexpr DecayView(const View<const T, 2>& view) noexcept  // NOLINT
        : view_(view.data(), {view.size(0), view.size(1), 1}, {view.stride(0), view.stride(1), 0}) {
    }
    constexpr DecayView(const View<const T, 3>& view) noexcept  // NOLINT
        : view_(view), per_channel_(true) {}
    constexpr DecayView(const View<T, 2>& view) noexcept  // NOLINT
        : DecayView(View<const T, 2>(view)) {}
    constexpr DecayView(const View<T, 3>& view) noexcept  // NOLINT
        : DecayView(View<const T, 3>(view)) {}

    /// One per value head, dense.
    constexpr DecayView(const T* data, const Shape<2>& shape) noexcept
        : DecayView(View<const T, 2>(data, shape)) {}

    [[nodiscard]] constexpr bool per_channel() const noexcept { return per_channel_; }

    /// [n_tokens, H_v]: the decay of a value head, or that of its first channel.
    [[nodiscard]] constexpr View<const T, 2> heads() const noexcept {
        return {view_.data(), {view_.size(0), view_.size(1)}, {view_.stride(0), view_.stride(1)}};
    }
    /// [n_tokens, H_v, d_k]; with one decay per head [n_tokens, H_v, 1].
    [[nodiscard]] constexpr const View<const T, 3>& channels() const noexcept { return view_; }

    /// Of token t, value head h and key channel i.
    [[nodiscard]] constexpr const T& operator()(index_t t, index_t h, index_t i) const noexcept {
        return *view_.ptr(t, h, per_channel_ ? i : 0);
    }

  private:
    View<const T, 3> view_;
    bool per_channel_ = false;
};

}  // namespace deltanet
