// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Layers with random weights and everything that they point at; several, used in turn, so that no
/// cache remembers the weights of one until its turn comes again.
#pragma once

#include "delta_data.hpp"
#include "peak.hpp"
#include "weight_data.hpp"
#include <deltanet/deltanet.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace deltanet::bench {

/// f(stage) where a share of a layer's time ends.
template <class F>
struct StageClock {
    F f;
    [[nodiscard]] static constexpr bool wants(Stage stage) noexcept {
        return stage == Stage::qkv_mixed || stage == Stage::gate || stage == Stage::attn_output ||
               stage == Stage::attn_out_norm || stage == Stage::linear_attn_out;
    }
    void operator()(const Observation& seen) {
        if (seen.part.empty() || seen.part == "v") f(seen.stage);
    }
};
template <class F>
StageClock(F) -> StageClock<F>;

template <class L>
class LayerData {
  public:
    using Backend = CpuBackend<cpu::default_arch, ThreadPoolExecutor>;
    using Layer = DeltaNetLayer<Backend, L>;

    LayerData(const LayerConfig& config, WeightFormat format, bool owned_by_operator,
              index_t tokens, index_t sequences, ThreadPoolExecutor executor)
        : config_(config),
          layout_(ProjectionLayout::split(config)),
          copies_(copies_of(config, format, layout_)),
          in_proj_(format, layout_.width, config.hidden, owned_by_operator ? 1 : copies_),
          out_proj_(format, config.hidden, config.value_dim(), owned_by_operator ? 1 : copies_),
          conv_(config.conv_dim() * config.conv_width),
          small_(2 * config.n_heads_v + config.d_v),
          x_(tokens * sequences * config.hidden),
          y_(tokens * sequences * config.hidden) {
        std::mt19937 random(1);
        for (const Buffer* buffer : {&conv_, &small_, &x_})
            fill_random(random, buffer->data(), buffer->size(), -0.5F, 0.5F);
        for (index_t s = 0; s < sequences; ++s) batch_.add({.slot = s, .n_tokens = tokens});
        for (index_t copy = 0; copy < copies_; ++copy) {
            layers_.push_back(std::make_unique<Layer>(config, weights(owned_by_operator ? 0 : copy),
                                                      Backend(executor)));
            slots_.push_back(
                std::make_unique<StateSlots>(config, StateSlotsOptions{.slots = sequences}));
        }
    }

    void run() { run_observed(NullObserver{}); }

    /// "projections=0.93 passes=0.02 rule=0.05": medians of some runs with an observer.
    [[nodiscard]] std::string stages() {
        std::array<std::vector<double>, 3> shares;
        for (int i = 0; i < 7; ++i) {
            std::array<double, 3> spent{};
            auto last = Clock::now();
            const auto ends = [&](std::size_t stage) {
                const auto now = Clock::now();
                spent[stage] += std::chrono::duration<double>(now - last).count();
                last = now;
            };
            run_observed(StageClock{[&](Stage stage) {
                switch (stage) {
                    case Stage::qkv_mixed:
                    case Stage::linear_attn_out:
                        return ends(0);
                    case Stage::attn_output:
                        return ends(2);
                    default:
                        return ends(1);
                }
            }});
            const double all = spent[0] + spent[1] + spent[2];
            for (std::size_t s = 0; s < 3; ++s) shares[s].push_back(spent[s] / all);
        }
        std::string text;
        const char* const names[] = {"projections=", " passes=", " rule="};
        for (std::size_t s = 0; s < 3; ++s) {
            std::sort(shares[s].begin(), shares[s].end());
            char number[16];
            std::snprintf(number, sizeof(number), "%.3f", shares[s][3]);
            text += names[s] + std::string(number);
        }
        return text;
    }

    [[nodiscard]] double weights() const noexcept {
        return in_proj_.weights() + out_proj_.weights();
    }
    [[nodiscard]] double weight_bytes() const noexcept {
        return in_proj_.bytes() + out_proj_.bytes();
    }

  private:
    static index_t copies_of(const LayerConfig& config, WeightFormat format,
                             const ProjectionLayout& layout) {
        const index_t weights = config.hidden * (layout.width + config.value_dim());
        return (index_t{320} << 20) / (weights / block_weights(format) * block_bytes(format)) + 1;
    }

    template <class O>
    void run_observed(O observer) {
        next_ = (next_ + 1) % copies_;
        const auto i = static_cast<std::size_t>(next_);
        const Shape<2> shape{batch_.n_tokens(), config_.hidden};
        layers_[i]->forward(batch_, View<const float, 2>(x_.data(), shape),
                            View<float, 2>(y_.data(), shape), *slots_[i], {}, observer);
    }
    [[nodiscard]] LayerWeights<L> weights(index_t copy) const {
        LayerWeights<L> w;
        w.layout = layout_;
        w.in_proj = {L(in_proj_.matrix(copy))};
        w.conv = {conv_.data(), {config_.conv_dim(), config_.conv_width}};
        w.A_log = {small_.data(), {config_.n_heads_v}};
        w.dt_bias = {small_.data() + config_.n_heads_v, {config_.n_heads_v}};
        w.norm = {small_.data() + 2 * config_.n_heads_v, {config_.d_v}};
        w.out_proj = L(out_proj_.matrix(copy));
        return w;
    }

    LayerConfig config_;
    ProjectionLayout layout_;
    index_t copies_;
    WeightData in_proj_, out_proj_;
    Buffer conv_, small_, x_, y_;
    Batch batch_;
    std::vector<std::unique_ptr<Layer>> layers_;
    std::vector<std::unique_ptr<StateSlots>> slots_;
    index_t next_ = 0;
};

}  // namespace deltanet::bench
