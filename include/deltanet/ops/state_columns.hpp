// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The columns of one head's recurrent state, whatever it is stored as, and the form of int8
/// states.
///
/// In int8 a value channel (a column of S [d_k, d_v]; a row where states are stored transposed) has
/// one scale, and every element two parts:
///   S_ij = scale_j (c_ij + r_ij / 15),   c_ij in -127 .. 127,   r_ij in -7 .. 7
/// c is what steps read that write nothing (pending updates): S^T k needs a byte per element, and
/// the scale once. r is what rounding to c left. It is added back whenever the state is written, so
/// errors of rounding do not add up (error feedback). A head is one block of bytes:
///   [ c [d_k, d_v] | r in 4 bits, two rows in a byte, the even one low [ceil(d_k / 2), d_v]
///     | scale [d_v] ]
/// each part padded to 4 bytes. Zero bytes are a state of zeros. A column with an element that is
/// not finite is NaN as a whole.
#pragma once

#include <deltanet/dtype.hpp>
#include <deltanet/views.hpp>

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace deltanet {

/// Offsets inside the block of one int8 head, in bytes.
struct QuantizedHead {
    index_t d_k, d_v;

    [[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t residual() const noexcept {
        return padded(d_k * d_v);
    }
    [[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t scale() const noexcept {
        return residual() + padded((d_k + 1) / 2 * d_v);
    }
    [[nodiscard]] DELTANET_FORCE_INLINE constexpr index_t bytes() const noexcept {
        return scale() + d_v * static_cast<index_t>(sizeof(float));
    }

  private:
    [[nodiscard]] DELTANET_FORCE_INLINE static constexpr index_t padded(index_t n) noexcept {
        return (n + 3) / 4 * 4;
    }
};

/// Bytes of a head's state.
[[nodiscard]] constexpr index_t state_head_bytes(DType dtype, index_t d_k, index_t d_v) noexcept {
    return dtype == DType::i8 ? QuantizedHead{d_k, d_v}.bytes() : d_k * d_v * size_of(dtype);
}

/// Columns from some column on, rows `stride` elements apart.
template <class S>
struct StateColumns {
    S* data;
    index_t stride;

    [[nodiscard]] DELTANET_FORCE_INLINE constexpr S* row(index_t i) const noexcept {
        return data + i * stride;
    }
    [[nodiscard]] DELTANET_FORCE_INLINE constexpr StateColumns from(index_t column) const noexcept {
        return {data + column, stride};
    }
};
template <>
struct StateColumns<i8> {
    i8* data;  ///< c
    index_t stride;
    std::uint8_t* residual;  ///< rows as far apart as those of c
    float* scale;

    [[nodiscard]] DELTANET_FORCE_INLINE constexpr i8* row(index_t i) const noexcept {
        return data + i * stride;
    }
    [[nodiscard]] DELTANET_FORCE_INLINE constexpr std::uint8_t* residual_row(
        index_t i) const noexcept {
        return residual + i / 2 * stride;
    }
    [[nodiscard]] DELTANET_FORCE_INLINE constexpr StateColumns from(index_t column) const noexcept {
        return {data + column, stride, residual + column, scale + column};
    }
};

/// Those of the head of `sizes` that begins at `data`. Not evaluated by a compiler; kernels of GPUs
/// call what is constexpr.
template <class S>
[[nodiscard]] DELTANET_FORCE_INLINE constexpr StateColumns<S> columns_at(
    S* data, index_t stride, [[maybe_unused]] const QuantizedHead& sizes) noexcept {
    if constexpr (std::is_same_v<S, i8>) {
        auto* const bytes = reinterpret_cast<std::uint8_t*>(data);
        return {data, stride, bytes + sizes.residual(),
                reinterpret_cast<float*>(bytes + sizes.scale())};
    } else {
        return {data, stride};
    }
}

/// Those of head h of a slot.
template <class S>
[[nodiscard]] DELTANET_FORCE_INLINE StateColumns<S> columns_of(const View<S, 4>& states,
                                                               index_t slot, index_t h) noexcept {
    return columns_at(states.ptr(slot, h), states.stride(2), {states.size(2), states.size(3)});
}

namespace detail {

inline constexpr int kResidualSteps = 15;

/// The r of an element.
[[nodiscard]] inline int residual_of(const StateColumns<i8>& columns, index_t i,
                                     index_t j) noexcept {
    const unsigned both = columns.residual_row(i)[j];
    return static_cast<int>((i % 2 == 0 ? both & 15U : both >> 4) ^ 8U) - 8;  // sign extended
}

/// An element, to the last bit that is stored. `coarse`: what a step reads that writes nothing.
template <class S>
[[nodiscard]] double element_of(const StateColumns<S>& columns, index_t i, index_t j,
                                bool coarse = false) noexcept {
    const S stored = columns.row(i)[j];
    if constexpr (std::is_same_v<S, i8>) {
        const double r = coarse ? 0.0 : residual_of(columns, i, j) / double{kResidualSteps};
        return static_cast<double>(columns.scale[j]) * (stored.value + r);
    } else if constexpr (std::is_arithmetic_v<S>) {
        return static_cast<double>(stored);
    } else {
        return static_cast<double>(to_float(stored));
    }
}

/// Column j becomes f(i), i < d_k, each of them asked for more than once.
template <class F>
void quantize_column(const StateColumns<i8>& columns, index_t d_k, index_t j, F&& f) noexcept {
    double largest = 0.0;
    double poison = 0.0;
    for (index_t i = 0; i < d_k; ++i) {
        largest = std::max(largest, std::abs(f(i)));
        poison += 0.0 * f(i);
    }
    const bool is_zero = largest < 0x1p-100;  // and poison 0
    columns.scale[j] = is_zero && poison == 0.0 ? 0.0F : static_cast<float>(largest / 127 + poison);
    const double inverse = is_zero || poison != 0.0 ? 0.0 : 127 / largest;
    for (index_t i = 0; i < d_k; ++i) {
        const double x = poison == 0.0 ? f(i) * inverse : 0.0;
        const double c = std::nearbyint(x);
        const double r = std::clamp(std::nearbyint((x - c) * kResidualSteps), -7.0, 7.0);
        const unsigned nibble = static_cast<unsigned>(static_cast<int>(r)) & 15U;
        std::uint8_t& both = columns.residual_row(i)[j];
        columns.row(i)[j].value = static_cast<std::int8_t>(c);
        both = static_cast<std::uint8_t>(i % 2 == 0 ? nibble : (both & 15U) | nibble << 4);
    }
}

/// The columns [0, width) become f(i, j), each element asked for more than once by int8 states,
/// which are rounded by columns.
template <class S, class F>
void store_elements(const StateColumns<S>& columns, index_t d_k, index_t width, F&& f) noexcept {
    for (index_t j = 0; j < width; ++j) {
        if constexpr (std::is_same_v<S, i8>) {
            quantize_column(columns, d_k, j, [&](index_t i) { return f(i, j); });
        } else {
            for (index_t i = 0; i < d_k; ++i) {
                const double x = f(i, j);
                if constexpr (std::is_arithmetic_v<S>) {
                    columns.row(i)[j] = static_cast<S>(x);
                } else {
                    columns.row(i)[j] = from_float<S>(static_cast<float>(x));
                }
            }
        }
    }
}

}  // namespace detail
}  // namespace deltanet
