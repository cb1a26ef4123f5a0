// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The command line of `generate`.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>

namespace generate {

struct Options {
    std::filesystem::path model = std::filesystem::path(DELTANET_EXAMPLE_DATA_DIR) / "model";
    /// Where the texts and numbers are that came with the model: beside it, unless it is the
    /// example's in another format.
    [[nodiscard]] std::filesystem::path recorded() const {
        return model.extension() == ".gguf" ? Options().model : model;
    }
    std::string prompt;        ///< empty: the one that came with the model
    int bytes = 400;           ///< to generate
    double temperature = 0.7;  ///< 0: always the likeliest byte
    std::uint32_t seed = 1;
    bool check = false;
    bool precision = false;
    bool speculate = false;
    bool chat = false;
    bool help = false;
};

inline constexpr const char* kUsage =
    "generate [--prompt TEXT] [--bytes N] [--temperature T] [--seed N] [--model PATH]\n"
    "    continues a text with the small language model in examples/generate/model, or with "
    "another of its kind:\n    a directory, or a file.gguf\n"
    "generate --check\n"
    "    compares logits and greedy continuation with those recorded from transformers\n"
    "generate --precision\n"
    "    perplexity of 4096 bytes with narrow states and products, against float32; of a file.gguf "
    "with integer\n    products, against its weights unpacked\n"
    "generate --speculate\n"
    "    decodes 200 bytes with drafts that are verified and rolled back: the same text in fewer "
    "steps\n"
    "generate --chat\n"
    "    a conversation whose beginning is not read again: states in a prefix cache\n";

/// Throws std::invalid_argument with what is wrong.
inline Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string flag = argv[i];
        const auto value = [&]() -> std::string {
            if (i + 1 == argc) throw std::invalid_argument(flag + " needs a value");
            return argv[++i];
        };
        const auto number = [&] {
            const std::string text = value();
            std::size_t read = 0;
            double parsed = -1.0;
            try {
                parsed = std::stod(text, &read);
            } catch (const std::exception&) {
                read = 0;
            }
            if (read != text.size() || text.empty() || !(parsed >= 0.0) || parsed > 1e9) {
                throw std::invalid_argument(flag + " needs a number >= 0, not \"" + text + "\"");
            }
            return parsed;
        };
        if (flag == "--prompt") {
            options.prompt = value();
        } else if (flag == "--bytes") {
            options.bytes = static_cast<int>(number());
        } else if (flag == "--temperature") {
            options.temperature = number();
        } else if (flag == "--seed") {
            options.seed = static_cast<std::uint32_t>(number());
        } else if (flag == "--model") {
            options.model = value();
        } else if (flag == "--check") {
            options.check = true;
        } else if (flag == "--precision") {
            options.precision = true;
        } else if (flag == "--speculate") {
            options.speculate = true;
        } else if (flag == "--chat") {
            options.chat = true;
        } else if (flag == "--help" || flag == "-h") {
            options.help = true;
        } else {
            throw std::invalid_argument("unknown option " + flag);
        }
    }
    return options;
}

}  // namespace generate
