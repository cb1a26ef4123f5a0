// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The recorded layers of tests/golden: one safetensors file holds weights, inputs, outputs and
/// states of a transformers module, and its configuration as metadata.
#pragma once

#include <deltanet/deltanet.hpp>
#include <deltanet/io/layer_binding.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace deltanet::test {

[[nodiscard]] inline std::filesystem::path golden_path(const std::string& name) {
    return std::filesystem::path(DELTANET_TEST_DATA_DIR) / "golden" / name;
}

[[nodiscard]] inline Family family_of(const std::string& name) {
    for (const Family family :
         {Family::qwen3_next, Family::qwen3_5, Family::olmo_hybrid, Family::fla}) {
        if (name == name_of(family)) return family;
    }
    detail::fail("golden", "family", "a known one", name);
}

/// Recorded numbers and configuration; the weights are in `weights`, usually the same file.
class Golden {
  public:
    explicit Golden(const std::string& name) : Golden(name, name) {}
    Golden(const std::string& name, const std::string& weights_name)
        : file_(SafetensorsFile::open(golden_path(name))),
          weights(Checkpoint::open(golden_path(weights_name))) {}

    [[nodiscard]] const std::string& text(const std::string& key) const {
        return file_.metadata().at(key);
    }
    [[nodiscard]] std::vector<float> floats(const std::string& name) const {
        return read_float(file_.tensor(name));
    }
    [[nodiscard]] index_t rows(const std::string& name) const {
        return file_.tensor(name).shape[0];
    }
    [[nodiscard]] index_t columns(const std::string& name) const {
        return file_.tensor(name).shape[1];
    }
    [[nodiscard]] Family family() const { return family_of(text("family")); }
    [[nodiscard]] LayerConfig config() const {
        LayerConfig c;
        c.hidden = std::stol(text("hidden"));
        c.n_heads_k = std::stol(text("n_heads_k"));
        c.n_heads_v = std::stol(text("n_heads_v"));
        c.d_k = std::stol(text("d_k"));
        c.d_v = std::stol(text("d_v"));
        c.conv_width = std::stol(text("conv_width"));
        c.norm_eps = std::stod(text("norm_eps"));
        c.l2_eps = std::stod(text("l2_eps"));
        c.beta_doubled = text("beta_doubled") == "1";
        c.gate = text("gate") == "sigmoid" ? OutputGate::sigmoid : OutputGate::silu;
        return c;
    }

  private:
    SafetensorsFile file_;

  public:
    Checkpoint weights;
};

}  // namespace deltanet::test
