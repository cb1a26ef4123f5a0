// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Views as types: cheap to pass by value, const-correct, usable in constant expressions.
#include <deltanet/dtype.hpp>
#include <deltanet/sequence.hpp>
#include <deltanet/views.hpp>

#include <type_traits>
#include <utility>

namespace deltanet {
namespace {

template <class T>
concept PassedByValue = std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>;

static_assert(PassedByValue<View<float, 1>> && PassedByValue<View<const float, 4>> &&
              PassedByValue<View<double, 2>>);
static_assert(PassedByValue<SequenceSpan> && PassedByValue<bf16> && PassedByValue<f16>);
static_assert(sizeof(View<float, 2>) == sizeof(float*) + 4 * sizeof(index_t));
static_assert(std::is_nothrow_default_constructible_v<View<float, 3>>);

// mutable reads as const and never the other way round; ranks and element types do not mix
static_assert(std::is_convertible_v<View<float, 2>, View<const float, 2>>);
static_assert(std::is_nothrow_constructible_v<View<const float, 2>, View<float, 2>>);
static_assert(!std::is_constructible_v<View<float, 2>, View<const float, 2>>);
static_assert(!std::is_constructible_v<View<const double, 2>, View<float, 2>>);
static_assert(!std::is_constructible_v<View<const float, 3>, View<float, 2>>);
static_assert(!std::is_constructible_v<View<float, 2>, const float*, Shape<2>>);

using Mutable = View<float, 3>;
using Const = View<const float, 3>;
static_assert(std::is_same_v<decltype(std::declval<Mutable>()(0, 0, 0)), float&>);
static_assert(std::is_same_v<decltype(std::declval<Const>()(0, 0, 0)), const float&>);
static_assert(std::is_same_v<decltype(std::declval<Const>()[0]), View<const float, 2>>);
static_assert(std::is_same_v<Const::value_type, float> &&
              std::is_same_v<Const::element_type, const float>);
static_assert(Const::rank == 3);

// a view indexes with all of its dimensions, points with some of them, and a row has no rows
template <class V, class... Indices>
concept Indexed = requires(V view, Indices... indices) {
    view(indices...);
};
template <class V, class... Indices>
concept Pointed = requires(V view, Indices... indices) {
    view.ptr(indices...);
};
template <class V>
concept HasRows = requires(V view) {
    view[0];
};
static_assert(Indexed<Mutable, int, long, index_t> && !Indexed<Mutable, int, int> &&
              !Indexed<Mutable, int, int, int, int>);
static_assert(Pointed<Mutable, int> && Pointed<Mutable, int, int, int> && !Pointed<Mutable> &&
              !Pointed<Mutable, int, int, int, int>);
static_assert(HasRows<View<float, 2>> && !HasRows<View<float, 1>>);

// what a view says, it says without throwing
constexpr Const kView;
static_assert(noexcept(kView.data()) && noexcept(kView.shape()) && noexcept(kView.strides()));
static_assert(noexcept(kView.size(0)) && noexcept(kView.stride(0)) && noexcept(
    kView.count()) && noexcept(kView.empty()));
static_assert(noexcept(kView.ptr(0)) && noexcept(kView(0, 0, 0)) && noexcept(kView[0]) && noexcept(
    kView.slice(0, 0, 0)));

// and at compile time
constexpr float kValues[] = {0, 1, 2, 3, 4, 5};
constexpr View<const float, 2> kMatrix(kValues, {2, 3});
static_assert(kMatrix(1, 2) == 5 && kMatrix[1](0) == 3 && kMatrix.slice(1, 1, 2)(0, 1) == 2);
static_assert(kMatrix.count() == 6 && kMatrix.strides() == Shape<2>{3, 1} && !kMatrix.empty() &&
              kView.empty());
static_assert(View<const float, 2>(kValues, {3, 2}, {1, 3})(2, 1) == 5);

// sizes are signed and 64 bits wide
static_assert(std::is_signed_v<index_t> && sizeof(index_t) == 8);
static_assert(sizeof(bf16) == 2 && sizeof(f16) == 2);

}  // namespace
}  // namespace deltanet
