// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Throws bytes at the readers of io/: whatever they are, a reader returns tensors that lie within
/// the bytes and fill them, or throws `Error`. Two programs from one file:
///   libFuzzer   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -DDELTANET_LIBFUZZER
///                   -I include -I tests tests/io/safetensors_fuzz.cpp -o safetensors_fuzz
///               ./safetensors_fuzz -dict=tests/io/safetensors_fuzz.dict -max_len=2048 <folder>
///   standalone  any compiler, without -DDELTANET_LIBFUZZER: a loop of seeded mutations;
///               ./safetensors_fuzz [iterations] [seed]
///               ./safetensors_fuzz --seeds <folder>    writes its inputs, to start libFuzzer from
#include "io/io_support.hpp"
#include <deltanet/io/checkpoint.hpp>
#include <deltanet/io/safetensors.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using deltanet::index_t;
using deltanet::SafetensorsContents;
using deltanet::TensorInfo;

/// Counts that tell whether the inputs reach the readers' depths; printed by the standalone
/// program.
struct Outcomes {
    std::uint64_t parsed = 0;
    std::uint64_t refused = 0;
};

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "safetensors_fuzz: not so: %s\n", what);
    std::abort();
}

/// What callers rely on in a file that parsed.
void check_contents(std::span<const std::byte> bytes, const SafetensorsContents& contents) {
    const std::byte* const end = bytes.data() + bytes.size();
    index_t total = 0;
    unsigned sum = 0;
    for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
        const TensorInfo& tensor = contents.tensors[i];
        require(i == 0 || contents.tensors[i - 1].name < tensor.name, "names ascend");
        require(tensor.byte_size >= 0 && tensor.count() >= 0, "sizes are not negative");
        require(tensor.data >= bytes.data() + 10 && tensor.byte_size <= end - tensor.data,
                "data lie behind the header and in the file");
        for (index_t b = 0; b < tensor.byte_size; ++b)
            sum += std::to_integer<unsigned>(tensor.data[b]);
        total += tensor.byte_size;
        if (deltanet::dtype_of(tensor).has_value() || tensor.dtype == "F64") {
            const std::vector<float> values = deltanet::read_float(tensor);
            require(static_cast<index_t>(values.size()) == tensor.count(),
                    "as many values as elements");
        }
    }
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof(header));
    require(static_cast<std::uint64_t>(total) + header + sizeof(header) == bytes.size(),
            "header and tensors fill the file");
    volatile unsigned used = sum;  // the reads above must happen
    static_cast<void>(used);
}

/// Runs one reader on a copy that lies alone on the heap, where a sanitizer guards both its ends.
template <class Reader>
void run(std::string_view input, Outcomes& outcomes, const Reader& reader) {
    const auto memory = std::make_unique<std::byte[]>(input.size());
    if (!input.empty()) std::memcpy(memory.get(), input.data(), input.size());
    try {
        reader(std::span<const std::byte>(memory.get(), input.size()));
        ++outcomes.parsed;
    } catch (const deltanet::Error& error) {
        require(std::string_view(error.what()).find(": expected ") != std::string_view::npos,
                "messages say what was expected");
        require(std::strlen(error.what()) < 4096, "messages are short");
        ++outcomes.refused;
    }
}

void read_file(std::string_view input, Outcomes& outcomes) {
    run(input, outcomes, [](std::span<const std::byte> bytes) {
        check_contents(bytes, deltanet::parse_safetensors(bytes, "file"));
    });
}

/// The input as a whole file, as a header with a true length before up to 63 bytes of data (the
/// count is the input's first byte), and as an index.
void run_all(std::string_view input, std::array<Outcomes, 3>& outcomes) {
    read_file(input, outcomes[0]);
    if (!input.empty()) {
        const auto data_bytes =
            static_cast<std::size_t>(static_cast<unsigned char>(input[0]) % 64U);
        const std::string_view header = input.substr(1);
        read_file(deltanet::test::safetensors_bytes(header, std::string(data_bytes, 'x')),
                  outcomes[1]);
    }
    run(input, outcomes[2], [](std::span<const std::byte> bytes) {
        const auto map = deltanet::detail::parse_checkpoint_index(bytes, "index");
        require(!map.empty(), "an index has tensors");
        for (const auto& [tensor, file] : map) {
            require(!file.empty() && file.find('/') == std::string::npos && file != "..",
                    "files lie beside the index");
        }
    });
}

}  // namespace

#if defined(DELTANET_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::array<Outcomes, 3> outcomes;
    run_all({reinterpret_cast<const char*>(data), size}, outcomes);
    return 0;
}

#else

namespace {

std::vector<std::string> seeds() {
    const std::string header =
        R"({"__metadata__":{"format":"pt"},)"
        R"("model.norm.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
        R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},)"
        R"("c":{"dtype":"F16","shape":[],"data_offsets":[22,24]},)"
        R"("d":{"dtype":"F4","shape":[0,4],"data_offsets":[24,24]},)"
        R"("\u00e9":{"dtype":"F64","shape":[1],"data_offsets":[24,32]}} )";
    const std::string index =
        R"({"metadata":{"total_size":3.5,"x":[1,{"y":null}]},)"
        R"("weight_map":{"a":"model-00001-of-00002.safetensors","b":"2.safetensors"}})";
    return {
        deltanet::test::safetensors_bytes(header, std::string(32, 'x')),
        deltanet::test::safetensors_bytes("{}"),
        static_cast<char>(32) + header,
        static_cast<char>(4) +
            std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})"),
        index,
        R"({"weight_map":{"a":"a"}})",
    };
}

/// Pieces that random bytes rarely form.
constexpr std::array<std::string_view, 26> pieces{
    "\"dtype\":",
    "\"shape\":",
    "\"data_offsets\":",
    "\"__metadata__\":",
    "\"weight_map\":",
    "\"F32\"",
    "\"BF16\"",
    "\"U8\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "[0,0]",
    "-1",
    "0",
    "1",
    "8",
    "64",
    "1e3",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "\\u0000",
    "..",
};

class Mutator {
  public:
    explicit Mutator(std::uint64_t seed) : random_(seed) {}

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
        const std::string_view piece = pieces[below(pieces.size())];
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
};

bool parse_number(std::string_view text, std::uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

int write_seeds(const std::string& folder) {
    const std::vector<std::string> inputs = seeds();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        std::ofstream file(folder + "/seed" + std::to_string(i), std::ios::binary);
        file.write(inputs[i].data(), static_cast<std::streamsize>(inputs[i].size()));
        if (!file.flush()) return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    if (arguments.size() == 2 && arguments[0] == "--seeds") return write_seeds(argv[2]);
    std::uint64_t iterations = 200000;
    std::uint64_t seed = 1;
    if ((!arguments.empty() && !parse_number(arguments[0], iterations)) ||
        (arguments.size() > 1 && !parse_number(arguments[1], seed)) || arguments.size() > 2) {
        std::fprintf(stderr, "usage: %s [iterations] [seed] | --seeds <folder>\n", argv[0]);
        return 2;
    }
    const std::vector<std::string> inputs = seeds();
    std::array<Outcomes, 3> outcomes;
    for (const std::string& input : inputs) run_all(input, outcomes);
    for (const Outcomes& outcome : outcomes)
        require(outcome.parsed == 2, "every seed is valid as meant");
    Mutator mutate(seed);
    for (std::uint64_t i = 0; i < iterations; ++i) run_all(mutate(inputs), outcomes);
    static constexpr std::array<const char*, 3> names{"file", "header", "index"};
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        std::printf("%s: %llu parsed, %llu refused\n", names[i],
                    static_cast<unsigned long long>(outcomes[i].parsed),
                    static_cast<unsigned long long>(outcomes[i].refused));
        require(iterations < 1000 || outcomes[i].parsed > 12, "some mutations stay valid");
    }
    return EXIT_SUCCESS;
}

#endif
