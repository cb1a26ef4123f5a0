// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Derived sizes of a layer's configuration, and every way in which a configuration is refused.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/layer_config.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

LayerConfig valid() {
    LayerConfig config;
    config.hidden = 20;
    config.n_heads_k = 2;
    config.n_heads_v = 6;
    config.d_k = 5;
    config.d_v = 7;
    return config;
}

std::string refusal(const std::function<void(LayerConfig&)>& spoil) {
    LayerConfig config = valid();
    spoil(config);
    return message_of([&] { config.validate(); });
}

const std::string kNothing = "nothing was thrown";
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("derived sizes", "[layer_config]") {
    LayerConfig config = valid();
    config.conv_width = 3;
    CHECK(config.key_dim() == 10);
    CHECK(config.value_dim() == 42);
    CHECK(config.conv_dim() == 62);
    CHECK(config.conv_taps() == 2);
    CHECK(config.heads_per_group() == 3);
}

TEST_CASE("the query scale is stated or that of the key head size", "[layer_config]") {
    LayerConfig config = valid();
    CHECK(config.query_scale() == 1.0 / std::sqrt(5.0));  // of d_k, not d_v
    config.scale = -0.25;
    CHECK(config.query_scale() == -0.25);
}

TEST_CASE("a gate is there unless it is none", "[layer_config]") {
    LayerConfig config = valid();
    CHECK(config.has_gate());
    config.gate = OutputGate::sigmoid;
    CHECK(config.has_gate());
    config.gate = OutputGate::none;
    CHECK_FALSE(config.has_gate());
}

TEST_CASE("defaults are those of the published Qwen layers", "[layer_config]") {
    const LayerConfig config;
    CHECK(config.conv_width == 4);
    CHECK(config.head_map == HeadMap::grouped);
    CHECK(config.l2_form == L2Form::rsqrt);
    CHECK(config.l2_eps == 1e-6);
    CHECK(config.norm_eps == 1e-6);
    CHECK(config.gate == OutputGate::silu);
    CHECK_FALSE(config.beta_doubled);
    CHECK(config.scale == 0.0);
    CHECK(config.pre_norm == PreNorm::none);
    CHECK_FALSE(config.residual);
    CHECK(config.scan == ScanMode::automatic);
}

TEST_CASE("names of head maps", "[layer_config]") {
    CHECK(name_of(HeadMap::grouped) == "grouped");
    CHECK(name_of(HeadMap::tiled) == "tiled");
}

TEST_CASE("what validate accepts", "[layer_config]") {
    CHECK(refusal([](LayerConfig&) {}) == kNothing);
    for (index_t width = 2; width <= 8; ++width) {
        CHECK(refusal([&](LayerConfig& c) { c.conv_width = width; }) == kNothing);
    }
    CHECK(refusal([](LayerConfig& c) { c.l2_eps = c.norm_eps = 0.0; }) == kNothing);
    CHECK(refusal([](LayerConfig& c) { c.scale = -3.0; }) == kNothing);
    // the epsilon of a norm that is not there does not matter
    CHECK(refusal([](LayerConfig& c) { c.pre_norm_eps = -1.0; }) == kNothing);
    CHECK(refusal([](LayerConfig& c) {
              c.n_heads_k = c.n_heads_v = c.d_k = c.d_v = c.hidden = 1;
          }) == kNothing);
}

TEST_CASE("sizes that validate refuses", "[layer_config]") {
    const std::string where = "LayerConfig::validate: ";
    const struct {
        index_t LayerConfig::*field;
        std::string name;
    } sizes[] = {{&LayerConfig::hidden, "hidden"},
                 {&LayerConfig::n_heads_k, "n_heads_k"},
                 {&LayerConfig::n_heads_v, "n_heads_v"},
                 {&LayerConfig::d_k, "d_k"},
                 {&LayerConfig::d_v, "d_v"}};
    for (const auto& size : sizes) {
        CHECK(refusal([&](LayerConfig& c) { c.*size.field = 0; }) ==
              where + size.name + ": expected at least 1, found 0");
        CHECK(refusal([&](LayerConfig& c) { c.*size.field = -4; }) ==
              where + size.name + ": expected at least 1, found -4");
        CHECK(refusal([&](LayerConfig& c) { c.*size.field = index_t{1} << 20; }) ==
              where + size.name + ": expected at most 524288, found 1048576");
    }
    CHECK(refusal([](LayerConfig& c) { c.n_heads_v = 5; }) ==
          where + "n_heads_v: expected a multiple of n_heads_k = 2, found 5");
    CHECK(refusal([](LayerConfig& c) { c.n_heads_v = 1; }) ==
          where + "n_heads_v: expected a multiple of n_heads_k = 2, found 1");
    CHECK(refusal([](LayerConfig& c) { c.conv_width = 1; }) ==
          where + "conv_width: expected 2 to 8, found 1");
    CHECK(refusal([](LayerConfig& c) { c.conv_width = 9; }) ==
          where + "conv_width: expected 2 to 8, found 9");
}

TEST_CASE("numbers that validate refuses", "[layer_config]") {
    const std::string where = "LayerConfig::validate: ";
    const struct {
        double LayerConfig::*field;
        std::string name;
    } epsilons[] = {{&LayerConfig::l2_eps, "l2_eps"},
                    {&LayerConfig::norm_eps, "norm_eps"},
                    {&LayerConfig::pre_norm_eps, "pre_norm_eps"}};
    const struct {
        double value;
        std::string text;
    } wrong[] = {{-1.0, "-1"}, {-1e-9, "-1e-09"}, {kInfinity, "inf"}, {-kInfinity, "-inf"}};
    for (const PreNorm norm : {PreNorm::plain, PreNorm::one_plus}) {
        for (const auto& epsilon : epsilons) {
            const std::string prefix =
                where + epsilon.name + ": expected a finite number >= 0, found ";
            const auto with = [&](double value) {
                return refusal([&](LayerConfig& c) {
                    c.pre_norm = norm;
                    c.*epsilon.field = value;
                });
            };
            for (const auto& w : wrong) CHECK(with(w.value) == prefix + w.text);
            CHECK(with(kNaN).substr(0, prefix.size()) ==
                  prefix);  // "nan" or "-nan", as the C library likes
        }
    }
    CHECK(refusal([](LayerConfig& c) { c.scale = kInfinity; }) ==
          where + "scale: expected a finite number, 0 for d_k^(-1/2), found inf");
    CHECK(refusal([](LayerConfig& c) { c.scale = kNaN; }) != kNothing);
}
