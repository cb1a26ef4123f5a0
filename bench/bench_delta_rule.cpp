// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The delta rule alone, for the head sizes of published models: chunked prefill and recurrent
/// decode. Items are token-heads (one token of one value head); `flops` counts the 6 d_k d_v of the
/// recurrence. For a look at a machine; nothing is compared here.
#include <deltanet/cpu/backend.hpp>
#include <deltanet/workspace.hpp>

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

namespace {

using namespace deltanet;

std::vector<float> random_floats(index_t n, float low, float high) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(low, high);
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values) value = uniform(random);
    return values;
}

/// Arguments: d_k, d_v, H_k, H_v, tokens, sequences.
void delta_rule_case(benchmark::State& state) {
    const index_t d_k = state.range(0), d_v = state.range(1), n_heads_k = state.range(2),
                  n_heads_v = state.range(3);
    const index_t tokens = state.range(4), sequences = state.range(5), n = tokens * sequences;
    const float unit = 1.0F / std::sqrt(static_cast<float>(d_k));
    const std::vector<float> q = random_floats(n * n_heads_k * d_k, -unit, unit);
    const std::vector<float> k = random_floats(n * n_heads_k * d_k, -unit, unit);
    const std::vector<float> v = random_floats(n * n_heads_v * d_v, -1.0F, 1.0F);
    const std::vector<float> decay_log = random_floats(n * n_heads_v, -0.1F, 0.0F);
    const std::vector<float> beta = random_floats(n * n_heads_v, 0.0F, 1.0F);
    std::vector<float> slots(static_cast<std::size_t>(sequences * n_heads_v * d_k * d_v));
    std::vector<float> output(v.size());
    std::vector<SequenceSpan> spans;
    for (index_t s = 0; s < sequences; ++s) spans.push_back({s * tokens, tokens, s, Start::resume});

    DeltaRuleArgs<float> args;
    args.q = {q.data(), {n, n_heads_k, d_k}};
    args.k = {k.data(), {n, n_heads_k, d_k}};
    args.v = {v.data(), {n, n_heads_v, d_v}};
    args.decay_log = {decay_log.data(), {n, n_heads_v}};
    args.beta = {beta.data(), {n, n_heads_v}};
    args.state = {slots.data(), {sequences, n_heads_v, d_k, d_v}};
    args.output = {output.data(), {n, n_heads_v, d_v}};
    args.sequences = spans;
    CpuBackend<> backend;
    Workspace workspace;
    const std::span<std::byte> scratch = workspace.acquire(backend.delta_rule_scratch_bytes(args));
    for (auto _ : state) {
        delta_rule(backend, args, scratch);
        benchmark::ClobberMemory();
    }
    const auto token_heads = static_cast<double>(n * n_heads_v);
    state.counters["token_heads"] = benchmark::Counter(
        token_heads, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
    state.counters["flops"] = benchmark::Counter(6.0 * static_cast<double>(d_k * d_v) * token_heads,
                                                 benchmark::Counter::kIsIterationInvariantRate);
    state.SetLabel(CpuBackend<>::arch_name);
}

void published_shapes(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"d_k", "d_v", "H_k", "H_v", "tokens", "sequences"})
        ->Unit(benchmark::kMicrosecond);
    for (const index_t tokens : {64, 1024}) {
        bench->Args({128, 128, 16, 32, tokens, 1});
        bench->Args({64, 64, 16, 32, tokens, 1});
        bench->Args({96, 192, 30, 30, tokens, 1});
    }
    for (const index_t sequences : {1, 8, 32}) bench->Args({128, 128, 16, 32, 1, sequences});
}

BENCHMARK(delta_rule_case)->Name("delta_rule")->Apply(published_shapes);

}  // namespace

BENCHMARK_MAIN();
