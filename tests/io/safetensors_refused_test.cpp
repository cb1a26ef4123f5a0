// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Everything that makes a safetensors file be refused, with the text it is refused with.
#include "io/io_support.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/io/safetensors.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace {

using deltanet::parse_safetensors;
using deltanet::test::bytes_of;
using deltanet::test::error_of;
using deltanet::test::header_of;
using deltanet::test::safetensors_bytes;

std::string file_error(std::string_view bytes) {
    return error_of([&] { return parse_safetensors(bytes_of(bytes), "f"); });
}

std::string header_error(std::string_view header, std::size_t data_bytes = 0) {
    return file_error(safetensors_bytes(header, std::string(data_bytes, '\0')));
}

TEST_CASE("files too short for their header are refused") {
    CHECK(file_error("") ==
          "parse_safetensors: f: expected a file of at least 8 bytes, found 0 bytes");
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
          "parse_safetensors: f: header length: expected at most 104857600 bytes, found 104857601 "
          "bytes");
}

TEST_CASE("headers that are not JSON are refused") {
    const std::string start = "parse_safetensors: f: header: expected JSON ";
    CHECK(header_error("") == start + "that starts with '{', found an empty header");
    CHECK(header_error(" {}") == start + "that starts with '{', found \" \"");
    CHECK(header_error("[]") == start + "that starts with '{', found \"[\"");
    CHECK(header_error("\xEF\xBB\xBF{}") == start + "that starts with '{', found \"\\xef\"");
    CHECK(header_error("{\"a\" 1}") ==
          start +
              "in UTF-8, found at byte 6: parse error at line 1, column 6: syntax error while "
              "parsing object separator - unexpected number literal; expected ':'");
    CHECK(header_error("{").starts_with(start + "in UTF-8, found at byte "));
    CHECK(header_error("{} x").starts_with(start +
                                           "in UTF-8, found at byte 4: parse error at line 1, "));
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
    CHECK(header_error(R"({"t":{"dtype":"F32","data_offsets":[0,0]}})") ==
          start + fields + "no shape");
    CHECK(header_error(R"({"t":{"dtype":"F32","shape":[0]}})") ==
          start + fields + "no data_offsets");
    CHECK(header_error(R"({"t":{"dtype":"F32","shape":[0],"strides":[1]}})") ==
          start + fields + "the key \"strides\"");
    CHECK(header_error(header_of("7", "[0]", "[0,0]")) ==
          start + "dtype: expected a string, found 7");
    CHECK(header_error(header_of("[]", "[0]", "[0,0]")) ==
          start + "dtype: expected a string, found an array");

    const std::string sizes =
        start + "shape: expected an array of sizes from 0 to 2^63 - 1, found ";
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
    CHECK(header_error(
              "{" + tensor + R"(,"\u0074":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", 9) ==
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
    const std::string start =
        "parse_safetensors: f: tensor \"t\": dtype: expected a dtype of the "
        "safetensors format, found ";
    CHECK(header_error(header_of("\"F128\"", "[0]", "[0,0]")) == start + "\"F128\"");
    CHECK(header_error(header_of("\"f32\"", "[0]", "[0,0]")) == start + "\"f32\"");
    CHECK(header_error(header_of("\"\"", "[0]", "[0,0]")) == start + "\"\"");
    CHECK(header_error(header_of("\"F32\\u0000\"", "[0]", "[0,0]")) == start + "\"F32\\x00\"");
}

TEST_CASE("shapes whose size is no number are refused") {
    CHECK(header_error(header_of(R"("F4")", "[3]", "[0,2]"), 2) ==
          "parse_safetensors: f: tensor \"t\": shape: expected a whole number of bytes, found 12 "
          "bits");
    const std::string start =
        "parse_safetensors: f: tensor \"t\": shape: expected less than 2^63 bits of data, found ";
    const auto shape = [&](const std::string& text) {
        return header_error(header_of("\"U8\"", text, "[0,0]"));
    };
    CHECK(shape("[9223372036854775807]") == start + "U8 of shape [9223372036854775807]");
    CHECK(shape("[4294967296, 4294967296]") == start + "U8 of shape [4294967296, 4294967296]");
    // A zero does not excuse the rest, wherever it stands.
    CHECK(shape("[0, 4294967296, 4294967296]") ==
          start + "U8 of shape [0, 4294967296, 4294967296]");
    CHECK(shape("[4294967296, 4294967296, 0]") ==
          start + "U8 of shape [4294967296, 4294967296, 0]");
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
    const auto two = [](const std::string& first, const std::string& second,
                        std::size_t data_bytes) {
        return header_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + first +
                                R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second +
                                "}}",
                            data_bytes);
    };
    const std::string start = "parse_safetensors: f: tensor ";
    CHECK(two("[0,2]", "[2,4]", 4).empty());
    CHECK(two("[2,4]", "[0,2]", 4).empty());
    CHECK(
        two("[0,2]", "[1,3]", 3) ==
        start +
            "\"b\": data_offsets: expected data from byte 2, where those before end, found byte 1 "
            "(overlap)");
    CHECK(two("[0,2]", "[0,2]", 2).ends_with("found byte 0 (overlap)"));
    CHECK(
        two("[0,2]", "[3,5]", 5) ==
        start +
            "\"b\": data_offsets: expected data from byte 2, where those before end, found byte 3 "
            "(hole)");
    CHECK(
        two("[3,5]", "[1,3]", 5) ==
        start +
            "\"b\": data_offsets: expected data from byte 0, where those before end, found byte 1 "
            "(hole)");
    CHECK(two("[0,2]", "[2,4]", 5) ==
          "parse_safetensors: f: expected 4 bytes of data, where the last tensor ends, found 5 "
          "bytes");
    CHECK(header_error("{}", 1) ==
          "parse_safetensors: f: expected 0 bytes of data, where the last tensor ends, found 1 "
          "bytes");
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
    CHECK(
        header_error(objects) ==
        "parse_safetensors: f: tensor \"t\": expected dtype, shape and data_offsets, found the key "
        "\"t\"");
}

}  // namespace
