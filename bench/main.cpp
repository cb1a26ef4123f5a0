// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// deltanet_bench [SUITE] [GOOGLE BENCHMARK OPTION...]: runs a suite (scan, decode, fused, linear,
/// layer, state, all) and prints a line for each case:
///   case=<name> us=<median> spread=<x> cycles=<x> floor_ratio=<x> plain_us=<median>
/// us: microseconds per token; spread: (75th - 25th percentile) / median; cycles: of the core, per
/// token-head or channel-token; floor_ratio: see support/suite.hpp; plain_us: the same in plain
/// loops on one thread (support/plain.hpp), 0 where there are none. Cases with rivals add
/// vs_<rival>=<x>: how many times as long the rival takes.
#include "support/bandwidth.hpp"
#include "support/peak.hpp"
#include "support/suite.hpp"
#include <deltanet/cpu/arch.hpp>

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace deltanet::bench {

ThreadPoolExecutor pool(index_t threads) {
    static std::map<index_t, std::unique_ptr<ThreadPool>> pools;
    std::unique_ptr<ThreadPool>& found = pools[threads];
    if (found == nullptr) found = std::make_unique<ThreadPool>(threads);
    return ThreadPoolExecutor(*found);
}

namespace {

constexpr double kSampleSeconds = 0.01;  // of a case, in as many runs as it takes

double quantile(std::vector<double> values, double q) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

/// Few samples: it is slow, and only its order matters.
double plain_us(const Case& work) {
    if (!work.plain) return 0.0;
    std::vector<double> us;
    for (int sample = 0; sample < 3; ++sample)
        us.push_back(seconds(work.plain) * 1e6 / work.tokens);
    return quantile(us, 0.5);
}

void measure(benchmark::State& state, const CaseMaker& maker) {
    const Case work = maker.make();
    work.run();  // pages, caches, workspaces
    const double once = seconds(work.run);
    const int runs = std::max(1, static_cast<int>(std::ceil(kSampleSeconds / once)));
    std::vector<double> us, cycles, ratios;
    std::vector<std::vector<double>> rivals(work.rivals.size());
    for (const Rival& rival : work.rivals) rival.run();
    for (auto _ : state) {
        const double clock = clock_rate();
        const double floor = work.floor();
        const double time = seconds([&] {
                                for (int run = 0; run < runs; ++run) work.run();
                            }) /
                            runs;
        state.SetIterationTime(time);
        us.push_back(time * 1e6 / work.tokens);
        cycles.push_back(time * clock / work.units);
        ratios.push_back(floor / time);
        for (std::size_t i = 0; i < rivals.size(); ++i)
            rivals[i].push_back(seconds(work.rivals[i].run) / time);
    }
    const double median = quantile(us, 0.5);
    state.counters["us"] = median;
    state.counters["spread"] = (quantile(us, 0.75) - quantile(us, 0.25)) / median;
    state.counters["cycles"] = quantile(cycles, 0.5);
    state.counters["floor_ratio"] = quantile(ratios, 0.5);
    state.counters["plain_us"] = plain_us(work);
    std::string label = work.note;
    for (std::size_t i = 0; i < rivals.size(); ++i) {
        const double ratio = quantile(rivals[i], 0.5);
        state.counters["vs_" + work.rivals[i].name] = ratio;
        char text[32];
        std::snprintf(text, sizeof(text), "=%.3g", ratio);
        label += (label.empty() ? "vs_" : " vs_") + work.rivals[i].name + text;
    }
    if (work.detail) label += (label.empty() ? "" : " ") + work.detail();
    state.SetLabel(label);
}

/// One line a case, as soon as it is done.
class LineReporter : public benchmark::BenchmarkReporter {
  public:
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            const auto value = [&](const char* counter) { return run.counters.at(counter).value; };
            std::printf(
                "case=%s us=%.4g spread=%.3f cycles=%.4g floor_ratio=%.3f plain_us=%.4g%s%s\n",
                run.run_name.function_name.c_str(), value("us"), value("spread"), value("cycles"),
                value("floor_ratio"), value("plain_us"), run.report_label.empty() ? "" : " ",
                run.report_label.c_str());
            std::fflush(stdout);
        }
    }
};

/// "400 GFLOP/s", or "none".
std::string bf16_peak_text() {
    if (!cpu::has_bf16_products<cpu::default_arch>) return "none";
    std::vector<double> peaks;
    for (int sample = 0; sample < 15; ++sample)
        peaks.push_back(product_peak<Bf16OrPlain<cpu::default_arch>::type>());
    char text[32];
    std::snprintf(text, sizeof(text), "%.4g GFLOP/s", quantile(peaks, 0.5) * 1e-9);
    return text;
}

void print_machine() {
    SequentialExecutor one;
    const index_t mib = (index_t{1} << 20) / static_cast<index_t>(sizeof(float));
    Bandwidth update(Bandwidth::Kind::update, 256 * mib, 16 * mib);
    Bandwidth copy(Bandwidth::Kind::copy, 256 * mib, 16 * mib);
    std::vector<double> updates, copies, peaks, clocks;
    for (int sample = 0; sample < 15; ++sample) {
        clocks.push_back(clock_rate());
        peaks.push_back(product_peak());
        updates.push_back(update.sample(one));
        copies.push_back(copy.sample(one));
    }
    std::printf(
        "# arch=%s threads=%u clock=%.3g GHz fma_peak=%.4g GFLOP/s (%.3g per cycle)"
        " bf16_peak=%s dram_update=%.3g GB/s dram_copy=%.3g GB/s (one thread, medians)\n",
        cpu::arch_name<cpu::default_arch>(), std::thread::hardware_concurrency(),
        quantile(clocks, 0.5) * 1e-9, quantile(peaks, 0.5) * 1e-9,
        quantile(peaks, 0.5) / quantile(clocks, 0.5), bf16_peak_text().c_str(),
        quantile(updates, 0.5) * 1e-9, quantile(copies, 0.5) * 1e-9);
    std::fflush(stdout);
}

int run(int argc, char** argv) {
    const std::map<std::string_view, Suite (*)()> suites = {
        {"scan", scan_suite},     {"decode", decode_suite}, {"fused", fused_suite},
        {"linear", linear_suite}, {"layer", layer_suite},   {"state", state_suite}};
    const std::string_view wanted = argc > 1 && argv[1][0] != '-' ? argv[1] : "all";
    bool known = wanted == "all";
    for (const auto& [name, make] : suites) {
        if (wanted != "all" && wanted != name) continue;
        known = true;
        for (const CaseMaker& maker : make()) {
            benchmark::RegisterBenchmark(
                maker.name.c_str(), [maker](benchmark::State& state) { measure(state, maker); })
                ->UseManualTime()
                ->Iterations(maker.samples)
                ->Unit(benchmark::kMicrosecond);
        }
    }
    if (!known) {
        std::fprintf(stderr,
                     "deltanet_bench: SUITE: expected scan, decode, fused, linear, layer, state or "
                     "all, found %s\n",
                     std::string(wanted).c_str());
        return 2;
    }
    if (argc > 1 && argv[1][0] != '-') {
        argv[1] = argv[0];
        --argc, ++argv;
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    print_machine();
    LineReporter reporter;
    return benchmark::RunSpecifiedBenchmarks(&reporter) > 0 ? 0 : 1;
}

}  // namespace
}  // namespace deltanet::bench

int main(int argc, char** argv) { return deltanet::bench::run(argc, argv); }
