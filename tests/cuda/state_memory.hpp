// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// States of every storage type as tests keep them: heads side by side in a vector of S, which for
/// int8 are blocks (ops/state_columns.hpp), and the same in device memory.
#pragma once

#include "cuda/device.hpp"
#include <deltanet/ops/state_view.hpp>

#include <cmath>
#include <random>
#include <vector>

namespace deltanet::test {

/// Elements of a vector that one head takes.
template <class S>
[[nodiscard]] index_t head_elements(const Shape<4>& shape) {
    return state_head_bytes(dtype_v<S>, shape[2], shape[3]) / static_cast<index_t>(sizeof(S));
}
template <class S>
[[nodiscard]] index_t slot_elements(const Shape<4>& shape) {
    return shape[1] * head_elements<S>(shape);
}

/// States [n_slots, H_v, d_k, d_v] in a host's memory.
template <class S>
[[nodiscard]] StateView<float> host_states(std::vector<S>& memory, const Shape<4>& shape) {
    const index_t head = head_elements<S>(shape);
    return View<S, 4>(memory.data(), shape, {shape[1] * head, head, shape[3], 1});
}

/// Uniform in [-1, 1), rounded.
template <class S>
[[nodiscard]] std::vector<S> random_states(const Shape<4>& shape, std::mt19937& generator) {
    std::vector<S> memory(static_cast<std::size_t>(shape[0] * slot_elements<S>(shape)));
    const StateView<float> states = host_states(memory, shape);
    std::vector<double> values(static_cast<std::size_t>(shape[1] * shape[2] * shape[3]));
    for (index_t slot = 0; slot < shape[0]; ++slot) {
        for (double& x : values) x = 2.0 * static_cast<double>(generator()) / 4294967296.0 - 1.0;
        detail::store_elements(states, slot, [&](index_t h, index_t i, index_t j) {
            return values[static_cast<std::size_t>((h * shape[2] + i) * shape[3] + j)];
        });
    }
    return memory;
}

/// Every element of a slot becomes x.
template <class S>
void fill_slot(std::vector<S>& memory, const Shape<4>& shape, index_t slot, double x) {
    detail::store_elements(host_states(memory, shape), slot,
                           [x](index_t, index_t, index_t) { return x; });
}

/// Elements in order, to the last bit that is stored.
template <class S>
[[nodiscard]] std::vector<double> state_values(std::vector<S>& memory, const Shape<4>& shape) {
    std::vector<double> values;
    for (index_t slot = 0; slot < shape[0]; ++slot) {
        detail::for_each_element(host_states(memory, shape), slot,
                                 [&](index_t, index_t, index_t, double x) { values.push_back(x); });
    }
    return values;
}

/// The relative size of half a unit in the last place: one rounding. Of int8 half a step of 1 / 15
/// of 1 / 127 of a column's largest element, which is up to four times the root mean square one.
template <class S>
inline constexpr double kStorageRounding = std::is_same_v<S, float>  ? 0x1p-24
                                           : std::is_same_v<S, bf16> ? 0x1p-9
                                           : std::is_same_v<S, f16>  ? 0x1p-12
                                                                     : 4 * 0.5 / 127 / 15;

/// States in device memory. Strides are `padding` elements more than dense ones, of int8 words: its
/// rows are dense and its heads lie at multiples of 4 bytes.
template <class S>
class DeviceStates {
  public:
    DeviceStates(const Shape<4>& shape, const std::vector<S>& memory, index_t padding = 0,
                 index_t misalign = 0)
        : shape_(shape), tensor_(shape, memory, padding, misalign) {}

    [[nodiscard]] StateView<float> view() { return tensor_.view(); }
    [[nodiscard]] std::vector<S> download() { return tensor_.download(); }

  private:
    Shape<4> shape_;
    DeviceTensor<S, 4> tensor_;
};
template <>
class DeviceStates<i8> {
  public:
    DeviceStates(const Shape<4>& shape, const std::vector<i8>& memory, index_t padding = 0,
                 index_t misalign = 0)
        : shape_(shape),
          blocks_({shape[0], shape[1], head_elements<i8>(shape)}, memory, 4 * padding,
                  4 * misalign) {}

    [[nodiscard]] StateView<float> view() {
        const Shape<3> strides = blocks_.view().strides();
        return View<i8, 4>(blocks_.data(), shape_, {strides[0], strides[1], shape_[3], 1});
    }
    [[nodiscard]] std::vector<i8> download() { return blocks_.download(); }

  private:
    Shape<4> shape_;
    DeviceTensor<i8, 3> blocks_;
};

}  // namespace deltanet::test
