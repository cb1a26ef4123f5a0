// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Columns of a state in a slot, of whatever storage type, to and from a panel in scratch memory:
/// [d_k, Cols] of the type of the arithmetic, rows dense and aligned, zeros behind the last column.
#pragma once

#include <deltanet/cpu/quantized.hpp>

#include <type_traits>

namespace deltanet::cpu {

/// Rows [first, last) as a step reads them that does not write the state: of int8 the integers, and
/// what is made of them is to be multiplied by the scales (`scale_reads`).
template <class Arch, index_t Cols, class T, class S>
DELTANET_FORCE_INLINE void read_state_rows(const StateColumns<S>& from, index_t width,
                                           index_t first, index_t last, T* panel) noexcept {
    const S* row = from.row(first);
    const index_t stride = from.stride;
    T* to = panel + first * Cols;
    T* const end = panel + last * Cols;
    const auto rows = [&](auto whole) noexcept {
        for (; to != end; row += stride, to += Cols) {
            for (index_t c = 0; c < Cols; c += lanes<Arch, T>)
                load<Arch>(row + c, whole.value ? Cols : width - c).store_aligned(to + c);
        }
    };
    width >= Cols ? rows(std::true_type{}) : rows(std::false_type{});
}

/// The factor that is left out of the above, for `n_rows` rows of products with it.
template <class Arch, index_t Cols, class T, class S>
DELTANET_FORCE_INLINE void scale_reads([[maybe_unused]] const StateColumns<S>& from,
                                       [[maybe_unused]] index_t width,
                                       [[maybe_unused]] index_t n_rows,
                                       [[maybe_unused]] T* reads) noexcept {
    if constexpr (std::is_same_v<S, i8>) {
        using Batch = xsimd::batch<T, Arch>;
        for (index_t c = 0; c < Cols; c += lanes<Arch, T>) {
            const Batch scale = load<Arch>(from.scale + c, width - c);
            for (index_t i = 0; i < n_rows; ++i) {
                T* const row = reads + i * Cols + c;
                (scale * Batch::load_aligned(row)).store_aligned(row);
            }
        }
    }
}

/// All rows, to the last bit that is stored.
template <class Arch, index_t Cols, class T, class S>
DELTANET_FORCE_INLINE void load_state_panel(const StateColumns<S>& from, index_t width, index_t d_k,
                                            T* panel) noexcept {
    if constexpr (std::is_same_v<S, i8>) {
        load_quantized<Arch, Cols>(from, width, d_k, panel);
    } else {
        read_state_rows<Arch, Cols>(from, width, 0, d_k, panel);
    }
}

/// Rows [first, last) of a state that is not int8 back, rounded to nearest; up to Cols columns and
/// nothing behind them.
template <class Arch, index_t Cols, class T, class S>
DELTANET_FORCE_INLINE void write_state_rows(const T* panel, const StateColumns<S>& to,
                                            index_t width, index_t first, index_t last) noexcept {
    const index_t count = width < Cols ? width : Cols;
    for (index_t i = first; i < last; ++i) {
        S* const row = to.row(i);
        const T* const from = panel + i * Cols;
        for_each_vector<Arch, T>(count, [=](index_t c, auto n) noexcept {
            store<Arch>(row + c, load<Arch>(from + c), n);
        });
    }
}

/// All rows.
template <class Arch, index_t Cols, class T, class S>
DELTANET_FORCE_INLINE void store_state_panel(const T* panel, const StateColumns<S>& to,
                                             index_t width, index_t d_k) noexcept {
    if constexpr (std::is_same_v<S, i8>) {
        store_quantized<Arch, Cols>(panel, to, width < Cols ? width : Cols, d_k);
    } else {
        write_state_rows<Arch, Cols>(panel, to, width, 0, d_k);
    }
}

/// Zeros.
template <class S>
DELTANET_FORCE_INLINE void clear_state(const StateColumns<S>& columns, index_t width,
                                       index_t d_k) noexcept {
    for (index_t i = 0; i < d_k; ++i) {
        for (index_t j = 0; j < width; ++j) columns.row(i)[j] = S{};
        if constexpr (std::is_same_v<S, i8>) {
            for (index_t j = 0; j < width; ++j) columns.residual_row(i)[j] = 0;
        }
    }
    if constexpr (std::is_same_v<S, i8>) {
        for (index_t j = 0; j < width; ++j) columns.scale[j] = 0.0F;
    }
}

}  // namespace deltanet::cpu
