// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The main job: a language model, trained and saved by transformers, continues a text, and every
/// token of it goes through DeltaNetLayer. The prompt is prefilled in one call (chunked delta
/// rule), then text is decoded byte by byte (recurrent). With --check the same program proves that
/// it computes what transformers does; with --precision it shows what narrow states and products do
/// to it; with --speculate drafts are verified and rolled back.
#include "chat.hpp"
#include "language_model.hpp"
#include "options.hpp"
#include "precision.hpp"
#include "speculate.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <random>

namespace {

using deltanet::Start;
using generate::LanguageModel;

std::vector<int> bytes_of(const std::string& text) {
    std::vector<int> bytes;
    for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
    return bytes;
}

std::vector<int> bytes_of(const deltanet::TensorInfo& tensor) {
    const auto* const data = reinterpret_cast<const unsigned char*>(tensor.data);
    return {data, data + tensor.byte_size};
}

/// The likeliest next byte after the last row of logits.
int likeliest(const std::vector<float>& logits, std::ptrdiff_t vocabulary) {
    const auto rows = static_cast<std::ptrdiff_t>(logits.size()) / vocabulary;
    return generate::likeliest(logits, vocabulary, rows - 1);
}

/// A random next byte, likelier ones more often; temperature 0 takes the likeliest.
int sample(const std::vector<float>& logits, std::ptrdiff_t vocabulary, double temperature,
           std::mt19937& random) {
    const int best = likeliest(logits, vocabulary);
    if (temperature == 0.0) return best;
    const auto row = logits.end() - vocabulary;
    std::vector<double> weights;
    for (auto logit = row; logit != logits.end(); ++logit) {
        weights.push_back(std::exp(static_cast<double>(*logit - row[best]) / temperature));
    }
    return std::discrete_distribution<int>(weights.begin(), weights.end())(random);
}

class Stopwatch {
  public:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void print_byte(int byte) {
    std::putchar(byte);
    std::fflush(stdout);
}

int continue_text(LanguageModel& model, const std::vector<int>& prompt,
                  const generate::Options& options) {
    for (const int byte : prompt) print_byte(byte);
    const Stopwatch prefill;
    const std::vector<float>* logits = &model.feed(prompt, Start::fresh);
    const double prefill_seconds = prefill.seconds();

    std::mt19937 random(options.seed);
    const Stopwatch decode;
    for (int i = 0; i < options.bytes; ++i) {
        const int byte = sample(*logits, model.vocabulary(), options.temperature, random);
        print_byte(byte);
        logits = &model.feed({byte}, Start::resume);
    }
    const double decode_seconds = decode.seconds();
    std::printf("\n\nprefill %zu tokens, %.0f tokens/s; decode %d tokens, %.0f tokens/s\n",
                prompt.size(), static_cast<double>(prompt.size()) / prefill_seconds, options.bytes,
                static_cast<double>(options.bytes) / decode_seconds);
    return 0;
}

/// Largest absolute difference; infinite if one is not a number or there is not one for one.
double worst_difference(const std::vector<float>& actual, const std::vector<float>& expected) {
    constexpr double kInfinite = std::numeric_limits<double>::infinity();
    if (actual.size() != expected.size()) return kInfinite;
    double worst = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const double difference =
            std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i]));
        worst = std::isnan(difference) ? kInfinite : std::max(worst, difference);
    }
    return worst;
}

/// Decodes the recorded sample, a text that does not repeat itself as greedy ones do, and compares
/// the logits that its last bytes were drawn from.
double check_sample(LanguageModel& model, const std::vector<int>& prompt,
                    const deltanet::SafetensorsFile& expected) {
    const std::vector<int> sample = bytes_of(expected.tensor("sample"));
    const std::vector<float> expected_logits =
        deltanet::read_float(expected.tensor("sample_logits"));
    const std::size_t first =
        sample.size() - expected_logits.size() / static_cast<std::size_t>(model.vocabulary());
    std::vector<float> decoded;
    std::vector<float> logits = model.feed(prompt, Start::fresh);
    for (std::size_t i = 0; i < sample.size(); ++i) {
        if (i >= first)
            decoded.insert(decoded.end(), logits.end() - model.vocabulary(), logits.end());
        logits = model.feed({sample[i]}, Start::resume);
    }
    return worst_difference(decoded, expected_logits);
}

/// Every logit of the prompt and the greedy continuation, against what transformers computed in
/// float32.
int check(LanguageModel& model, const deltanet::SafetensorsFile& expected) {
    constexpr double kLimit = 2e-4;
    const std::vector<int> prompt = bytes_of(expected.tensor("prompt"));
    const std::vector<int> greedy = bytes_of(expected.tensor("greedy"));
    const std::vector<float> expected_logits =
        deltanet::read_float(expected.tensor("prompt_logits"));

    const std::vector<float>* logits = &model.feed(prompt, Start::fresh);
    const double prompt_worst = worst_difference(*logits, expected_logits);
    std::size_t same = 0;
    while (same < greedy.size()) {
        const int byte = likeliest(*logits, model.vocabulary());
        if (byte != greedy[same]) break;
        ++same;
        logits = &model.feed({byte}, Start::resume);
    }
    const double sample_worst = check_sample(model, prompt, expected);
    const double worst = std::max(prompt_worst, sample_worst);
    const bool agrees = worst <= kLimit && same == greedy.size();
    std::printf(
        "check: %zu prompt tokens and 32 decoded ones, max |logit difference| %.2e (limit %.0e); "
        "%zu of %zu greedy bytes identical: %s\n",
        prompt.size(), worst, kLimit, same, greedy.size(),
        agrees ? "agrees with transformers" : "FAILED");
    return agrees ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const generate::Options options = generate::parse(argc, argv);
        if (options.help) {
            std::fputs(generate::kUsage, stdout);
            return 0;
        }
        if (options.chat) return generate::chat(options.model);
        if (options.precision)
            return generate::measure_precision(options.model, options.recorded());
        const std::vector<int> prompt =
            options.prompt.empty() ? bytes_of(deltanet::SafetensorsFile::open(
                                                  options.recorded() / "expected.safetensors")
                                                  .tensor("prompt"))
                                   : bytes_of(options.prompt);
        if (options.speculate) return generate::speculate(options.model, prompt, 200);
        LanguageModel model(options.model);
        if (options.check) {
            return check(model, deltanet::SafetensorsFile::open(options.recorded() /
                                                                "expected.safetensors"));
        }
        const deltanet::LayerConfig& layer = model.layer();
        std::printf(
            "%td layers of Gated DeltaNet, hidden %td, %td key and %td value heads of %td and %td, "
            "backend cpu/%s\n\n",
            model.n_layers(), layer.hidden, layer.n_heads_k, layer.n_heads_v, layer.d_k, layer.d_v,
            generate::Backend::arch_name);
        return continue_text(model, prompt, options);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "generate: %s\n%s", error.what(), generate::kUsage);
        return 2;
    }
}
