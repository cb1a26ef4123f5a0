// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Recurrent states as the delta rule takes them: a view whose elements are of the type that the
/// arithmetic is done in, or of a narrower storage type.
#pragma once

#include <deltanet/ops/state_columns.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace deltanet {

/// States [n_slots, H_v, d_k, d_v]. Made from a view of T, and for float also from one of bf16, f16
/// or i8; then a call of the delta rule reads, computes in float, and rounds once when it writes.
/// Heads of an int8 state are blocks (state_columns.hpp), of which the view shows the first part.
template <class T>
class StateView {
  public:
    constexpr StateView() noexcept = default;
    constexpr StateView(const View<T, 4>& view) noexcept
        : StateView(view, Storage::same) {}                  // NOLINT
    constexpr StateView(const View<bf16, 4>& view) noexcept  // NOLINT
        requires std::same_as<T, float> : StateView(view, Storage::bf16) {}
    constexpr StateView(const View<f16, 4>& view) noexcept  // NOLINT
        requires std::same_as<T, float> : StateView(view, Storage::f16) {}
    constexpr StateView(const View<i8, 4>& view) noexcept  // NOLINT
        requires std::same_as<T, float> : StateView(view, Storage::i8) {}

    /// As a view of T is made.
    constexpr StateView(T* data, const Shape<4>& shape) noexcept
        : StateView(View<T, 4>(data, shape)) {}
    constexpr StateView(T* data, const Shape<4>& shape, const Shape<4>& strides) noexcept
        : StateView(View<T, 4>(data, shape, strides)) {}

    [[nodiscard]] constexpr const Shape<4>& shape() const noexcept { return shape_; }
    [[nodiscard]] constexpr index_t size(int dim) const noexcept {
        return shape_[static_cast<std::size_t>(dim)];
    }
    [[nodiscard]] constexpr void* data() const noexcept { return data_; }

    /// f(view) with the view that this was made from.
    template <class F>
    constexpr decltype(auto) visit(F&& f) const {
        if constexpr (std::same_as<T, float>) {
            if (storage_ == Storage::bf16) return f(as<bf16>());
            if (storage_ == Storage::f16) return f(as<f16>());
            if (storage_ == Storage::i8) return f(as<i8>());
        }
        return f(as<T>());
    }

  private:
    enum class Storage : std::uint8_t { same, bf16, f16, i8 };

    template <class S>
    constexpr StateView(const View<S, 4>& view, Storage storage) noexcept
        : data_(view.data()), shape_(view.shape()), strides_(view.strides()), storage_(storage) {}

    template <class S>
    [[nodiscard]] constexpr View<S, 4> as() const noexcept {
        return {static_cast<S*>(data_), shape_, strides_};
    }

    void* data_ = nullptr;
    Shape<4> shape_{};
    Shape<4> strides_{};
    Storage storage_ = Storage::same;
};

namespace detail {

/// f(h, i, j, element) over the state in one slot, elements as double.
template <class T, class F>
void for_each_element(const StateView<T>& states, index_t slot, F&& f) {
    states.visit([&](const auto& view) {
        for (index_t h = 0; h < view.size(1); ++h) {
            const auto columns = columns_of(view, slot, h);
            for (index_t i = 0; i < view.size(2); ++i) {
                for (index_t j = 0; j < view.size(3); ++j) f(h, i, j, element_of(columns, i, j));
            }
        }
    });
}

/// The state in one slot becomes f(h, i, j), each of them possibly asked for more than once.
template <class T, class F>
void store_elements(const StateView<T>& states, index_t slot, F&& f) {
    states.visit([&](const auto& view) {
        for (index_t h = 0; h < view.size(1); ++h) {
            store_elements(columns_of(view, slot, h), view.size(2), view.size(3),
                           [&](index_t i, index_t j) { return f(h, i, j); });
        }
    });
}

}  // namespace detail
}  // namespace deltanet
