// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
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

#include "io/io_support.hpp"
#include "support/catch_compat.hpp"

namespace {

using deltanet::index_t;
using deltanet::parse_safetensors;
using deltanet::read_float;
using deltanet::SafetensorsContents;
using deltanet::SafetensorsFile;
using deltanet::TensorInfo;
using deltanet::test::bytes_of;
using deltanet::test::error_of;
using deltanet::test::raw_bytes;
using deltanet::test::safetensors_bytes;
using deltanet::test::TempDirectory;

static_assert(std::is_nothrow_move_constructible_v<SafetensorsFile>);
static_assert(std::is_nothrow_move_assignable_v<SafetensorsFile>);
static_assert(!std::is_copy_constructible_v<SafetensorsFile>);

/// The header of one tensor "t", and the file of it with that many bytes of data.
std::string header_of(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

std::string file_error(std::string_view bytes) {
    return error_of([&] { return parse_safetensors(bytes_of(bytes), "f"); });
}

std::string header_error(std::string_view header, std::size_t data_bytes = 0) {
    return file_error(safetensors_bytes(header, std::string(data_bytes, '\0')));
}

/// A header with all that a header can have, and its file.
std::string sample_file() {
    return safetensors_bytes(
        R"({"__metadata__":{"format":"pt","k\u00e9y":"\"v\""},)"
        R"("b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},)"
        R"("a":{"data_offsets":[0,2],"dtype":"BF16","shape":[]},)"
        R"("c":{"dtype":"I64","shape":[3,0],"data_offsets":[2,2]}}   )",
        "0123456789");
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
    CHECK(header_error("{}").empty());
    CHECK(header_error("{ }\n\t ").empty());
    const std::string bytes = safetensors_bytes(R"({"__metadata__":{"a":"b"}})");
    const SafetensorsContents contents = parse_safetensors(bytes_of(bytes), "f");
    CHECK(contents.tensors.empty());
    CHECK(contents.metadata.at("a") == "b");
    CHECK(header_error(R"({"__metadata__":{}})").empty());
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
    CHECK(error_of([&] { return file.tensor("dd").count(); }) ==
          "SafetensorsFile::tensor: " + path.string() +
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
            header_of(quoted, "[2,2]", "[0," + std::to_string(size) + "]"), std::string(size, 'x'));
        const SafetensorsContents contents = parse_safetensors(bytes_of(bytes), "f");
        CHECK(contents.tensors.at(0).dtype == dtype);
        CHECK(contents.tensors.at(0).byte_size == static_cast<index_t>(size));
    }
    CHECK(header_error(header_of(R"("F4")", "[3]", "[0,2]"), 2) ==
          "parse_safetensors: f: tensor \"t\": shape: expected a whole number of bytes, found 12 bits");
}

// Round trips -----------------------------------------------------------------------------------------

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
    // Exactly the bytes of the file on the heap, so that a sanitizer sees each byte read beyond them.
    const auto memory = std::make_unique<std::byte[]>(file.size());
    std::memcpy(memory.get(), file.data(), file.size());
    const SafetensorsContents contents = parse_safetensors({memory.get(), file.size()}, "f");
    const TensorInfo& tensor = contents.tensors.at(0);
    CHECK(deltanet::is_aligned(tensor) == (dtype != "F64" && misalignment % sizeof(T) == 0));
    return read_float(tensor);
}

TEST_CASE("floats of every dtype are read at every alignment") {
    const std::vector<float> f32{0.0F, -0.0F, 1.5F, -3.25e30F, 1e-40F,
                                 std::numeric_limits<float>::infinity()};
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

// Rejections ------------------------------------------------------------------------------------------

TEST_CASE("files too short for their header are refused") {
    CHECK(file_error("") == "parse_safetensors: f: expected a file of at least 8 bytes, found 0 bytes");
    CHECK(file_error("1234567") ==
          "parse_safetensors: f: expected a file of at least 8 bytes, found 7 bytes");
    std::string bytes = safetensors_bytes("{}");
    bytes[0] = 3;
    CHECK(file_error(bytes) ==
          "parse_safetensors: f: header length: expected at most 2 bytes left, found 3 bytes");
    CHECK(file_error("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}") ==
          "parse_safetensors: f: header length: expected at most 2 bytes left, found "
          "18446744073709551615 bytes");
}

TEST_CASE("headers of more than 100 MiB are refused") {
    constexpr std::size_t most = std::size_t{100} << 20U;
    std::string header(most + 1, ' ');
    header[0] = '{';
    header[1] = '}';
    CHECK(header_error(header) ==
          "parse_safetensors: f: header length: expected at most 104857600 bytes, found 104857601 bytes");
}

TEST_CASE("headers that are not JSON are refused") {
    const std::string start = "parse_safetensors: f: header: expected JSON ";
    CHECK(header_error("") == start + "that starts with '{', found an empty header");
    CHECK(header_error(" {}") == start + "that starts with '{', found \" \"");
    CHECK(header_error("[]") == start + "that starts with '{', found \"[\"");
    CHECK(header_error("\xEF\xBB\xBF{}") == start + "that starts with '{', found \"\\xef\"");
    CHECK(header_error("{\"a\" 1}") ==
          start + "in UTF-8, found at byte 6: parse error at line 1, column 6: syntax error while "
                  "parsing object separator - unexpected number literal; expected ':'");
    CHECK(header_error("{").starts_with(start + "in UTF-8, found at byte "));
    CHECK(header_error("{} x").starts_with(start + "in UTF-8, found at byte 4: parse error at line 1, "));
    CHECK(header_error("{}{}").starts_with(start + "in UTF-8, found at byte 3: "));
    CHECK(header_error("{\"\xFF\":1}").starts_with(start + "in UTF-8, found at byte 3: "));
    CHECK(header_error("{\"\xFF\":1}").find("ill-formed UTF-8 byte") != std::string::npos);
    CHECK(header_error("{\"\xC0\xAF\":1}").find("ill-formed UTF-8 byte") != std::string::npos);
    CHECK(header_error("{\"\\ud800\":1}").starts_with(start + "in UTF-8, found at byte "));
    CHECK(header_error({"{}\0garbage", 10}) == start + "in UTF-8, found a zero byte at byte 2");
    CHECK(header_error("{\"t\":1e999}").find("number overflow") != std::string::npos);
    // The quoted part of a hostile header is short and printable.
    const std::string long_text = header_error("{\"" + std::string(100000, '\x1B'));
    CHECK(long_text.size() < 1000);
    CHECK(long_text.find('\x1B') == std::string::npos);
}

TEST_CASE("JSON of the wrong shape is refused") {
    const std::string start = "parse_safetensors: f: tensor \"t\": ";
    const std::string object = "expected an object with dtype, shape and data_offsets, found ";
    const std::string fields = "expected dtype, shape and data_offsets, found ";
    CHECK(header_error(R"({"t":1})") == start + object + "1");
    CHECK(header_error(R"({"t":null})") == start + object + "null");
    CHECK(header_error(R"({"t":false})") == start + object + "false");
    CHECK(header_error(R"({"t":"x"})") == start + object + "the string \"x\"");
    CHECK(header_error(R"({"t":[]})") == start + object + "an array");
    CHECK(header_error(R"({"t":{}})") == start + fields + "no dtype");
    CHECK(header_error(R"({"t":{"dtype":"F32","data_offsets":[0,0]}})") == start + fields + "no shape");
    CHECK(header_error(R"({"t":{"dtype":"F32","shape":[0]}})") == start + fields + "no data_offsets");
    CHECK(header_error(R"({"t":{"dtype":"F32","shape":[0],"strides":[1]}})") ==
          start + fields + "the key \"strides\"");
    CHECK(header_error(header_of("7", "[0]", "[0,0]")) == start + "dtype: expected a string, found 7");
    CHECK(header_error(header_of("[]", "[0]", "[0,0]")) ==
          start + "dtype: expected a string, found an array");

    const std::string sizes = start + "shape: expected an array of sizes from 0 to 2^63 - 1, found ";
    const auto shape = [&](const char* text) {
        return header_error(header_of("\"F32\"", text, "[0,0]"));
    };
    CHECK(shape("0") == sizes + "0");
    CHECK(shape("{}") == sizes + "an object");
    CHECK(shape("[-1]") == sizes + "-1");
    CHECK(shape("[-0]") == sizes + "-0");
    CHECK(shape("[1.0]") == sizes + "1.0");
    CHECK(shape("[1e3]") == sizes + "1e3");
    CHECK(shape("[\"1\"]") == sizes + "the string \"1\"");
    CHECK(shape("[true]") == sizes + "true");
    CHECK(shape("[[1]]") == sizes + "an array");
    CHECK(shape("[9223372036854775808]") == sizes + "9223372036854775808");
    CHECK(shape("[99999999999999999999]") == sizes + "99999999999999999999");

    const std::string pair = start + "data_offsets: expected an array of two byte offsets, found ";
    const auto offsets = [&](const char* text) {
        return header_error(header_of("\"F32\"", "[0]", text));
    };
    CHECK(offsets("0") == pair + "0");
    CHECK(offsets("[]") == pair + "an array of 0");
    CHECK(offsets("[0]") == pair + "an array of 1");
    CHECK(offsets("[0,0,7]") == pair + "7");
    CHECK(offsets("[0,-4]") == pair + "-4");
    CHECK(offsets("[0,0.5]") == pair + "0.5");
    CHECK(offsets("[0,18446744073709551616]") == pair + "18446744073709551616");
    CHECK(offsets("[0,null]") == pair + "null");

    const std::string meta = "parse_safetensors: f: __metadata__: expected ";
    CHECK(header_error(R"({"__metadata__":7})") == meta + "an object of strings, found 7");
    CHECK(header_error(R"({"__metadata__":null})") == meta + "an object of strings, found null");
    CHECK(header_error(R"({"__metadata__":{"a":7}})") == meta + "a string, found 7");
    CHECK(header_error(R"({"__metadata__":{"a":{}}})") == meta + "a string, found an object");
}

TEST_CASE("keys that appear twice are refused at every level") {
    const std::string tensor = R"("t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
    const std::string twice = "expected one value, found the key twice";
    CHECK(header_error("{" + tensor + "," + tensor + "}") ==
          "parse_safetensors: f: tensor \"t\": " + twice);
    CHECK(header_error("{" + tensor + R"(,"\u0074":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", 9) ==
          "parse_safetensors: f: tensor \"t\": " + twice);
    CHECK(header_error(R"({"t":{"dtype":"U8","dtype":"U8"}})") ==
          "parse_safetensors: f: tensor \"t\": dtype: " + twice);
    CHECK(header_error(R"({"t":{"shape":[0],"shape":[1]}})") ==
          "parse_safetensors: f: tensor \"t\": shape: " + twice);
    CHECK(header_error(R"({"t":{"data_offsets":[0,0],"data_offsets":[0,0]}})") ==
          "parse_safetensors: f: tensor \"t\": data_offsets: " + twice);
    CHECK(header_error(R"({"__metadata__":{},"__metadata__":{}})") ==
          "parse_safetensors: f: __metadata__: " + twice);
    CHECK(header_error(R"({"__metadata__":{"a":"","a":""}})") ==
          "parse_safetensors: f: __metadata__: \"a\": " + twice);
}

TEST_CASE("unknown dtypes are refused by name") {
    const std::string start = "parse_safetensors: f: tensor \"t\": dtype: expected a dtype of the "
                              "safetensors format, found ";
    CHECK(header_error(header_of("\"F128\"", "[0]", "[0,0]")) == start + "\"F128\"");
    CHECK(header_error(header_of("\"f32\"", "[0]", "[0,0]")) == start + "\"f32\"");
    CHECK(header_error(header_of("\"\"", "[0]", "[0,0]")) == start + "\"\"");
    CHECK(header_error(header_of("\"F32\\u0000\"", "[0]", "[0,0]")) == start + "\"F32\\x00\"");
}

TEST_CASE("shapes whose size is no number are refused") {
    const std::string start =
        "parse_safetensors: f: tensor \"t\": shape: expected less than 2^63 bits of data, found ";
    const auto shape = [&](const std::string& text) {
        return header_error(header_of("\"U8\"", text, "[0,0]"));
    };
    CHECK(shape("[9223372036854775807]") == start + "U8 of shape [9223372036854775807]");
    CHECK(shape("[4294967296, 4294967296]") == start + "U8 of shape [4294967296, 4294967296]");
    // A zero does not excuse the rest, wherever it stands.
    CHECK(shape("[0, 4294967296, 4294967296]") == start + "U8 of shape [0, 4294967296, 4294967296]");
    CHECK(shape("[4294967296, 4294967296, 0]") == start + "U8 of shape [4294967296, 4294967296, 0]");
    CHECK(shape("[1152921504606846975, 0]").empty());
    std::string ones = "[1";
    for (int i = 1; i < 64; ++i) ones += ",1";
    CHECK(header_error(header_of("\"U8\"", ones + "]", "[0,1]"), 1).empty());
    CHECK(header_error(header_of("\"U8\"", ones + ",1]", "[0,1]"), 1) ==
          "parse_safetensors: f: tensor \"t\": shape: expected at most 64 dimensions, found more");
}

TEST_CASE("offsets that do not fit the data are refused") {
    const std::string start = "parse_safetensors: f: tensor \"t\": data_offsets: expected ";
    const auto offsets = [&](const char* text, std::size_t data_bytes) {
        return header_error(header_of("\"F32\"", "[2]", text), data_bytes);
    };
    const std::string range = start + "begin <= end <= 8, the bytes of data in the file, found ";
    CHECK(offsets("[8,0]", 8) == range + "[8, 0]");
    CHECK(offsets("[0,9]", 8) == range + "[0, 9]");
    CHECK(offsets("[18446744073709551608,0]", 8) == range + "[18446744073709551608, 0]");
    CHECK(offsets("[0,18446744073709551615]", 8) == range + "[0, 18446744073709551615]");
    CHECK(offsets("[0,8]", 7) ==
          start + "begin <= end <= 7, the bytes of data in the file, found [0, 8]");
    CHECK(offsets("[0,4]", 8) == start + "8 bytes for F32 of shape [2], found 4 bytes");
    CHECK(offsets("[0,9]", 9) == start + "8 bytes for F32 of shape [2], found 9 bytes");
    CHECK(offsets("[0,8]", 8).empty());
}

TEST_CASE("tensors that overlap, leave holes or end before the file are refused") {
    const auto two = [](const std::string& first, const std::string& second, std::size_t data_bytes) {
        return header_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + first +
                                R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}",
                            data_bytes);
    };
    const std::string start = "parse_safetensors: f: tensor ";
    CHECK(two("[0,2]", "[2,4]", 4).empty());
    CHECK(two("[2,4]", "[0,2]", 4).empty());
    CHECK(two("[0,2]", "[1,3]", 3) ==
          start + "\"b\": data_offsets: expected data from byte 2, where those before end, found byte 1 "
                  "(overlap)");
    CHECK(two("[0,2]", "[0,2]", 2).ends_with("found byte 0 (overlap)"));
    CHECK(two("[0,2]", "[3,5]", 5) ==
          start + "\"b\": data_offsets: expected data from byte 2, where those before end, found byte 3 "
                  "(hole)");
    CHECK(two("[3,5]", "[1,3]", 5) ==
          start + "\"b\": data_offsets: expected data from byte 0, where those before end, found byte 1 "
                  "(hole)");
    CHECK(two("[0,2]", "[2,4]", 5) ==
          "parse_safetensors: f: expected 4 bytes of data, where the last tensor ends, found 5 bytes");
    CHECK(header_error("{}", 1) ==
          "parse_safetensors: f: expected 0 bytes of data, where the last tensor ends, found 1 bytes");
    CHECK(header_error(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                       R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                       4)
              .ends_with("found byte 2 (overlap)"));
}

TEST_CASE("nesting is refused where it starts") {
    const std::string deep(10'000'000, '[');
    CHECK(header_error("{\"t\":" + deep).ends_with("found an array"));
    CHECK(header_error("{\"t\":{\"dtype\":" + deep).ends_with("found an array"));
    CHECK(header_error("{\"t\":{\"shape\":" + deep).ends_with("found an array"));
    CHECK(header_error("{\"t\":{\"data_offsets\":" + deep).ends_with("found an array"));
    CHECK(header_error("{\"__metadata__\":" + deep).ends_with("found an array"));
    std::string objects;
    for (int i = 0; i < 100000; ++i) objects += "{\"t\":";
    CHECK(header_error(objects) ==
          "parse_safetensors: f: tensor \"t\": expected dtype, shape and data_offsets, found the key "
          "\"t\"");
}

// Broken files ----------------------------------------------------------------------------------------

/// Parses a copy that lies alone on the heap, so that a sanitizer sees a read beyond it, and reads
/// every tensor. Returns whether it parsed; anything but an `Error` passes through and fails the test.
bool parses(std::string_view bytes) {
    const auto memory = std::make_unique<std::byte[]>(bytes.size());
    std::memcpy(memory.get(), bytes.data(), bytes.size());
    try {
        const SafetensorsContents contents = parse_safetensors({memory.get(), bytes.size()}, "f");
        std::size_t sum = 0;
        for (const TensorInfo& tensor : contents.tensors) {
            for (index_t i = 0; i < tensor.byte_size; ++i) sum += std::to_integer<std::size_t>(tensor.data[i]);
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
