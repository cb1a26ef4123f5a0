// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: the layers of a checkpoint as transformers saves it, bound in place. Needs
/// deltanet::io. The argument is a directory with config.json and safetensors files; without one it
/// is the small model in examples/generate, which is found from the project's root.
#include "small_layer.hpp"
#include <deltanet/io/layer_binding.hpp>
#include <deltanet/io/model_config.hpp>

#include <cstdio>

using namespace deltanet;
using namespace example;

/// y of a fresh sequence.
template <class B>
std::vector<float> run(const BoundLayer<>& bound, std::vector<float>& x) {
    DeltaNetLayer<B> layer(bound.config, bound.weights);
    StateSlots slots(bound.config, {});
    std::vector<float> y(x.size());
    const index_t hidden = bound.config.hidden;
    const index_t n = static_cast<index_t>(x.size()) / hidden;
    layer.forward(Batch().add({.n_tokens = n, .start = Start::fresh}), rows(x, hidden),
                  rows(y, hidden), slots);
    return y;
}

int main(int argc, char** argv) {
    const std::filesystem::path directory = argc > 1 ? argv[1] : "examples/generate/model";
    try {
        const ModelConfig model = read_model_config(directory / "config.json");
        const Checkpoint checkpoint =
            Checkpoint::open(directory);  // maps the files, reads no weights yet
        std::printf("family %s, hidden %td\n", std::string(name_of(model.family)).c_str(),
                    model.layer.hidden);

        std::vector<float> x = numbers(40 * model.layer.hidden, 1.0F, 10);
        bool right = true;
        for (std::size_t i = 0; i < model.linear_layers.size(); ++i) {
            if (!model.linear_layers[i])
                continue;  // a layer of full attention is the engine's business
            const std::string prefix =
                find_layer_prefix(checkpoint, model.family, static_cast<index_t>(i));
            const BoundLayer<> bound = bind_layer(checkpoint, model.family, model.layer, prefix);
            const double difference =
                relative_error(run<CpuBackend<>>(bound, x), run<ReferenceBackend>(bound, x));
            std::printf(
                "%s %td + %td heads, %s projections, cpu and reference agree: %s\n", prefix.c_str(),
                bound.config.n_heads_k, bound.config.n_heads_v,
                std::string(name_of(*dtype_of(checkpoint.tensor(prefix + "out_proj.weight"))))
                    .c_str(),
                difference < 1e-5 ? "yes" : "no");
            right = right && difference < 1e-5;
        }

        // A name that is not there: the message says what is.
        try {
            static_cast<void>(checkpoint.tensor("model.norm.weigth"));
        } catch (const Error&) {
            return right ? 0 : 1;
        }
        return 1;
    } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}

// Expected output:
// family qwen3_5, hidden 128
// model.layers.0.linear_attn. 2 + 4 heads, bf16 projections, cpu and reference agree: yes
// model.layers.1.linear_attn. 2 + 4 heads, bf16 projections, cpu and reference agree: yes
// model.layers.2.linear_attn. 2 + 4 heads, bf16 projections, cpu and reference agree: yes
// model.layers.3.linear_attn. 2 + 4 heads, bf16 projections, cpu and reference agree: yes
