// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Throws bytes at the readers of io/: whatever they are, a reader returns tensors that lie within
/// the bytes and fill them, or throws `Error`. Two programs from one file:
///   libFuzzer   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -DDELTANET_LIBFUZZER
///                   -I include -I tests tests/io/readers_fuzz.cpp -o readers_fuzz
///               ./readers_fuzz -dict=tests/io/readers_fuzz.dict -max_len=8192 <folder>
///   standalone  any compiler, without -DDELTANET_LIBFUZZER: see support/fuzz_driver.hpp
#include "io/io_support.hpp"
#include "io/readers_seeds.hpp"
#include "support/fuzz_driver.hpp"
#include <deltanet/io/checkpoint.hpp>
#include <deltanet/io/gguf_binding.hpp>
#include <deltanet/io/safetensors.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using deltanet::index_t;
using deltanet::SafetensorsContents;
using deltanet::TensorInfo;
using deltanet::test::require;
using Outcomes = deltanet::test::FuzzOutcomes;

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
        ++outcomes.accepted;
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

/// What callers rely on in a GGUF file that parsed.
void check_gguf(std::span<const std::byte> bytes, const deltanet::GgufContents& contents) {
    const std::byte* const end = bytes.data() + bytes.size();
    unsigned sum = 0;
    for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
        const TensorInfo& tensor = contents.tensors[i];
        require(i == 0 || contents.tensors[i - 1].name < tensor.name, "names ascend");
        require(tensor.byte_size >= 0 && tensor.count() >= 0, "sizes are not negative");
        require(tensor.data >= bytes.data() + 24 && tensor.byte_size <= end - tensor.data,
                "data lie behind the header and in the file");
        for (index_t b = 0; b < tensor.byte_size; ++b)
            sum += std::to_integer<unsigned>(tensor.data[b]);
        if (deltanet::dtype_of(tensor).has_value()) static_cast<void>(deltanet::read_float(tensor));
    }
    for (const auto& [key, value] : contents.metadata.values()) {
        sum += value.integer() || value.number() || value.text() ? 1U : 0U;
        for (const std::byte b : value.bytes) sum += std::to_integer<unsigned>(b);
        const bool numbers =
            value.type == deltanet::GgufType::array && value.element != deltanet::GgufType::string;
        for (index_t i = 0; numbers && i < value.count; ++i)
            require(value.at(i).number().has_value() || value.element == deltanet::GgufType::u64,
                    "elements are numbers");
    }
    volatile unsigned used = sum;
    static_cast<void>(used);
}

/// A linear operator that only reads its weights, all of them.
class WeightReader {
  public:
    WeightReader() = default;
    explicit WeightReader(const deltanet::WeightMatrix& weight)
        : in_(weight.cols()), out_(weight.rows()) {
        std::vector<float> row(static_cast<std::size_t>(in_));
        volatile float sum = 0.0F;
        for (index_t i = 0; i < out_; ++i) {
            weight.load(i, 0, in_, row.data());
            for (const float x : row) sum = sum + x;
        }
    }
    [[nodiscard]] index_t in_features() const { return in_; }
    [[nodiscard]] index_t out_features() const { return out_; }
    [[nodiscard]] static index_t scratch_bytes(index_t, index_t) { return 0; }
    template <class E>
    void operator()(deltanet::View<const float, 2>, deltanet::View<float, 2>, std::span<std::byte>,
                    E&) const {}

  private:
    index_t in_ = 0, out_ = 0;
};

/// Block 0 of the model in a GGUF file, or in two parts of one.
void bind_gguf(std::vector<deltanet::GgufPart> parts) {
    const deltanet::GgufFile file = deltanet::GgufFile::of(std::move(parts));
    const deltanet::GgufModelConfig model = deltanet::read_gguf_config(file);
    require(!model.linear_layers.empty(), "a model has blocks");
    const auto bound = deltanet::bind_layer<WeightReader>(file, model.layer, 0);
    require(bound.weights.out_proj.out_features() == model.layer.hidden, "layers have their sizes");
}

/// The input as one file or, where it holds a second "GGUF", as two parts.
void read_gguf_model(std::span<const std::byte> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t second = text.find("GGUF", 1);
    std::vector<deltanet::GgufPart> parts;
    parts.emplace_back(bytes.first(std::min(second, bytes.size())), "file");
    if (second < bytes.size()) parts.emplace_back(bytes.subspan(second), "second file");
    bind_gguf(std::move(parts));
}

/// The input as a whole file, as a header with a true length before up to 63 bytes of data (the
/// count is the input's first byte), as an index, as a GGUF file, and as a layer in GGUF files.
void run_all(std::string_view input, std::array<Outcomes, 5>& outcomes) {
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
    run(input, outcomes[3], [](std::span<const std::byte> bytes) {
        check_gguf(bytes, deltanet::parse_gguf(bytes, "file"));
    });
    run(input, outcomes[4], read_gguf_model);
}

}  // namespace

#if defined(DELTANET_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::array<Outcomes, 5> outcomes;
    run_all({reinterpret_cast<const char*>(data), size}, outcomes);
    return 0;
}

#else

namespace {

/// Pieces that random bytes rarely form.
constexpr std::array<std::string_view, 36> pieces{
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
    "GGUF",
    std::string_view("\3\0\0\0", 4),
    std::string_view("\0\0\0\0\0\0\0\0", 8),
    std::string_view("\x20\0\0\0\0\0\0\0", 8),
    std::string_view("\0\1\0\0\0\0\0\0", 8),
    std::string_view("\2\0\0\0", 4),
    std::string_view("\x0c\0\0\0", 4),
    "split.count",
    ".weight",
    std::string_view("\xff\xff\xff\xff\xff\xff\xff\x7f", 8),
};

}  // namespace

int main(int argc, char** argv) {
    std::array<Outcomes, 5> outcomes;
    return deltanet::test::fuzz_main(
        std::span(argv, static_cast<std::size_t>(argc)), deltanet::test::reader_seeds(), pieces,
        [&](const std::string& input) { run_all(input, outcomes); },
        [&] {
            // of the GGUF files: 2, 3 layers, 1; the one in two parts reads as its first
            constexpr std::array<std::uint64_t, 5> valid{2, 2, 2, 6, 3};
            for (std::size_t i = 0; i < valid.size(); ++i)
                require(outcomes[i].accepted == valid[i], "every seed is valid as meant");
        },
        [&](std::uint64_t iterations) {
            static constexpr std::array<const char*, 5> names{"file", "header", "index", "gguf",
                                                              "gguf layer"};
            for (std::size_t i = 0; i < outcomes.size(); ++i) {
                deltanet::test::print_outcomes(names[i], outcomes[i]);
                require(iterations < 1000 || outcomes[i].accepted > 12,
                        "some mutations stay valid");
            }
        });
}

#endif
