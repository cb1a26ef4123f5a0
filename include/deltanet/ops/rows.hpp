// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Row traffic around the layer: bringing the rows of x into sequence order, and the residual.
///   gather_rows: output[j, :] = input[rows[j], :]
///   add_rows:    output[j, :] += input[rows[j], :]           rows left out: row j itself
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/views.hpp>

#include <optional>
#include <span>

namespace deltanet {

template <class T>
struct RowsArgs {
    View<const T, 2> input;  ///< [n_rows, n]
    View<T, 2> output;       ///< [n_selected, n]
    std::optional<std::span<const index_t>> rows{};
};

namespace detail {
template <class T>
void check_rows(const char* where, const RowsArgs<T>& args) {
    const index_t n_selected =
        args.rows ? static_cast<index_t>(args.rows->size()) : args.input.size(0);
    check_tensor(where, "input", args.input, args.input.shape());
    check_tensor(where, "output", args.output, {n_selected, args.input.size(1)});
    check_disjoint(where, "output", args.output, "input", args.input);
    check_row_list(where, args.rows, args.input.size(0));
}
}  // namespace detail

/// Innermost strides are 1, input and output do not overlap. Throws `Error` before anything is
/// written.
template <class Backend, class T>
void gather_rows(Backend& backend, const RowsArgs<T>& args) {
    detail::check_rows("gather_rows", args);
    backend.gather_rows(args);
}

/// As gather_rows, adding.
template <class Backend, class T>
void add_rows(Backend& backend, const RowsArgs<T>& args) {
    detail::check_rows("add_rows", args);
    backend.add_rows(args);
}

}  // namespace deltanet
