// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The whole layer, by model and by what its projections are stored as. Weights and states come
/// from memory. Floor: the arithmetic of the projections at the peak of its kind and that of the
/// recurrence at the multiply-add peak, or the bytes of weights, states and activations at the
/// bandwidth of reading, whichever takes longer. Behind each line the shares of the stages, of runs
/// with an observer, and the floor with all arithmetic at the peak of multiply-adds in float32.
#include "support/layer_data.hpp"
#include "support/peak.hpp"
#include "support/suite.hpp"
#include <deltanet/linear/dense.hpp>
#include <deltanet/linear/quantized.hpp>
#if defined(DELTANET_BENCH_ONEDNN)
#include <deltanet/linear/onednn.hpp>
#endif

#include <cmath>
#include <memory>

namespace deltanet::bench {

namespace {

struct Model {
    const char* name;
    LayerConfig config;
};

struct Format {
    const char* name;
    WeightFormat stored;
    bool owned_by_operator;  ///< else the operator reads the weights where they are stored
    double (*peak)();        ///< operations a second of the kind that they are multiplied by
};

template <class L>
CaseMaker layer_case(const Model& model, const Format& format, index_t tokens, index_t sequences,
                     index_t threads) {
    const std::string name = detail::concat("layer_", model.name, "_", format.name, "_T", tokens,
                                            "_n", sequences, "_t", threads);
    // Thousands of tokens take seconds.
    const int samples = tokens * sequences > 1024 ? 3 : tokens * sequences > 64 ? 11 : 31;
    return {
        name,
        [=] {
            const ThreadPoolExecutor executor = pool(threads);
            const auto data = std::make_shared<LayerData<L>>(
                model.config, format.stored, format.owned_by_operator, tokens, sequences, executor);
            const auto read = std::make_shared<Bandwidth>(Bandwidth::Kind::read, index_t{64} << 20,
                                                          index_t{4} << 20);
            const LayerConfig& c = model.config;
            const auto n = static_cast<double>(tokens * sequences);
            const auto state = static_cast<double>(c.n_heads_v * c.d_k * c.d_v);
            const double projected = 2.0 * n * data->weights();
            const double scanned = 6.0 * n * state;
            const double bytes = data->weight_bytes() +
                                 sizeof(float) * (2.0 * state * static_cast<double>(sequences) +
                                                  2.0 * n * static_cast<double>(c.hidden));
            return Case{
                .name = name,
                .tokens = n,
                .units = n,
                .run = [=] { data->run(); },
                .floor =
                    [=] {
                        ThreadPoolExecutor same = executor;
                        const auto all = static_cast<double>(threads);
                        return std::max(
                            projected / (all * format.peak()) + scanned / (all * product_peak()),
                            bytes / read->sample(same));
                    },
                .detail =
                    [=] {
                        ThreadPoolExecutor same = executor;
                        const double time = std::max(
                            (projected + scanned) / (static_cast<double>(threads) * product_peak()),
                            bytes / read->sample(same));
                        return detail::concat(data->stages(),
                                              " float32_floor_us=", std::llround(1e6 * time / n));
                    }};
        },
        samples};
}

}  // namespace

Suite layer_suite() {
    const Model next_80b{"qwen3_next_80b", qwen3_next_80b_a3b()};
    Suite suite;
    const auto cases = [&]<class L>(const Model& model, const Format& format,
                                    std::initializer_list<index_t> tokens,
                                    std::initializer_list<index_t> sequences) {
        for (const index_t t : tokens) suite.push_back(layer_case<L>(model, format, t, 1, 1));
        for (const index_t n : sequences) suite.push_back(layer_case<L>(model, format, 1, n, 1));
    };
    const Format f32{"f32", WeightFormat::f32, false, &product_peak<>};
    cases.operator()<EigenLinear>(next_80b, f32, {1, 8, 64, 512}, {8, 32});
    for (const auto& [name, stored] :
         {std::pair{"q8_0", WeightFormat::q8_0}, std::pair{"q4_k", WeightFormat::q4_k}}) {
        cases.operator()<QuantizedLinear<>>(next_80b, {name, stored, false, &integer_peak},
                                            {1, 64, 512}, {8, 32});
    }
    // The peak of bfloat16 products also for DenseLinear, which multiplies in float32: what the
    // weights are stored as names the roof. Where multiply-adds are faster the ratio may pass 1.
    constexpr auto bf16_peak = &product_peak<Bf16OrPlain<cpu::default_arch>::type>;
    const Format bf16{"bf16", WeightFormat::bf16, false, bf16_peak};
    cases.operator()<DenseLinear<>>(next_80b, bf16, {1, 8, 64, 512, 4096}, {8, 32});
    for (const Model& model :
         {Model{"qwen3_5_0_8b", qwen3_5_0_8b()}, Model{"qwen3_5_9b", qwen3_5_9b()},
          Model{"qwen3_5_27b", qwen3_5_27b()}, Model{"qwen3_5_397b", qwen3_5_397b_a17b()}})
        cases.operator()<DenseLinear<>>(model, bf16, {1, 64, 512}, {32});
#if defined(DELTANET_BENCH_ONEDNN)
    const Format onednn{"onednn_bf16", WeightFormat::bf16, true, bf16_peak};
    cases.operator()<OneDnnLinear>(next_80b, onednn, {1, 8, 64, 512}, {8, 32});
#endif
    return suite;
}

}  // namespace deltanet::bench
