// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A layer with random weights, in every packing that checkpoints know, and a one-line forward.
#pragma once

#include "support/random.hpp"
#include <deltanet/layer.hpp>
#include <deltanet/linear/reference.hpp>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace deltanet::test {

[[nodiscard]] inline LayerConfig small_config(index_t n_heads_k = 2, index_t n_heads_v = 4,
                                              index_t d_k = 16, index_t d_v = 24,
                                              index_t hidden = 20) {
    LayerConfig config;
    config.hidden = hidden;
    config.n_heads_k = n_heads_k;
    config.n_heads_v = n_heads_v;
    config.d_k = d_k;
    config.d_v = d_v;
    return config;
}

/// Rows of a matrix [rows, cols].
struct Matrix {
    index_t cols = 0;
    std::vector<float> values;

    [[nodiscard]] index_t rows() const {
        return cols == 0 ? 0 : static_cast<index_t>(values.size()) / cols;
    }
    [[nodiscard]] View<const float, 2> view() const { return {values.data(), {rows(), cols}}; }
    /// Appends n rows of another, from `first`.
    void append(const Matrix& other, index_t first, index_t n) {
        cols = other.cols;
        values.insert(values.end(), other.values.begin() + first * cols,
                      other.values.begin() + (first + n) * cols);
    }
    void append(const Matrix& other) { append(other, 0, other.rows()); }
};

/// Owns the weights; movable. The views it hands out point into it.
struct RandomLayer {
    LayerConfig config;
    Matrix q, k, v, z, b, a, out;
    Matrix qkv, qkvz, ba;  ///< made of the six above
    Matrix conv;
    std::vector<float> conv_bias, A_log, dt_bias, norm, pre_norm;

    explicit RandomLayer(const LayerConfig& c, std::uint32_t seed = 1) : config(c) {
        Random random(seed);
        const auto matrix = [&](index_t rows, index_t cols, double scale) {
            return Matrix{cols, random.normals(rows * cols, scale)};
        };
        const double in_scale = 1.0 / std::sqrt(static_cast<double>(c.hidden));
        q = matrix(c.key_dim(), c.hidden, in_scale);
        k = matrix(c.key_dim(), c.hidden, in_scale);
        v = matrix(c.value_dim(), c.hidden, in_scale);
        z = matrix(c.value_dim(), c.hidden, in_scale);
        b = matrix(c.n_heads_v, c.hidden, in_scale);
        a = matrix(c.n_heads_v, c.hidden, in_scale);
        out = matrix(c.hidden, c.value_dim(), 1.0 / std::sqrt(static_cast<double>(c.value_dim())));
        conv = matrix(c.conv_dim(), c.conv_width, 0.5);
        A_log = random.uniforms(c.n_heads_v, -3.0, std::log(16.0));
        dt_bias = random.normals(c.n_heads_v);
        norm = random.uniforms(c.d_v, 0.5, 1.5);
        pre_norm = random.normals(c.hidden, 0.2);
        pack();
    }

    void pack() {
        const index_t r = config.heads_per_group();
        qkv = qkvz = ba = Matrix{};
        for (const Matrix* part : {&q, &k, &v}) qkv.append(*part);
        for (index_t g = 0; g < config.n_heads_k; ++g) {
            qkvz.append(q, g * config.d_k, config.d_k);
            qkvz.append(k, g * config.d_k, config.d_k);
            qkvz.append(v, g * r * config.d_v, r * config.d_v);
            qkvz.append(z, g * r * config.d_v, r * config.d_v);
            ba.append(b, g * r, r);
            ba.append(a, g * r, r);
        }
    }

    template <class L = EigenLinear>
    [[nodiscard]] LayerWeights<L> weights(std::initializer_list<const Matrix*> in_proj,
                                          const ProjectionLayout& layout) const {
        LayerWeights<L> w;
        for (const Matrix* matrix : in_proj) w.in_proj.push_back(L(matrix->view()));
        w.layout = layout;
        w.conv = conv.view();
        if (!conv_bias.empty()) w.conv_bias = vector(conv_bias);
        w.A_log = vector(A_log);
        w.dt_bias = vector(dt_bias);
        w.norm = vector(norm);
        w.pre_norm = vector(pre_norm);
        w.out_proj = L(out.view());
        return w;
    }
    template <class L = EigenLinear>
    [[nodiscard]] LayerWeights<L> split() const {
        if (!config.has_gate()) return weights<L>({&qkv, &b, &a}, ProjectionLayout::split(config));
        return weights<L>({&qkv, &z, &b, &a}, ProjectionLayout::split(config));
    }
    template <class L = EigenLinear>
    [[nodiscard]] LayerWeights<L> separate() const {
        return weights<L>({&q, &k, &v, &z, &b, &a}, ProjectionLayout::split(config));
    }
    template <class L = EigenLinear>
    [[nodiscard]] LayerWeights<L> packed() const {
        return weights<L>({&qkvz, &ba}, ProjectionLayout::packed(config));
    }

    /// The same layer with value heads in the order of Qwen3.5's GGUF files: head j H_k + g holds g
    /// r + j.
    [[nodiscard]] RandomLayer tiled() const {
        RandomLayer t = *this;
        t.config.head_map = HeadMap::tiled;
        const index_t r = config.heads_per_group();
        const index_t value0 = 2 * config.key_dim();
        for (index_t j = 0; j < r; ++j) {
            for (index_t g = 0; g < config.n_heads_k; ++g) {
                const index_t to = j * config.n_heads_k + g;
                const index_t from = g * r + j;
                const auto rows = [&](Matrix& target, const Matrix& source, index_t first,
                                      index_t n) {
                    std::copy_n(source.values.begin() + (first + from * n) * source.cols,
                                n * source.cols,
                                target.values.begin() + (first + to * n) * source.cols);
                };
                rows(t.v, v, 0, config.d_v);
                rows(t.z, z, 0, config.d_v);
                rows(t.b, b, 0, 1);
                rows(t.a, a, 0, 1);
                rows(t.conv, conv, value0, config.d_v);
                t.A_log[at(to)] = A_log[at(from)];
                t.dt_bias[at(to)] = dt_bias[at(from)];
                for (index_t o = 0; o < config.hidden; ++o) {  // columns of the output projection
                    std::copy_n(out.values.begin() + o * out.cols + from * config.d_v, config.d_v,
                                t.out.values.begin() + o * out.cols + to * config.d_v);
                }
            }
        }
        t.pack();
        return t;
    }

    static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }
    static View<const float, 1> vector(const std::vector<float>& values) {
        return {values.data(), {static_cast<index_t>(values.size())}};
    }
};

/// Runs a batch over rows of x and returns y, through the memory of the layer's backend.
template <class Layer>
[[nodiscard]] std::vector<float> run(Layer& layer, const Batch& batch, const std::vector<float>& x,
                                     StateSlots& slots, index_t model_layer = 0) {
    const index_t hidden = layer.config().hidden;
    const Shape<2> x_shape{static_cast<index_t>(x.size()) / hidden, hidden};
    std::vector<float> y(static_cast<std::size_t>(batch.n_outputs() * hidden), -77.0F);
    const Shape<2> y_shape{batch.n_outputs(), hidden};
    MemorySpace& space = layer.memory();
    if (space.is_host()) {
        layer.forward(batch, View<const float, 2>(x.data(), x_shape),
                      View<float, 2>(y.data(), y_shape), slots, {.layer = model_layer});
        return y;
    }
    const auto there = [&space](const std::vector<float>& values) {
        const auto bytes = static_cast<index_t>(values.size() * sizeof(float));
        auto memory = detail::allocate_in(space, std::max<index_t>(bytes, 4));
        if (bytes > 0) space.upload(memory.get(), values.data(), bytes);
        return memory;
    };
    const detail::OwnedMemory x_there = there(x), y_there = there(y);
    layer.forward(batch,
                  View<const float, 2>(reinterpret_cast<const float*>(x_there.get()), x_shape),
                  View<float, 2>(reinterpret_cast<float*>(y_there.get()), y_shape), slots,
                  {.layer = model_layer});
    if (!y.empty())
        space.download(y.data(), y_there.get(), static_cast<index_t>(y.size() * sizeof(float)));
    return y;
}

/// One sequence in slot 0.
[[nodiscard]] inline Batch one(index_t n_tokens, Start start = Start::fresh, index_t slot = 0) {
    Batch batch;
    batch.add({.slot = slot, .n_tokens = n_tokens, .start = start});
    return batch;
}

/// Rows [first, first + n) of x.
[[nodiscard]] inline std::vector<float> rows_of(const std::vector<float>& x, index_t width,
                                                index_t first, index_t n) {
    return {x.begin() + first * width, x.begin() + (first + n) * width};
}

/// Convolution and recurrent state of a slot, one after the other.
[[nodiscard]] inline std::vector<float> state_of(const StateSlots& slots, index_t slot,
                                                 index_t layer = 0) {
    std::vector<float> all;
    const View<float, 2> conv = slots.conv(layer)[slot];
    const View<float, 3> recurrent = slots.recurrent(layer)[slot];
    all.insert(all.end(), conv.data(), conv.data() + conv.count());
    all.insert(all.end(), recurrent.data(), recurrent.data() + recurrent.count());
    return all;
}

}  // namespace deltanet::test
