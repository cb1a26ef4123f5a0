// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What lower precision does to the model: perplexity over 4096 bytes that it has not seen, and the
/// error of the states behind them, against float32. With a quantised GGUF file: what the integer
/// products do, against products with its weights unpacked.
#pragma once

#include "held_out.hpp"
#include "language_model.hpp"

#include <cmath>
#include <cstdio>

namespace generate {

struct PrecisionCase {
    const char* text;
    ModelOptions precision;
    std::size_t piece;      ///< tokens per call; 1: decoding
    bool unpacked = false;  ///< quantised weights as floats
};

struct PrecisionResult {
    double bits = 0.0;          ///< -log2 of the probability of a byte, mean
    std::vector<float> logits;  ///< [n, vocabulary]
    std::vector<float> states;  ///< of all layers
};

/// -log2 softmax(row)[byte].
inline double bits_of(const float* row, index_t vocabulary, int byte) {
    double largest = static_cast<double>(row[0]);
    for (index_t i = 1; i < vocabulary; ++i)
        largest = std::max(largest, static_cast<double>(row[i]));
    double sum = 0.0;
    for (index_t i = 0; i < vocabulary; ++i) sum += std::exp(static_cast<double>(row[i]) - largest);
    return (largest + std::log(sum) - static_cast<double>(row[byte])) / std::log(2.0);
}

/// text has one byte more than are fed: the last one is only predicted.
template <class Model>
PrecisionResult run_model(const std::filesystem::path& path, const PrecisionCase& c,
                          const std::vector<int>& text) {
    Model model(path, c.precision);
    PrecisionResult result;
    const std::size_t n = text.size() - 1;
    for (std::size_t done = 0; done < n; done += c.piece) {
        const std::size_t last = std::min(n, done + c.piece);
        const std::vector<float>& logits =
            model.feed({text.begin() + static_cast<std::ptrdiff_t>(done),
                        text.begin() + static_cast<std::ptrdiff_t>(last)},
                       done == 0 ? deltanet::Start::fresh : deltanet::Start::resume);
        result.logits.insert(result.logits.end(), logits.begin(), logits.end());
    }
    const index_t vocabulary = model.vocabulary();
    for (std::size_t t = 0; t < n; ++t) {
        const float* const row = result.logits.data() + static_cast<index_t>(t) * vocabulary;
        result.bits += bits_of(row, vocabulary, text[t + 1]) / static_cast<double>(n);
    }
    result.states = model.states();
    return result;
}

inline PrecisionResult run_case(const std::filesystem::path& path, const PrecisionCase& c,
                                const std::vector<int>& text) {
    if (!c.unpacked) return run_model<LanguageModel>(path, c, text);
    return run_model<BasicLanguageModel<deltanet::EigenLinear>>(path, c, text);
}

/// rms(a - b) / rms(b).
inline double relative_rms(const std::vector<float>& a, const std::vector<float>& b) {
    double difference = 0.0, reference = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
        reference += std::pow(static_cast<double>(b[i]), 2);
    }
    return std::sqrt(difference / reference);
}

/// Prints a line for each case. `recorded` is where the text is.
inline int measure_precision(const std::filesystem::path& path,
                             const std::filesystem::path& recorded) {
    using deltanet::DType;
    using deltanet::ScanCompute;
    const std::vector<int> text = held_out_text(recorded);

    constexpr std::size_t whole = 512;
    const std::vector<PrecisionCase> of_weights = {
        {"weights unpacked to float32, prefill", {}, whole, true},
        {"weights unpacked to float32, decode", {}, 1, true},
        {"integer products, prefill", {}, whole},
        {"integer products, decode", {}, 1},
    };
    const std::vector<PrecisionCase> of_states = {
        {"float32, prefill", {}, whole},
        {"float32, decode", {}, 1},
        {"bf16 products, prefill", {DType::f32, ScanCompute::bf16_emulated}, whole},
        {"bf16 state, prefill", {DType::bf16, ScanCompute::f32}, whole},
        {"bf16 state, decode", {DType::bf16, ScanCompute::f32}, 1},
        {"bf16 state, decode, 16 updates pending", {DType::bf16, ScanCompute::f32, 16}, 1},
        {"f16 state, decode", {DType::f16, ScanCompute::f32}, 1},
        {"f16 state, decode, 16 updates pending", {DType::f16, ScanCompute::f32, 16}, 1},
        {"i8 state, prefill", {DType::i8, ScanCompute::f32}, whole},
        {"i8 state, decode", {DType::i8, ScanCompute::f32}, 1},
        {"i8 state, decode, 16 updates pending", {DType::i8, ScanCompute::f32, 16}, 1},
        {"bf16 products and state, prefill", {DType::bf16, ScanCompute::bf16_emulated}, whole},
    };
    std::printf("%zu bytes, %zu a call in prefill\n\n", text.size() - 1, whole);
    std::printf("| | perplexity | difference | error of logits | error of states |\n");
    std::printf("|---|---|---|---|---|\n");
    PrecisionResult first;
    for (const PrecisionCase& c : path.extension() == ".gguf" ? of_weights : of_states) {
        PrecisionResult result = run_case(path, c, text);
        const double perplexity = std::exp2(result.bits);
        if (first.logits.empty()) first = result;
        std::printf("| %s | %.5f | %+.1e | %.1e | %.1e |\n", c.text, perplexity,
                    perplexity - std::exp2(first.bits), relative_rms(result.logits, first.logits),
                    relative_rms(result.states, first.states));
        std::fflush(stdout);
    }
    return 0;
}

}  // namespace generate
