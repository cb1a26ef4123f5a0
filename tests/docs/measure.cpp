// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Prints the figures that docs/numerics.md and docs/state.md quote. Not a test: the tests hold the
/// limits, this says how far from them the library is. Argument: what to measure (rule, gates,
/// golden, quantised, memory), or nothing for all.
#include "support/compare.hpp"
#include "support/golden.hpp"
#include "support/layer_fixture.hpp"
#include "support/random_blocks.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/linear/quantized.hpp>
#include <deltanet/linear/reference.hpp>

#include <cstdio>
#include <string>

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr index_t kHeadsK = 2, kHeadsV = 4, kSize = 128;

/// Inputs of the delta rule for one sequence.
struct RuleData {
    index_t n;
    std::vector<float> q, k, v, decay_log, beta;
};

RuleData random_rule(index_t n, std::uint32_t seed) {
    Random random(seed);
    RuleData d{n,
               random.unit_rows(n * kHeadsK, kSize),
               random.unit_rows(n * kHeadsK, kSize),
               random.normals(n * kHeadsV * kSize),
               random.uniforms(n * kHeadsV, std::log(1e-3), 0.0),
               random.uniforms(n * kHeadsV, 0.0, 1.0)};
    for (float& g : d.decay_log) g = -std::exp(g);
    return d;
}

struct RuleResult {
    std::vector<double> o, state;
};

/// Runs in scalar T and gives the results as doubles.
template <class T, class B>
RuleResult run_rule(B backend, const RuleData& d, ScanMode mode) {
    const auto as = [](const std::vector<float>& from) {
        return std::vector<T>(from.begin(), from.end());
    };
    const std::vector<T> q = as(d.q), k = as(d.k), v = as(d.v), g = as(d.decay_log),
                         beta = as(d.beta);
    std::vector<T> o(v.size()), state(static_cast<std::size_t>(kHeadsV * kSize * kSize));
    const SequenceSpan sequence{0, d.n, 0, Start::fresh};
    DeltaRuleArgs<T> args;
    args.q = {q.data(), {d.n, kHeadsK, kSize}};
    args.k = {k.data(), {d.n, kHeadsK, kSize}};
    args.v = {v.data(), {d.n, kHeadsV, kSize}};
    args.decay_log = {g.data(), {d.n, kHeadsV}};
    args.beta = {beta.data(), {d.n, kHeadsV}};
    args.state = {state.data(), {1, kHeadsV, kSize, kSize}};
    args.output = {o.data(), {d.n, kHeadsV, kSize}};
    args.sequences = {&sequence, 1};
    args.mode = mode;
    Workspace workspace;
    delta_rule(backend, args, workspace.acquire(backend.delta_rule_scratch_bytes(args)));
    return {{o.begin(), o.end()}, {state.begin(), state.end()}};
}

void compare_rule(const char* title, const RuleData& d) {
    const RuleResult exact = run_rule<double>(ReferenceBackend(), d, ScanMode::recurrent);
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        const RuleResult ours = run_rule<float>(CpuBackend<>(), d, mode);
        std::printf("| %s | %td | %s | %.1e | %.1e |\n", title, d.n,
                    mode == ScanMode::recurrent ? "recurrent" : "chunked",
                    relative_rms(ours.o, exact.o), relative_rms(ours.state, exact.state));
    }
}

void measure_rule() {
    std::printf("delta rule in float against double, arch %s\n", CpuBackend<>::arch_name);
    for (const index_t n : {64, 1024}) compare_rule("ordinary gates", random_rule(n, 1));
}

void measure_gates() {
    RuleData d = random_rule(1024, 2);  // forgets everything now and then, nothing in between
    for (std::size_t i = 0; i < d.decay_log.size(); ++i)
        d.decay_log[i] = i % 97 == 0 ? -3000.0F : -1e-4F;
    compare_rule("log decay -3000 among -0.0001", d);
    d = random_rule(
        1024, 3);  // beta near 2 and the same key again and again: the hardest system to solve
    for (std::size_t i = 0; i < d.k.size(); ++i)
        d.k[i] = d.k[i % static_cast<std::size_t>(kHeadsK * kSize)];
    for (float& beta : d.beta) beta = 1.999F;
    compare_rule("one key, beta 1.999", d);
}

/// The worst of all recorded layers, and decoding token by token against one call.
void measure_golden() {
    double worst[2][3] = {};  // recurrent, chunked; y, recurrent state, decode against prefill
    for (const char* name :
         {"qwen3_next_r1", "qwen3_next_r2", "qwen3_next_r3", "qwen3_5_r1", "qwen3_5_r2",
          "qwen3_5_r3", "qwen3_5_r4", "qwen3_5_odd", "qwen3_5_conv3", "qwen3_5_f16",
          "qwen3_5_head128", "qwen3_5_short", "qwen3_5_small_x", "olmo_hybrid_96_192",
          "olmo_hybrid_small", "qwen4_exp_sigmoid"}) {
        const Golden golden("layer_" + std::string(name) + ".safetensors");
        for (const int chunked : {0, 1}) {
            LayerConfig config = golden.config();
            config.scan = chunked != 0 ? ScanMode::chunked : ScanMode::recurrent;
            const BoundLayer<> bound =
                bind_layer(golden.weights, golden.family(), config, golden.text("prefix"));
            DeltaNetLayer<CpuBackend<>> layer(bound.config, bound.weights);
            StateSlots slots(config, {.slots = 2});
            const std::vector<float> x = golden.floats("x");
            const std::vector<float> y = run(layer, one(golden.rows("x")), x, slots);
            std::vector<float> decoded;
            for (index_t t = 0; t < golden.rows("x"); ++t) {
                const std::vector<float> row =
                    run(layer, one(1, t == 0 ? Start::fresh : Start::resume, 1),
                        rows_of(x, config.hidden, t, 1), slots);
                decoded.insert(decoded.end(), row.begin(), row.end());
            }
            const double errors[] = {
                relative_rms(y, golden.floats("y")),
                relative_rms(elements(slots.recurrent(0)[0]), golden.floats("recurrent_state")),
                relative_rms(decoded, y)};
            for (std::size_t i = 0; i < 3; ++i)
                worst[chunked][i] = std::max(worst[chunked][i], errors[i]);
        }
    }
    std::printf("16 recorded layers, arch %s, the worst of them\n", CpuBackend<>::arch_name);
    for (const int chunked : {0, 1}) {
        std::printf("| %s | %.1e | %.1e | %.1e |\n", chunked != 0 ? "chunked" : "recurrent",
                    worst[chunked][0], worst[chunked][1], worst[chunked][2]);
    }
}

template <class L>
std::vector<float> product(const L& linear, const std::vector<float>& x, index_t n_tokens) {
    std::vector<float> y(static_cast<std::size_t>(n_tokens * linear.out_features()));
    SequentialExecutor executor;
    Workspace workspace;
    linear(View<const float, 2>(x.data(), {n_tokens, linear.in_features()}),
           View<float, 2>(y.data(), {n_tokens, linear.out_features()}),
           workspace.acquire(linear.scratch_bytes(n_tokens, 1)), executor);
    return y;
}

/// Products with quantised weights, blocks of random bits, against the same weights in double.
void measure_quantised() {
    constexpr index_t kTokens = 64, kRows = 256, kColumns = 2048;
    const std::vector<float> normal = Random(6).normals(kTokens * kColumns);
    std::vector<float> uneven = normal;
    for (std::size_t i = 0; i < uneven.size(); i += 32) uneven[i] *= 10.0F;
    std::printf("products with quantised weights, arch %s\n", CpuBackend<>::arch_name);
    for (const WeightFormat format :
         {WeightFormat::q8_0, WeightFormat::q4_0, WeightFormat::q4_k, WeightFormat::q6_k}) {
        const RandomBlocks blocks(format, kRows, kColumns);
        const WeightMatrix w = blocks.matrix();
        std::printf("| %s |", std::string(name_of(format)).c_str());
        const auto measure = [&](const std::vector<float>& x) {
            const std::vector<float> exact = product(ReferenceLinear(w), x, kTokens);
            std::printf(" %.1e | %.1e |",
                        relative_rms(product(QuantizedLinear<>(w), x, kTokens), exact),
                        relative_rms(product(EigenLinear(w), x, kTokens), exact));
        };
        measure(normal);
        measure(uneven);
        std::printf("\n");
    }
}

void print_memory(const char* name, const LayerConfig& config, index_t layers) {
    constexpr double kMiB = 1024.0 * 1024.0;
    const auto conv = static_cast<double>(config.conv_taps() * config.conv_dim() * 4);
    const auto row = static_cast<double>(StateSlots::bytes_per_slot(config));
    std::printf("| %s | %td | %td, %td | %td, %td | %.2f MiB | %.0f KiB | %td | %.1f MiB |\n", name,
                config.hidden, config.n_heads_k, config.n_heads_v, config.d_k, config.d_v,
                (row - conv) / kMiB, conv / 1024.0, layers,
                static_cast<double>(StateSlots::bytes_per_slot(config, layers)) / kMiB);
}

/// Numbers of linear layers as in the publishers' configuration files.
void measure_memory() {
    print_memory("`qwen3_next_80b_a3b()`", qwen3_next_80b_a3b(), 36);
    print_memory("`qwen3_5_0_8b()`", qwen3_5_0_8b(), 18);
    print_memory("`qwen3_5_2b()`", qwen3_5_2b(), 18);
    print_memory("`qwen3_5_4b()`", qwen3_5_4b(), 24);
    print_memory("`qwen3_5_9b()`", qwen3_5_9b(), 24);
    print_memory("`qwen3_5_27b()`", qwen3_5_27b(), 48);
    print_memory("`qwen3_5_35b_a3b()`", qwen3_5_35b_a3b(), 30);
    print_memory("`qwen3_5_122b_a10b()`", qwen3_5_122b_a10b(), 36);
    print_memory("`qwen3_5_397b_a17b()`", qwen3_5_397b_a17b(), 45);
    print_memory("`qwen3_8_flash_next()`", qwen3_8_flash_next(), 36);
    print_memory("`olmo_hybrid_7b()`", olmo_hybrid_7b(), 24);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what.empty() || what == "rule") measure_rule();
    if (what.empty() || what == "gates") measure_gates();
    if (what.empty() || what == "golden") measure_golden();
    if (what.empty() || what == "quantised") measure_quantised();
    if (what.empty() || what == "memory") measure_memory();
    return 0;
}
