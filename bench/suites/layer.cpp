// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The whole layer with float32 weights. Floor: its flops at the multiply-add peak or its weights
/// and states at the bandwidth of memory, whichever takes longer.
#include "support/bandwidth.hpp"
#include "support/delta_data.hpp"
#include "support/peak.hpp"
#include "support/suite.hpp"
#include <deltanet/deltanet.hpp>

#include <memory>

namespace deltanet::bench {

namespace {

/// A layer with random weights and everything that it points at.
class LayerData {
  public:
    using Backend = CpuBackend<cpu::default_arch, ThreadPoolExecutor>;

    LayerData(const LayerConfig& config, index_t tokens, index_t sequences,
              ThreadPoolExecutor executor)
        : layout_(ProjectionLayout::split(config)),
          in_proj_(layout_.width * config.hidden),
          out_proj_(config.hidden * config.value_dim()),
          conv_(config.conv_dim() * config.conv_width),
          small_(2 * config.n_heads_v + config.d_v),
          x_(tokens * sequences * config.hidden),
          y_(tokens * sequences * config.hidden),
          slots_(config, {.slots = sequences}),
          layer_(config, weights(config), Backend(executor)) {
        std::mt19937 random(1);
        const float unit = std::sqrt(3.0F / static_cast<float>(config.hidden));
        fill_random(random, in_proj_.data(), in_proj_.size(), -unit, unit);
        fill_random(random, out_proj_.data(), out_proj_.size(), -unit, unit);
        for (const Buffer* buffer : {&conv_, &small_, &x_})
            fill_random(random, buffer->data(), buffer->size(), -0.5F, 0.5F);
        for (index_t s = 0; s < sequences; ++s) batch_.add({.slot = s, .n_tokens = tokens});
    }

    void run() {
        const Shape<2> shape{batch_.n_tokens(), layer_.config().hidden};
        layer_.forward(batch_, View<const float, 2>(x_.data(), shape),
                       View<float, 2>(y_.data(), shape), slots_);
    }
    [[nodiscard]] double weight_bytes() const noexcept {
        return sizeof(float) * static_cast<double>(in_proj_.size() + out_proj_.size());
    }

  private:
    LayerWeights<EigenLinear> weights(const LayerConfig& config) const {
        LayerWeights<EigenLinear> w;
        w.layout = layout_;
        w.in_proj = {
            EigenLinear(View<const float, 2>(in_proj_.data(), {layout_.width, config.hidden}))};
        w.conv = {conv_.data(), {config.conv_dim(), config.conv_width}};
        w.A_log = {small_.data(), {config.n_heads_v}};
        w.dt_bias = {small_.data() + config.n_heads_v, {config.n_heads_v}};
        w.norm = {small_.data() + 2 * config.n_heads_v, {config.d_v}};
        w.out_proj = EigenLinear(
            View<const float, 2>(out_proj_.data(), {config.hidden, config.value_dim()}));
        return w;
    }

    ProjectionLayout layout_;
    Buffer in_proj_, out_proj_, conv_, small_, x_, y_;
    StateSlots slots_;
    DeltaNetLayer<Backend> layer_;
    Batch batch_;
};

CaseMaker layer_case(const char* model, const LayerConfig& config, index_t tokens,
                     index_t sequences, index_t threads) {
    const std::string name =
        detail::concat("layer_", model, "_f32_T", tokens, "_n", sequences, "_t", threads);
    return {name, [=] {
                const ThreadPoolExecutor executor = pool(threads);
                const auto data = std::make_shared<LayerData>(config, tokens, sequences, executor);
                const auto read = std::make_shared<Bandwidth>(Bandwidth::Kind::read,
                                                              index_t{64} << 20, index_t{4} << 20);
                const auto n = static_cast<double>(tokens * sequences);
                const auto state = static_cast<double>(config.n_heads_v * config.d_k * config.d_v);
                const double weights = data->weight_bytes() / sizeof(float);
                const double flops = n * (2.0 * weights + 6.0 * state);
                const double bytes =
                    sizeof(float) * (weights + 2.0 * state * static_cast<double>(sequences));
                return Case{.name = name,
                            .tokens = n,
                            .units = n,
                            .run = [=] { data->run(); },
                            .floor =
                                [=] {
                                    ThreadPoolExecutor same = executor;
                                    return std::max(flops / peak_of_all(executor),
                                                    bytes / read->sample(same));
                                }};
            }};
}

}  // namespace

Suite layer_suite() {
    Suite suite;
    for (const index_t tokens : {1, 8, 64, 512})
        suite.push_back(layer_case("qwen3_next_80b", qwen3_next_80b_a3b(), tokens, 1, 1));
    for (const index_t sequences : {8, 32})
        suite.push_back(layer_case("qwen3_next_80b", qwen3_next_80b_a3b(), 1, sequences, 1));
    suite.push_back(layer_case("qwen3_5_0_8b", qwen3_5_0_8b(), 64, 1, 1));
    return suite;
}

}  // namespace deltanet::bench
