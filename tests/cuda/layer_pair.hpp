// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// One layer twice: on the oracle with sums in double, and on the device, with slots of each, that
/// go through the same steps.
#pragma once

#include "cuda/device.hpp"
#include "cuda/float_linear.hpp"
#include "support/compare.hpp"
#include "support/random_layer.hpp"
#include <deltanet/cuda/backend.hpp>
#include <deltanet/reference/backend.hpp>
#include <deltanet/state_blob.hpp>
#include <deltanet/state_exchange.hpp>

namespace deltanet::test {

using OracleLayer = DeltaNetLayer<ReferenceBackend, ReferenceLinear>;
using CudaLayer = DeltaNetLayer<CudaBackend, FloatLinear>;

/// Relative rms of outputs and states where everything is float32: sums of up to 400 terms whose
/// roundings add up like a walk, sqrt(400) of 2^-24 each, through the four steps of a layer that
/// sum (projection, delta rule, norm, projection), and once more that for gates and exponentials.
inline constexpr double kFloatBound = 8 * 20 * 0x1p-24;
/// And where chunks multiply bfloat16: a product has two operands rounded by up to 2^-8 of them,
/// 2^-9 in the mean, and an output is made of products in four places (K S, the solve's keys, Q S
/// and P U).
inline constexpr double kChunkBound = 4 * 2 * 0x1p-9;

/// Of a state that is stored as `dtype`, in addition: what both sides round may fall on two sides
/// of a middle, which is an error of 2^-8 of bfloat16 where it happens, and of half that at most
/// over all elements; of int8, a step of 1 / 15 of 1 / 127 of a column's largest element, which is
/// up to four times the root mean square one.
[[nodiscard]] constexpr double storage_bound(DType dtype) {
    return dtype == DType::f32   ? 0.0
           : dtype == DType::f16 ? 0x1p-12
           : dtype == DType::i8  ? 4 * 0.5 / 127 / 15
                                 : 0x1p-9;
}

/// Two key heads with two value heads each. Heads of 64 take the chunk kernels.
[[nodiscard]] inline LayerConfig pair_config(index_t d) {
    LayerConfig config;
    config.hidden = 24;
    config.n_heads_k = 2;
    config.n_heads_v = 4;
    config.d_k = config.d_v = d;
    config.pre_norm = PreNorm::one_plus;
    config.residual = true;
    return config;
}

struct LayerPair {
    LayerConfig config;
    RandomLayer random;
    CudaMemory memory;
    DeviceArrays arrays{memory};
    OracleLayer oracle;
    CudaLayer layer;
    StateSlots expected, slots;
    std::vector<float> x;

    LayerPair(const LayerConfig& c, const StateSlotsOptions& options, cudaStream_t stream = nullptr)
        : config(c),
          random(c, 31),
          memory(stream),
          oracle(c, random.split<ReferenceLinear>()),
          layer(c, on_device(random.split<ReferenceLinear>(), arrays), CudaBackend(memory)),
          expected(c, options),
          slots(c, there(options)),
          x(Random(32).normals(220 * c.hidden)) {}

    /// The same options, on the device.
    [[nodiscard]] StateSlotsOptions there(StateSlotsOptions options) {
        options.memory = &memory;
        return options;
    }

    /// Runs a batch on both, on the next rows of x, and compares y.
    void step(const Batch& batch, double bound) {
        const std::vector<float> rows = rows_of(x, config.hidden, next_, batch.n_tokens());
        next_ += batch.n_tokens();
        const std::vector<float> wanted = run(oracle, batch, rows, expected);
        const std::vector<float> y = run(layer, batch, rows, slots);
        REQUIRE(relative_rms(y, wanted) <= bound);
        keep(y);
    }
    void step(std::initializer_list<BatchSequence> sequences, double bound) {
        Batch batch;
        for (const BatchSequence& sequence : sequences) batch.add(sequence);
        step(batch, bound);
    }
    /// f(slots) on both.
    template <class F>
    void both(F&& f) {
        f(expected);
        f(slots);
    }
    /// The states of all slots.
    void compare_slots(double bound) {
        for (index_t slot = 0; slot < slots.n_slots(); ++slot) {
            CAPTURE(slot);
            REQUIRE(slots.position(slot) == expected.position(slot));
            REQUIRE(slots.pending(slot) == expected.pending(slot));
            const std::vector<float> state = logical(slots, slot);
            REQUIRE(relative_rms(state, logical(expected, slot)) <= bound);
            keep(state);
        }
    }
    /// Convolution and recurrent state, what is pending in it, as numbers.
    [[nodiscard]] std::vector<float> logical(const StateSlots& of, index_t slot) const {
        std::vector<float> conv(static_cast<std::size_t>(config.conv_dim() * config.conv_taps()));
        std::vector<float> state(
            static_cast<std::size_t>(config.n_heads_v * config.d_k * config.d_v));
        export_conv(of, slot, 0, {conv.data(), {config.conv_dim(), config.conv_taps()}});
        export_recurrent(of, slot, 0, {state.data(), {config.n_heads_v, config.d_k, config.d_v}},
                         StateOrder::k_first);
        conv.insert(conv.end(), state.begin(), state.end());
        return conv;
    }

    /// Everything that was compared, to be the same under each schedule.
    [[nodiscard]] const std::vector<float>& kept() const { return kept_; }

  private:
    void keep(const std::vector<float>& values) {
        kept_.insert(kept_.end(), values.begin(), values.end());
    }

    index_t next_ = 0;
    std::vector<float> kept_;
};

}  // namespace deltanet::test
