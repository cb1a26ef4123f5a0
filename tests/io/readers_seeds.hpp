// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Valid inputs of the readers of io/, small and with everything in them: what fuzzing starts from.
#pragma once

#include "io/gguf_builder.hpp"
#include "io/io_support.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace deltanet::test {

/// A model of one layer with quantised projections, under the names of Qwen3-Next or Kimi.
[[nodiscard]] inline GgufBuilder gguf_layer(bool kimi) {
    const std::string arch = kimi ? "qwen35" : "qwen3next";
    GgufBuilder file;
    file.alignment = 8;
    file.text("general.architecture", arch).number("general.alignment", 8);
    const auto number = [&](const char* key, std::uint32_t value) {
        file.number(arch + "." + key, value);
    };
    number("block_count", 1);
    number("embedding_length", 32);
    number("ssm.conv_kernel", 2);
    number("ssm.inner_size", 32);
    number("ssm.state_size", 2);
    number("ssm.time_step_rank", 2);
    number("ssm.group_count", 1);
    const auto tensor = [&](const char* name, const std::vector<std::uint64_t>& extents,
                            std::uint32_t type, std::size_t bytes) {
        file.tensor(std::string("blk.0.") + name, extents, type, std::string(bytes, 'q'));
    };
    if (kimi) {
        tensor("attn_q.weight", {32, 2}, 8, std::size_t{2} * 34);
        tensor("attn_k.weight", {32, 2}, 2, std::size_t{2} * 18);
        tensor("attn_v.weight", {32, 32}, 2, std::size_t{32} * 18);
        tensor("ssm_g_a.weight", {32, 1}, 8, 34);
        tensor("ssm_g_b.weight", {1, 32}, 1, 64);
        tensor("ssm_beta.weight", {32, 2}, 30, 128);
        tensor("ssm_f.weight", {32, 2}, 2, 36);
        tensor("ssm_conv1d_q.weight", {2, 1, 2, 1}, 1, 8);
        tensor("ssm_conv1d_k.weight", {2, 1, 2, 1}, 1, 8);
        tensor("ssm_conv1d_v.weight", {2, 1, 32, 1}, 1, 128);
        tensor("attn_output.weight", {32, 32}, 2, std::size_t{32} * 18);
    } else {
        tensor("attn_qkv.weight", {32, 36}, 2, std::size_t{36} * 18);
        tensor("attn_gate.weight", {32, 32}, 2, std::size_t{32} * 18);
        tensor("ssm_ba.weight", {32, 4}, 8, std::size_t{4} * 34);
        tensor("ssm_conv1d.weight", {2, 36}, 1, 144);
        tensor("ssm_out.weight", {32, 32}, 2, std::size_t{32} * 18);
    }
    file.tensor("blk.0.ssm_a", {1, 2}, 0, raw(-1.0F) + raw(-2.0F));
    tensor("ssm_dt.bias", {2}, 0, 8);
    tensor("ssm_norm.weight", {16}, 1, 32);
    return file;
}

/// The formats of 256 weights a block.
[[nodiscard]] inline std::string blocks_of_256() {
    return GgufBuilder()
        .tensor("k", {256, 1}, 12, std::string(144, 'k'))
        .tensor("l", {256, 1}, 14, std::string(210, 'l'))
        .bytes();
}

[[nodiscard]] inline std::vector<std::string> reader_seeds() {
    const std::string header =
        R"({"__metadata__":{"format":"pt"},)"
        R"("model.norm.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
        R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},)"
        R"("c":{"dtype":"F16","shape":[],"data_offsets":[22,24]},)"
        R"("d":{"dtype":"F4","shape":[0,4],"data_offsets":[24,24]},)"
        R"("\u00e9":{"dtype":"F64","shape":[1],"data_offsets":[24,32]}} )";
    const std::string index =
        R"({"metadata":{"total_size":3.5,"x":[1,{"y":null}]},)"
        R"("weight_map":{"a":"model-00001-of-00002.safetensors","b":"2.safetensors"}})";
    GgufBuilder gguf;
    gguf.text("general.architecture", "qwen35")
        .number("general.alignment", 32)
        .value("f", 6, raw(0.5F))
        .value("n", 9, raw<std::uint32_t>(0) + raw<std::uint64_t>(2) + "ab")
        .value("s", 9, raw<std::uint32_t>(8) + raw<std::uint64_t>(1) + gguf_text("x"))
        .tensor("a", {32, 2}, 8, std::string(68, 'q'))
        .tensor("b", {3}, 0, std::string(12, '\0'))
        .tensor("c", {2, 2}, 30, std::string(8, 'h'));
    return {
        safetensors_bytes(header, std::string(32, 'x')),
        safetensors_bytes("{}"),
        static_cast<char>(32) + header,
        static_cast<char>(4) +
            std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})"),
        index,
        R"({"weight_map":{"a":"a"}})",
        gguf.bytes(),
        GgufBuilder().bytes(),
        gguf_layer(false).bytes(),
        gguf_layer(true).bytes(),
        gguf_layer(false).part(0, 2).bytes() + gguf_layer(false).part(1, 2).bytes(),
        blocks_of_256(),
    };
}

}  // namespace deltanet::test
