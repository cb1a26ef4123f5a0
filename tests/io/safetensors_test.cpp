// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "io/io_support.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/io/safetensors.hpp>

#include <array>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using deltanet::index_t;
using deltanet::parse_safetensors;
using deltanet::read_float;
using deltanet::SafetensorsContents;
using deltanet::SafetensorsFile;
using deltanet::TensorInfo;
using deltanet::test::bytes_of;
using deltanet::test::error_of;
using deltanet::test::header_of;
using deltanet::test::raw_bytes;
using deltanet::test::safetensors_bytes;
using deltanet::test::TempDirectory;

static_assert(std::is_nothrow_move_constructible_v<SafetensorsFile>);
static_assert(std::is_nothrow_move_assignable_v<SafetensorsFile>);
static_assert(!std::is_copy_constructible_v<SafetensorsFile>);

/// A header with all that a header can have, and its file.
std::string sample_file() {
    return safetensors_bytes(R"({"__metadata__":{"format":"pt","k\u00e9y":"\"v\""},)"
                             R"("b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},)"
                             R"("a":{"data_offsets":[0,2],"dtype":"BF16","shape":[]},)"
                             R"("c":{"dtype":"I64","shape":[3,0],"data_offsets":[2,2]}}   )",
                             "0123456789");
}

/// Parses a copy that lies alone on the heap, so that a sanitizer sees a read beyond it, and reads
/// every tensor. Returns whether it parsed; anything but an `Error` passes through and fails the
/// test.
bool parses(std::string_view bytes) {
    const auto memory = std::make_unique<std::byte[]>(bytes.size());
    std::memcpy(memory.get(), bytes.data(), bytes.size());
    try {
        const SafetensorsContents contents = parse_safetensors({memory.get(), bytes.size()}, "f");
        std::size_t sum = 0;
        for (const TensorInfo& tensor : contents.tensors) {
            for (index_t i = 0; i < tensor.byte_size; ++i)
                sum += std::to_integer<std::size_t>(tensor.data[i]);
            if (deltanet::dtype_of(tensor).has_value()) {
                sum += read_float(tensor).size();
            }
        }
        static_cast<void>(sum);
        return true;
    } catch (const deltanet::Error& error) {
        if (!std::string_view(error.what()).starts_with("parse_safetensors: f")) throw;
        return false;
    }
}

TEST_CASE("a file lists tensors by name, and metadata") {
    const std::string bytes = sample_file();
    const SafetensorsContents contents = parse_safetensors(bytes_of(bytes), "sample");
    REQUIRE(contents.tensors.size() == 3);
    const TensorInfo& a = contents.tensors[0];
    const TensorInfo& b = contents.tensors[1];
    const TensorInfo& c = contents.tensors[2];
    const std::byte* const data = bytes_of(bytes).data() + bytes.size() - 10;

    CHECK(a.name == "a");
    CHECK(a.dtype == "BF16");
    CHECK(a.shape.empty());
    CHECK(a.count() == 1);
    CHECK(a.byte_size == 2);
    CHECK(a.data == data);

    CHECK(b.name == "b");
    CHECK(b.shape == std::vector<index_t>{2, 1});
    CHECK(b.count() == 2);
    CHECK(b.byte_size == 8);
    CHECK(b.data == data + 2);

    CHECK(c.shape == std::vector<index_t>{3, 0});
    CHECK(c.count() == 0);
    CHECK(c.byte_size == 0);

    CHECK(contents.metadata.size() == 2);
    CHECK(contents.metadata.at("format") == "pt");
    CHECK(contents.metadata.at("k\xC3\xA9y") == "\"v\"");
}

TEST_CASE("files without tensors") {
    CHECK(parses(safetensors_bytes("{}")));
    CHECK(parses(safetensors_bytes("{ }\n\t ")));
    const std::string bytes = safetensors_bytes(R"({"__metadata__":{"a":"b"}})");
    const SafetensorsContents contents = parse_safetensors(bytes_of(bytes), "f");
    CHECK(contents.tensors.empty());
    CHECK(contents.metadata.at("a") == "b");
    CHECK(parses(safetensors_bytes(R"({"__metadata__":{}})")));
}

TEST_CASE("a file on disk can be looked up by name and moved") {
    const TempDirectory directory;
    const auto path = directory.write("sample.safetensors", sample_file());
    SafetensorsFile opened = SafetensorsFile::open(path);
    const TensorInfo* const before = opened.find("b");
    const SafetensorsFile file = std::move(opened);
    CHECK(file.find("b") == before);
    CHECK(&file.tensor("b") == before);
    CHECK(static_cast<char>(*before->data) == '2');
    CHECK(file.find("") == nullptr);
    CHECK(file.find("bb") == nullptr);
    CHECK(file.path() == path.string());
    CHECK(file.names() == std::vector<std::string_view>{"a", "b", "c"});
    CHECK(file.tensors().size() == 3);
    CHECK(file.metadata().at("format") == "pt");
    CHECK(
        error_of([&] { return file.tensor("dd").count(); }) ==
        std::string("SafetensorsFile::tensor: ") + path.string() +
            ": expected a tensor of that name, found no \"dd\" among its 3 tensors; similar names: "
            "\"a\", \"b\", \"c\"");
}

TEST_CASE("every dtype of the format is listed") {
    struct Case {
        const char* dtype;
        std::size_t bytes_of_four;
    };
    constexpr std::array<Case, 22> cases{{
        {"F4", 2},      {"F6_E2M3", 3}, {"F6_E3M2", 3}, {"BOOL", 4},        {"U8", 4},
        {"I8", 4},      {"F8_E5M2", 4}, {"F8_E4M3", 4}, {"F8_E5M2FNUZ", 4}, {"F8_E4M3FNUZ", 4},
        {"F8_E8M0", 4}, {"I16", 8},     {"U16", 8},     {"F16", 8},         {"BF16", 8},
        {"I32", 16},    {"U32", 16},    {"F32", 16},    {"C64", 32},        {"F64", 32},
        {"I64", 32},    {"U64", 32},
    }};
    for (const auto& [dtype, size] : cases) {
        CAPTURE(dtype);
        const std::string quoted = std::string("\"") + dtype + "\"";
        const std::string bytes = safetensors_bytes(
            header_of(quoted, "[2,2]", deltanet::detail::concat("[0,", size, "]")),
            std::string(size, 'x'));
        const SafetensorsContents contents = parse_safetensors(bytes_of(bytes), "f");
        CHECK(contents.tensors.at(0).dtype == dtype);
        CHECK(contents.tensors.at(0).byte_size == static_cast<index_t>(size));
    }
}

/// Elements of one dtype in a file that starts at an address of the given remainder mod 8, behind a
/// header whose length has it too; so the data are aligned for some and for others not.
template <class T>
std::vector<float> round_trip(const std::string& dtype, const std::vector<T>& values,
                              std::size_t misalignment) {
    const std::string size = std::to_string(values.size());
    const std::string end = std::to_string(values.size() * sizeof(T));
    std::string header = header_of("\"" + dtype + "\"", "[" + size + "]", "[0," + end + "]");
    header.resize((header.size() + 7) / 8 * 8, ' ');
    header += std::string(misalignment, ' ');
    const std::string file = safetensors_bytes(header, raw_bytes(std::span<const T>(values)));
    // Exactly the bytes of the file on the heap, so that a sanitizer sees each byte read beyond
    // them.
    const auto memory = std::make_unique<std::byte[]>(file.size());
    std::memcpy(memory.get(), file.data(), file.size());
    const SafetensorsContents contents = parse_safetensors({memory.get(), file.size()}, "f");
    const TensorInfo& tensor = contents.tensors.at(0);
    CHECK(deltanet::is_aligned(tensor) == (dtype != "F64" && misalignment % sizeof(T) == 0));
    return read_float(tensor);
}

TEST_CASE("floats of every dtype are read at every alignment") {
    const std::vector<float> f32{0.0F,      -0.0F,  1.5F,
                                 -3.25e30F, 1e-40F, std::numeric_limits<float>::infinity()};
    const std::vector<deltanet::bf16> bf16{{0x0000}, {0x3F80}, {0xC040}, {0x0001}, {0x7F80}};
    const std::vector<float> from_bf16{0.0F, 1.0F, -3.0F, 0x1p-133F,
                                       std::numeric_limits<float>::infinity()};
    const std::vector<deltanet::f16> f16{{0x0000}, {0x3C00}, {0xC200}, {0x0001}, {0xFC00}};
    const std::vector<float> from_f16{0.0F, 1.0F, -3.0F, 0x1p-24F,
                                      -std::numeric_limits<float>::infinity()};
    const std::vector<double> f64{0.0, 1.5, 0.1, -1e300};
    const std::vector<float> from_f64{0.0F, 1.5F, 0.1F, -std::numeric_limits<float>::infinity()};
    for (std::size_t misalignment = 0; misalignment < 8; ++misalignment) {
        CAPTURE(misalignment);
        CHECK(round_trip("F32", f32, misalignment) == f32);
        CHECK(round_trip("BF16", bf16, misalignment) == from_bf16);
        CHECK(round_trip("F16", f16, misalignment) == from_f16);
        CHECK(round_trip("F64", f64, misalignment) == from_f64);
        CHECK(round_trip("F32", std::vector<float>{}, misalignment).empty());
    }
}

TEST_CASE("scalars and empty tensors are read") {
    const float value = 2.5F;
    const std::string scalar =
        safetensors_bytes(header_of("\"F32\"", "[]", "[0,4]"), raw_bytes(std::span(&value, 1)));
    CHECK(read_float(parse_safetensors(bytes_of(scalar), "f").tensors.at(0)) ==
          std::vector<float>{2.5F});
    const std::string empty = safetensors_bytes(header_of("\"F32\"", "[4,0,2]", "[0,0]"));
    CHECK(read_float(parse_safetensors(bytes_of(empty), "f").tensors.at(0)).empty());
}

TEST_CASE("only floats are read as floats") {
    TensorInfo tensor{"name", "I32", {2}, nullptr, 8};
    const auto message = [&] { return error_of([&] { return read_float(tensor); }); };
    CHECK(message() == "read_float: \"name\": expected dtype F32, BF16, F16 or F64, found I32");
    tensor.dtype = "F32";
    tensor.byte_size = 4;
    CHECK(message() == "read_float: \"name\": expected 2 elements of 4 bytes, found 4 bytes");
    tensor.byte_size = 9;
    CHECK(message() == "read_float: \"name\": expected 2 elements of 4 bytes, found 9 bytes");

    CHECK(deltanet::dtype_of({"", "F32", {}, nullptr, 0}) == deltanet::DType::f32);
    CHECK(deltanet::dtype_of({"", "BF16", {}, nullptr, 0}) == deltanet::DType::bf16);
    CHECK(deltanet::dtype_of({"", "F16", {}, nullptr, 0}) == deltanet::DType::f16);
    CHECK(deltanet::dtype_of({"", "F64", {}, nullptr, 0}) == std::nullopt);
    CHECK_FALSE(deltanet::is_aligned({"", "I8", {}, nullptr, 0}));
}

TEST_CASE("every file with one byte of its header changed parses or is refused") {
    const std::string file = sample_file();
    REQUIRE(parses(file));
    std::size_t parsed = 0;
    std::size_t refused = 0;
    for (std::size_t i = 0; i < file.size() - 10; ++i) {
        for (int value = 0; value < 256; ++value) {
            std::string changed = file;
            changed[i] = static_cast<char>(value);
            ++(parses(changed) ? parsed : refused);
        }
    }
    CHECK(parsed > 1000);  // other letters in names and metadata
    CHECK(refused > 10000);
}

TEST_CASE("every file that ends early is refused") {
    const std::string file = sample_file();
    for (std::size_t size = 0; size < file.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(parses(std::string_view(file).substr(0, size)));
    }
    CHECK_FALSE(parses(file + "x"));
}

TEST_CASE("every header that ends early is refused") {
    const std::string file = sample_file();
    const std::string header = file.substr(8, file.size() - 18);
    for (std::size_t size = 0; size + 3 < header.size(); ++size) {  // 3 blanks at the end
        CAPTURE(size);
        CHECK_FALSE(parses(safetensors_bytes(header.substr(0, size), "0123456789")));
    }
}

}  // namespace
