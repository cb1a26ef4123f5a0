// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Non-owning strided views: how every tensor enters and leaves the library. A view is a pointer, a
/// shape and strides in elements; it is trivially copyable and passed by value. Shapes are written
/// `[outermost, ..., innermost]` everywhere.
#pragma once

#include <deltanet/config.hpp>

#include <array>
#include <type_traits>

namespace deltanet {

template <int Rank>
using Shape = std::array<index_t, static_cast<std::size_t>(Rank)>;

/// A view of `Rank` dimensions over elements of type `T` (`const` for read-only). Indices are not
/// checked in release builds; the public functions check shapes instead.
template <class T, int Rank>
class View {
    static_assert(Rank >= 1 && Rank <= 4);

  public:
    using element_type = T;
    using value_type = std::remove_const_t<T>;
    static constexpr int rank = Rank;

    /// No data, all sizes zero.
    constexpr View() noexcept = default;

    /// Dense, row-major.
    constexpr View(T* data, const Shape<Rank>& shape) noexcept
        : data_(data), shape_(shape), strides_(dense_strides(shape)) {}

    /// Any strides, in elements.
    constexpr View(T* data, const Shape<Rank>& shape, const Shape<Rank>& strides) noexcept
        : data_(data), shape_(shape), strides_(strides) {}

    /// A view of mutable elements reads as a view of const ones.
    template <class U>
    requires(std::is_same_v<const U, T>) constexpr View(const View<U, Rank>& other) noexcept
        : data_(other.data()), shape_(other.shape()), strides_(other.strides()) {}

    [[nodiscard]] constexpr T* data() const noexcept { return data_; }
    [[nodiscard]] constexpr const Shape<Rank>& shape() const noexcept { return shape_; }
    [[nodiscard]] constexpr const Shape<Rank>& strides() const noexcept { return strides_; }
    [[nodiscard]] constexpr index_t size(int dim) const noexcept { return shape_[at(dim)]; }
    [[nodiscard]] constexpr index_t stride(int dim) const noexcept { return strides_[at(dim)]; }

    /// Number of elements.
    [[nodiscard]] constexpr index_t count() const noexcept {
        index_t product = 1;
        for (const index_t extent : shape_) product *= extent;
        return product;
    }

    [[nodiscard]] constexpr bool empty() const noexcept { return count() == 0; }

    /// Pointer to the element at the first indices given; those left out are 0.
    template <class... Indices>
    requires(sizeof...(Indices) >= 1 && sizeof...(Indices) <= Rank)
        [[nodiscard]] DELTANET_FORCE_INLINE constexpr T* ptr(Indices... indices) const noexcept {
        index_t offset = 0;
        int dim = 0;
        ((DELTANET_ASSERT(indices >= 0 && indices <= shape_[at(dim)]),
          offset += static_cast<index_t>(indices) * strides_[at(dim++)]),
         ...);
        return data_ + offset;
    }

    template <class... Indices>
    requires(sizeof...(Indices) == Rank) [[nodiscard]] constexpr T& operator()(
        Indices... indices) const noexcept {
        return *ptr(indices...);
    }

    /// The view at index `i` of the outermost dimension.
    [[nodiscard]] constexpr View<T, Rank - 1> operator[](index_t i) const noexcept
        requires(Rank >= 2) {
        Shape<Rank - 1> shape{};
        Shape<Rank - 1> strides{};
        for (std::size_t d = 0; d + 1 < static_cast<std::size_t>(Rank); ++d) {
            shape[d] = shape_[d + 1];
            strides[d] = strides_[d + 1];
        }
        return {ptr(i), shape, strides};
    }

    /// `count` indices of dimension `dim`, from `first`.
    [[nodiscard]] constexpr View slice(int dim, index_t first, index_t count) const noexcept {
        View part = *this;
        part.data_ = data_ == nullptr ? nullptr : data_ + first * strides_[at(dim)];
        part.shape_[at(dim)] = count;
        return part;
    }

  private:
    static constexpr std::size_t at(int dim) noexcept { return static_cast<std::size_t>(dim); }

    static constexpr Shape<Rank> dense_strides(const Shape<Rank>& shape) noexcept {
        Shape<Rank> strides{};
        index_t step = 1;
        for (int d = Rank - 1; d >= 0; --d) {
            strides[at(d)] = step;
            step *= shape[at(d)];
        }
        return strides;
    }

    T* data_ = nullptr;
    Shape<Rank> shape_{};
    Shape<Rank> strides_{};
};

static_assert(std::is_trivially_copyable_v<View<float, 3>>);

}  // namespace deltanet
