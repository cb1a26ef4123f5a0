// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The row loops of ops/rows.hpp, which both CPU backends share: there is nothing in them to
/// vectorise by hand and nothing to round.
#pragma once

#include <deltanet/ops/rows.hpp>

#include <algorithm>

namespace deltanet::detail {

/// f(source row, destination row, n) for every row of the output.
template <class T, class F>
void for_each_row(const RowsArgs<T>& args, F&& f) {
    for (index_t j = 0; j < args.output.size(0); ++j) {
        const index_t row = args.rows ? (*args.rows)[static_cast<std::size_t>(j)] : j;
        f(args.input.ptr(row), args.output.ptr(j), args.input.size(1));
    }
}

template <class T>
void gather_rows(const RowsArgs<T>& args) {
    for_each_row(args, [](const T* from, T* to, index_t n) { std::copy_n(from, n, to); });
}

template <class T>
void add_rows(const RowsArgs<T>& args) {
    for_each_row(args, [](const T* from, T* to, index_t n) {
        for (index_t i = 0; i < n; ++i) to[i] += from[i];
    });
}

/// Zeros in these rows.
template <class T>
void clear_rows(View<T, 2> y, std::span<const index_t> rows) {
    for (const index_t row : rows) std::fill_n(y.ptr(row), y.size(1), T(0));
}

}  // namespace deltanet::detail
