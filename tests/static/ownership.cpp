// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Who owns memory can be moved and not copied; what is a value can be copied; errors are one type.
#include <deltanet/batch.hpp>
#include <deltanet/state_slots.hpp>
#include <deltanet/workspace.hpp>

#include <stdexcept>
#include <type_traits>
#include <utility>

namespace deltanet {
namespace {

template <class T>
concept MoveOnly = std::is_nothrow_move_constructible_v<T> &&
                   std::is_nothrow_move_assignable_v<T> && !std::is_copy_constructible_v<T> &&
                   !std::is_copy_assignable_v<T>;

static_assert(MoveOnly<StateSlots>);
static_assert(MoveOnly<Workspace>);
static_assert(!std::is_default_constructible_v<StateSlots>);

static_assert(std::is_copy_constructible_v<Batch> && std::is_copy_assignable_v<Batch>);
static_assert(std::is_nothrow_move_constructible_v<Batch> &&
              std::is_default_constructible_v<Batch>);
static_assert(noexcept(std::declval<Batch&>().clear()));
static_assert(noexcept(std::declval<const Batch&>().sequences()) && noexcept(
    std::declval<const Batch&>().output_rows()));

// memory given by the caller is never taken by accident
static_assert(!std::is_convertible_v<std::span<std::byte>, Workspace>);

// a slot's size is known before there is any
constexpr LayerConfig kConfig = [] {
    LayerConfig config;
    config.hidden = 8;
    config.n_heads_k = 2;
    config.n_heads_v = 4;
    config.d_k = 3;
    config.d_v = 5;
    return config;
}();
static_assert(StateSlots::row_floats(kConfig) == 3 * 32 + 60 &&
              StateSlots::bytes_per_slot(kConfig, 2) == 2 * 4 * 156);
static_assert(
    noexcept(StateSlots::row_floats(kConfig)) && noexcept(StateSlots::bytes_per_slot(kConfig)));
static_assert(noexcept(std::declval<const StateSlots&>().n_slots()) && noexcept(
    std::declval<const StateSlots&>().n_layers()));

// caught as what it is or as the standard's
static_assert(std::is_convertible_v<Error*, std::invalid_argument*> &&
              std::is_convertible_v<Error*, std::exception*>);

}  // namespace
}  // namespace deltanet
