// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The presets against numbers from the publishers' configuration files, written out here once
/// more, and what a sequence's state costs with each.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/models.hpp>
#include <deltanet/state_slots.hpp>

#include <string>

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr index_t kKiB = 1024;
constexpr index_t kMiB = 1024 * kKiB;

struct Published {
    std::string name;
    LayerConfig config;
    index_t hidden, n_heads_k, n_heads_v, d_k, d_v;
    index_t key_dim, value_dim, conv_dim;
    index_t recurrent_bytes, conv_bytes;  ///< per slot and layer, in float, with W - 1 = 3 taps
    double norm_eps = 1e-6;
    OutputGate gate = OutputGate::silu;
    bool beta_doubled = false;
};

const Published kModels[] = {
    {"qwen3_next_80b_a3b", qwen3_next_80b_a3b(), 2048, 16, 32, 128, 128, 2048, 4096, 8192, 2 * kMiB,
     96 * kKiB},
    {"qwen3_5_0_8b", qwen3_5_0_8b(), 1024, 16, 16, 128, 128, 2048, 2048, 6144, 1 * kMiB, 72 * kKiB},
    {"qwen3_5_2b", qwen3_5_2b(), 2048, 16, 16, 128, 128, 2048, 2048, 6144, 1 * kMiB, 72 * kKiB},
    {"qwen3_5_4b", qwen3_5_4b(), 2560, 16, 32, 128, 128, 2048, 4096, 8192, 2 * kMiB, 96 * kKiB},
    {"qwen3_5_9b", qwen3_5_9b(), 4096, 16, 32, 128, 128, 2048, 4096, 8192, 2 * kMiB, 96 * kKiB},
    {"qwen3_5_27b", qwen3_5_27b(), 5120, 16, 48, 128, 128, 2048, 6144, 10240, 3 * kMiB, 120 * kKiB},
    {"qwen3_5_35b_a3b", qwen3_5_35b_a3b(), 2048, 16, 32, 128, 128, 2048, 4096, 8192, 2 * kMiB,
     96 * kKiB},
    {"qwen3_5_122b_a10b", qwen3_5_122b_a10b(), 3072, 16, 64, 128, 128, 2048, 8192, 12288, 4 * kMiB,
     144 * kKiB},
    {"qwen3_5_397b_a17b", qwen3_5_397b_a17b(), 4096, 16, 64, 128, 128, 2048, 8192, 12288, 4 * kMiB,
     144 * kKiB},
    {"qwen3_8_flash_next", qwen3_8_flash_next(), 2560, 16, 48, 128, 128, 2048, 6144, 10240,
     3 * kMiB, 120 * kKiB, 1e-6, OutputGate::sigmoid},
    {"olmo_hybrid_7b", olmo_hybrid_7b(), 3840, 30, 30, 96, 192, 2880, 5760, 11520, 2'211'840,
     135 * kKiB, 1e-5, OutputGate::silu, true},
    {"fla_gated_deltanet", fla_gated_deltanet(), 2048, 6, 6, 256, 512, 1536, 3072, 6144, 3 * kMiB,
     72 * kKiB, 1e-5},
};

}  // namespace

TEST_CASE("presets have the published sizes", "[models]") {
    for (const Published& model : kModels) {
        CAPTURE(model.name);
        const LayerConfig& c = model.config;
        CHECK(c.hidden == model.hidden);
        CHECK(c.n_heads_k == model.n_heads_k);
        CHECK(c.n_heads_v == model.n_heads_v);
        CHECK(c.d_k == model.d_k);
        CHECK(c.d_v == model.d_v);
        CHECK(c.key_dim() == model.key_dim);
        CHECK(c.value_dim() == model.value_dim);
        CHECK(c.conv_dim() == model.conv_dim);
        CHECK(c.conv_width == 4);
    }
}

TEST_CASE("presets have the published choices and the neutral ones otherwise", "[models]") {
    for (const Published& model : kModels) {
        CAPTURE(model.name);
        const LayerConfig& c = model.config;
        CHECK(c.norm_eps == model.norm_eps);
        CHECK(c.gate == model.gate);
        CHECK(c.beta_doubled == model.beta_doubled);
        CHECK(c.l2_form == L2Form::rsqrt);
        CHECK(c.l2_eps == 1e-6);
        CHECK(c.head_map == HeadMap::grouped);
        CHECK(c.scale == 0.0);
        CHECK(c.pre_norm == PreNorm::none);
        CHECK_FALSE(c.residual);
        CHECK(c.scan == ScanMode::automatic);
        CHECK(message_of([&] { c.validate(); }) == "nothing was thrown");
    }
}

TEST_CASE("a slot of each preset costs what the published state costs", "[models]") {
    for (const Published& model : kModels) {
        CAPTURE(model.name);
        const LayerConfig& c = model.config;
        CHECK(c.n_heads_v * c.d_k * c.d_v * 4 == model.recurrent_bytes);
        CHECK(c.conv_taps() * c.conv_dim() * 4 == model.conv_bytes);
        CHECK(StateSlots::bytes_per_slot(c) == model.recurrent_bytes + model.conv_bytes);
        CHECK(StateSlots::bytes_per_slot(c, 36) == 36 * (model.recurrent_bytes + model.conv_bytes));
        CHECK(StateSlots::row_floats(c) * 4 == model.recurrent_bytes + model.conv_bytes);
    }
}
