// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Writes the weights of a random layer as a checkpoint of a model family: what bind_layer has to
/// undo.
#pragma once

#include "io_support.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/io/families.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace deltanet::test {

/// Tensors by name, as they will be in the file.
class CheckpointBuilder {
  public:
    struct Tensor {
        std::string dtype;
        std::vector<index_t> shape;
        std::string bytes;
    };
    std::map<std::string, Tensor> tensors;

    void add(const std::string& name, std::vector<index_t> shape, const std::vector<float>& values,
             DType dtype = DType::f32) {
        Tensor tensor{dtype == DType::f32    ? "F32"
                      : dtype == DType::bf16 ? "BF16"
                                             : "F16",
                      std::move(shape),
                      {}};
        for (const float value : values) {
            if (dtype == DType::f32) append(tensor.bytes, value);
            if (dtype == DType::bf16) append(tensor.bytes, to_bf16(value).bits);
            if (dtype == DType::f16) append(tensor.bytes, to_f16(value).bits);
        }
        tensors[name] = std::move(tensor);
    }
    void add(const std::string& name, const Matrix& matrix, DType dtype = DType::f32) {
        add(name, {matrix.rows(), matrix.cols}, matrix.values, dtype);
    }

    /// The layer under `prefix`, and the norm of its block.
    void add_layer(Family family, const RandomLayer& layer, const std::string& prefix,
                   DType dtype = DType::f32) {
        const LayerConfig& c = layer.config;
        const auto conv = [&](const char* name, index_t first, index_t n) {
            add(prefix + name, {n, 1, c.conv_width},
                rows_of(layer.conv.values, c.conv_width, first, n));
        };
        const bool separate = family == Family::olmo_hybrid || family == Family::fla;
        if (separate) {
            add(prefix + "q_proj.weight", layer.q, dtype);
            add(prefix + "k_proj.weight", layer.k, dtype);
            add(prefix + "v_proj.weight", layer.v, dtype);
            add(prefix + "g_proj.weight", layer.z, dtype);
            add(prefix + "b_proj.weight", layer.b, dtype);
            add(prefix + "a_proj.weight", layer.a, dtype);
            conv("q_conv1d.weight", 0, c.key_dim());
            conv("k_conv1d.weight", c.key_dim(), c.key_dim());
            conv("v_conv1d.weight", 2 * c.key_dim(), c.value_dim());
        } else {
            conv("conv1d.weight", 0, c.conv_dim());
        }
        if (family == Family::qwen3_next) {
            add(prefix + "in_proj_qkvz.weight", layer.qkvz, dtype);
            add(prefix + "in_proj_ba.weight", layer.ba, dtype);
        }
        if (family == Family::qwen3_5) {
            add(prefix + "in_proj_qkv.weight", layer.qkv, dtype);
            add(prefix + "in_proj_z.weight", layer.z, dtype);
            add(prefix + "in_proj_b.weight", layer.b, dtype);
            add(prefix + "in_proj_a.weight", layer.a, dtype);
        }
        add(prefix + "A_log", {c.n_heads_v}, layer.A_log);
        add(prefix + "dt_bias", {c.n_heads_v}, layer.dt_bias);
        add(prefix + (separate ? "o_norm.weight" : "norm.weight"), {c.d_v}, layer.norm);
        add(prefix + (separate ? "o_proj.weight" : "out_proj.weight"), layer.out, dtype);
        const std::string block = prefix.substr(0, prefix.rfind('.', prefix.size() - 2) + 1);
        add(block + (family == Family::fla ? "attn_norm.weight" : "input_layernorm.weight"),
            {c.hidden}, layer.pre_norm);
    }

    /// The file; `odd_header` puts the data at an address that no float can be read from.
    [[nodiscard]] std::string bytes(bool odd_header = false) const {
        std::string header = "{";
        std::string data;
        for (const auto& [name, tensor] : tensors) {
            std::string shape;
            for (const index_t extent : tensor.shape) {
                shape += detail::concat(shape.empty() ? "" : ",", extent);
            }
            const std::size_t end = data.size() + tensor.bytes.size();
            header += detail::concat(header.size() > 1 ? ",\"" : "\"", name, "\":{\"dtype\":\"",
                                     tensor.dtype, "\",\"shape\":[", shape, "],\"data_offsets\":[",
                                     data.size(), ",", end, "]}");
            data += tensor.bytes;
        }
        header += "}";
        while (header.size() % 8 != (odd_header ? 1U : 0U)) header += " ";
        return safetensors_bytes(header, data);
    }

  private:
    template <class T>
    static void append(std::string& bytes, T value) {
        bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
    }
};

}  // namespace deltanet::test
