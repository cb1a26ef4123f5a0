// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The checks that stand at the edge of every op, and the texts they fail with. None of them writes
/// anything; all of them name the function, the argument, what was expected and what was found.
#pragma once

#include <deltanet/error.hpp>
#include <deltanet/views.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace deltanet::detail {

template <std::size_t N>
[[nodiscard]] std::string shape_text(const std::array<index_t, N>& shape) {
    std::string text = "[";
    for (std::size_t d = 0; d < N; ++d) text += concat(d == 0 ? "" : ", ", shape[d]);
    return text + "]";
}

/// The values of an index over `count` things, for messages.
[[nodiscard]] inline std::string range_text(index_t count) {
    return count > 0 ? concat("0 to ", count - 1) : std::string("none, as there are none");
}

/// `value` is one of the indices of `count` things.
inline void check_range(std::string_view function, std::string_view argument, index_t value,
                        index_t count) {
    if (value < 0 || value >= count) fail(function, argument, range_text(count), concat(value));
}

/// `value >= minimum`.
inline void check_at_least(std::string_view function, std::string_view argument, index_t value,
                           index_t minimum) {
    if (value < minimum) fail(function, argument, concat("at least ", minimum), concat(value));
}

/// The view has exactly this shape, and data if it has any element.
template <class T, int Rank>
void check_shape(std::string_view function, std::string_view argument, View<T, Rank> view,
                 const Shape<Rank>& expected) {
    if (view.shape() != expected) {
        fail(function, argument, concat("shape ", shape_text(expected)),
             concat("shape ", shape_text(view.shape())));
    }
    if (view.data() == nullptr && !view.empty()) {
        fail(function, argument, concat("data for shape ", shape_text(expected)), "a null pointer");
    }
}

/// Elements of the innermost dimension stand side by side: what kernels load as vectors.
template <class T, int Rank>
void check_contiguous_rows(std::string_view function, std::string_view argument,
                           View<T, Rank> view) {
    if (view.size(Rank - 1) > 1 && view.stride(Rank - 1) != 1) {
        fail(function, argument, "innermost stride 1",
             concat("strides ", shape_text(view.strides())));
    }
}

/// No element is reached by two indices, so that it can be written. Sufficient and in practice
/// necessary: with dimensions ordered by stride, each step jumps over all that lies inside it.
template <class T, int Rank>
void check_writable(std::string_view function, std::string_view argument, View<T, Rank> view) {
    if (view.empty()) return;
    Shape<Rank> shape = view.shape();
    Shape<Rank> strides = view.strides();
    for (std::size_t i = 1; i < shape.size(); ++i) {  // insertion sort by stride: rank is at most 4
        for (std::size_t j = i; j > 0 && strides[j] < strides[j - 1]; --j) {
            std::swap(strides[j], strides[j - 1]);
            std::swap(shape[j], shape[j - 1]);
        }
    }
    index_t span = 1;  // elements from the first to behind the last of the dimensions so far
    for (std::size_t d = 0; d < shape.size(); ++d) {
        if (shape[d] > 1 && strides[d] < span) {
            fail(function, argument, "strides under which no two indices share an element",
                 concat("shape ", shape_text(view.shape()), " with strides ",
                        shape_text(view.strides())));
        }
        span += (shape[d] - 1) * strides[d];
    }
}

/// Shape, contiguous rows and, for mutable elements, distinct elements.
template <class T, int Rank>
void check_tensor(std::string_view function, std::string_view argument, View<T, Rank> view,
                  const Shape<Rank>& expected) {
    check_shape(function, argument, view, expected);
    check_contiguous_rows(function, argument, view);
    if constexpr (!std::is_const_v<T>) check_writable(function, argument, view);
}

/// First byte and one past the last byte that a view reaches.
template <class T, int Rank>
[[nodiscard]] std::array<std::uintptr_t, 2> byte_range(View<T, Rank> view) {
    const auto first = reinterpret_cast<std::uintptr_t>(view.data());
    if (view.empty()) return {first, first};
    index_t lowest = 0;
    index_t highest = 0;
    for (int d = 0; d < Rank; ++d) {
        const index_t reach = (view.size(d) - 1) * view.stride(d);
        (reach < 0 ? lowest : highest) += reach;
    }
    const auto bytes = [](index_t elements) {
        return static_cast<std::uintptr_t>(elements) * sizeof(T);  // modulo 2^64, as addresses are
    };
    return {first + bytes(lowest), first + bytes(highest + 1)};
}

/// The two views share no byte range. An empty view shares nothing.
template <class T, int RankT, class U, int RankU>
void check_disjoint(std::string_view function, std::string_view argument, View<T, RankT> view,
                    std::string_view other_name, View<U, RankU> other) {
    if (view.empty() || other.empty()) return;
    const auto [first, last] = byte_range(view);
    const auto [other_first, other_last] = byte_range(other);
    if (first < other_last && other_first < last) {
        fail(function, argument, concat("memory apart from that of ", other_name),
             "memory that overlaps it");
    }
}

/// A list of rows, if there is one, names rows in [0, n_rows).
inline void check_row_list(std::string_view function,
                           const std::optional<std::span<const index_t>>& rows, index_t n_rows) {
    if (!rows) return;
    for (std::size_t j = 0; j < rows->size(); ++j) {
        const index_t row = (*rows)[j];
        if (row < 0 || row >= n_rows)  // the text costs memory
            check_range(function, concat("rows[", j, "]"), row, n_rows);
    }
}

}  // namespace deltanet::detail
