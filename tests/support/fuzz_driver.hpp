// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What fuzz targets do without libFuzzer: a loop of seeded mutations of valid inputs.
///   <target> [iterations] [seed]
///   <target> --seeds <folder>    writes its inputs, to start libFuzzer from
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deltanet::test {

/// Counts that tell whether the inputs reach a reader's depths.
struct FuzzOutcomes {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
};

/// Ends the program, as libFuzzer wants it.
inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "fuzz: not so: %s\n", what);
    std::abort();
}

class FuzzMutator {
  public:
    /// `pieces`: what random bytes rarely form.
    FuzzMutator(std::uint64_t seed, std::span<const std::string_view> pieces)
        : random_(seed), pieces_(pieces) {}

    std::string operator()(const std::vector<std::string>& inputs) {
        std::string text = inputs[below(inputs.size())];
        for (std::size_t n = below(4) + 1; n > 0; --n) mutate(text, inputs);
        return text;
    }

  private:
    std::size_t below(std::size_t n) {
        return n == 0 ? 0 : static_cast<std::size_t>(random_() % n);
    }
    char byte() { return static_cast<char>(random_()); }

    void mutate(std::string& text, const std::vector<std::string>& inputs) {
        const std::size_t at = below(text.size() + 1);
        const std::size_t rest = text.size() - at;
        const std::string_view piece = pieces_[below(pieces_.size())];
        const std::string& other = inputs[below(inputs.size())];
        switch (below(9)) {
            case 0:
                text.insert(at, 1, byte());
                break;
            case 1:
                text.erase(at, 1 + below(4));
                break;
            case 2:
                text.erase(at, below(rest + 1));
                break;
            case 3:
                text.insert(at, piece);
                break;
            case 4:
                text.replace(at, std::min(rest, below(8)), piece);
                break;
            case 5:
                text.insert(at, text.substr(below(text.size() + 1), below(64)));
                break;
            case 6:
                text = text.substr(0, at) + other.substr(below(other.size() + 1));
                break;
            default:
                if (rest > 0)
                    text[at] = below(2) == 0 ? byte() : static_cast<char>('0' + below(10));
        }
    }

    std::mt19937_64 random_;
    std::span<const std::string_view> pieces_;
};

inline bool parse_number(std::string_view text, std::uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

inline int write_seeds(const std::string& folder, const std::vector<std::string>& inputs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        std::ofstream file(folder + "/seed" + std::to_string(i), std::ios::binary);
        file.write(inputs[i].data(), static_cast<std::streamsize>(inputs[i].size()));
        if (!file.flush()) return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

/// `run(input)` for every seed, `seeds_ran()`, then for mutations of them; `finished(iterations)`.
template <class Run, class SeedsRan, class Finished>
int fuzz_main(std::span<char*> arguments, const std::vector<std::string>& inputs,
              std::span<const std::string_view> pieces, Run&& run, SeedsRan&& seeds_ran,
              Finished&& finished) {
    const std::vector<std::string_view> words(arguments.begin() + 1, arguments.end());
    if (words.size() == 2 && words[0] == "--seeds")
        return write_seeds(std::string(words[1]), inputs);
    std::uint64_t iterations = 200000;
    std::uint64_t seed = 1;
    if ((!words.empty() && !parse_number(words[0], iterations)) ||
        (words.size() > 1 && !parse_number(words[1], seed)) || words.size() > 2) {
        std::fprintf(stderr, "usage: %s [iterations] [seed] | --seeds <folder>\n", arguments[0]);
        return 2;
    }
    for (const std::string& input : inputs) run(input);
    seeds_ran();
    FuzzMutator mutate(seed, pieces);
    for (std::uint64_t i = 0; i < iterations; ++i) run(mutate(inputs));
    finished(iterations);
    return EXIT_SUCCESS;
}

inline void print_outcomes(const char* name, const FuzzOutcomes& outcomes) {
    std::printf("%s: %llu accepted, %llu refused\n", name,
                static_cast<unsigned long long>(outcomes.accepted),
                static_cast<unsigned long long>(outcomes.refused));
}

}  // namespace deltanet::test
