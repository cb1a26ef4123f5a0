// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// GGUF files: what is in them is found, and everything that makes one be refused, with the text it
/// is refused with.
#include "io/gguf_builder.hpp"
#include "io/io_support.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/io/gguf.hpp>

#include <memory>

namespace {

using namespace deltanet;
using deltanet::test::error_of;
using deltanet::test::gguf_text;
using deltanet::test::GgufBuilder;
using deltanet::test::raw;

/// A copy that lies alone on the heap, where a sanitizer guards both its ends.
struct Bytes {
    std::unique_ptr<std::byte[]> memory;
    std::span<const std::byte> span;

    explicit Bytes(std::string_view text)
        : memory(std::make_unique<std::byte[]>(text.size())), span(memory.get(), text.size()) {
        if (!text.empty()) std::memcpy(memory.get(), text.data(), text.size());
    }
};

std::string refused(const std::string& text) {
    const Bytes bytes(text);
    return error_of([&] { return parse_gguf(bytes.span, "f"); });
}

std::string floats(std::initializer_list<float> values) {
    std::string bytes;
    for (const float value : values) bytes += raw(value);
    return bytes;
}

GgufBuilder example() {
    GgufBuilder builder;
    builder.text("general.architecture", "qwen3next")
        .number("general.alignment", 32)
        .value("a.u8", 0, raw<std::uint8_t>(200))
        .value("a.i8", 1, raw<std::int8_t>(-3))
        .value("a.u16", 2, raw<std::uint16_t>(65535))
        .value("a.i16", 3, raw<std::int16_t>(-300))
        .value("a.i32", 5, raw<std::int32_t>(-70000))
        .value("a.f32", 6, raw(0.25F))
        .value("a.bool", 7, raw<std::uint8_t>(1))
        .value("a.u64", 10, raw(std::uint64_t{1} << 40))
        .value("a.too_large", 10, raw(~std::uint64_t{0}))
        .value("a.i64", 11, raw(std::int64_t{-5}))
        .value("a.f64", 12, raw(1e100))
        .value("a.numbers", 9,
               raw<std::uint32_t>(4) + raw<std::uint64_t>(3) + raw<std::uint32_t>(7) +
                   raw<std::uint32_t>(8) + raw<std::uint32_t>(9))
        .value("a.words", 9,
               raw<std::uint32_t>(8) + raw<std::uint64_t>(2) + gguf_text("one") + gguf_text(""));
    builder.tensor("blk.0.w", {3, 2}, 0, floats({1, 2, 3, 4, 5, 6}))
        .tensor("a.scalar", {}, 0, floats({42}))
        .tensor("blk.0.q", {64, 2}, 8, std::string(4 * 34, 'q'))
        .tensor("blk.0.half", {4}, 1, std::string(8, '\0'))
        .tensor("blk.0.none", {32, 0}, 8, "");
    return builder;
}

}  // namespace

TEST_CASE("a GGUF file: tensors with row-major shapes, data in place", "[gguf]") {
    const std::string text = example().bytes();
    const Bytes bytes(text);
    const GgufContents contents = parse_gguf(bytes.span, "f");
    REQUIRE(contents.tensors.size() == 5);
    CHECK(contents.alignment == 32);
    const TensorInfo& w = *detail::find_tensor(contents.tensors, "blk.0.w");
    CHECK(w.shape == std::vector<index_t>{2, 3});
    CHECK(w.dtype == "F32");
    CHECK(w.byte_size == 24);
    CHECK(read_float(w) == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK((w.data - bytes.memory.get()) % 32 == 0);
    CHECK(read_float(*detail::find_tensor(contents.tensors, "a.scalar")) == std::vector<float>{42});
    const TensorInfo& q = *detail::find_tensor(contents.tensors, "blk.0.q");
    CHECK(q.dtype == "Q8_0");
    CHECK(q.shape == std::vector<index_t>{2, 64});
    CHECK(q.byte_size == 4 * 34);
    CHECK(detail::find_tensor(contents.tensors, "blk.0.none")->byte_size == 0);
    CHECK(detail::find_tensor(contents.tensors, "blk.1.w") == nullptr);
}

TEST_CASE("a GGUF file: metadata of every type", "[gguf]") {
    const std::string text = example().bytes();
    const Bytes bytes(text);
    const GgufContents contents = parse_gguf(bytes.span, "f");
    const GgufMetadata& m = contents.metadata;
    CHECK(m.text("general.architecture") == "qwen3next");
    CHECK(m.integer("a.u8") == 200);
    CHECK(m.integer("a.i8") == -3);
    CHECK(m.integer("a.u16") == 65535);
    CHECK(m.integer("a.i16") == -300);
    CHECK(m.integer("a.i32") == -70000);
    CHECK(m.number("a.f32") == 0.25);
    CHECK(m.integer("a.bool") == 1);
    CHECK(m.integer("a.u64") == index_t{1} << 40);
    CHECK(m.integer("a.i64") == -5);
    CHECK(m.number("a.f64") == 1e100);
    CHECK(m.number("a.u8") == 200.0);
    CHECK(m.integer("not.there", 7) == 7);
    CHECK(m.number("not.there", 0.5) == 0.5);
    CHECK(m.text("not.there", "x") == "x");
    const GgufValue& numbers = m.values().at("a.numbers");
    CHECK(numbers.count == 3);
    CHECK(numbers.at(2).integer() == 9);
    CHECK(!numbers.integer());
    CHECK(m.values().at("a.words").count == 2);
    CHECK(error_of([&] { return m.integer("not.there"); }) ==
          "GgufMetadata::integer: f: \"not.there\": expected a whole number, found no such key");
    CHECK(error_of([&] { return m.integer("a.f32", 1); }) ==
          "GgufMetadata::integer: f: \"a.f32\": expected a whole number, found a value of type 6");
    CHECK(
        error_of([&] { return m.integer("a.too_large"); }) ==
        "GgufMetadata::integer: f: \"a.too_large\": expected a whole number, found a value of type "
        "10");
    CHECK(error_of([&] { return m.text("a.u8"); }) ==
          "GgufMetadata::text: f: \"a.u8\": expected a string, found a value of type 0");
}

TEST_CASE("GGUF files open from disk", "[gguf]") {
    const test::TempDirectory directory;
    GgufFile first = GgufFile::open(directory.write("m.gguf", example().bytes()));
    const TensorInfo* const w = first.find("blk.0.w");
    const GgufFile file = std::move(first);
    CHECK(&file.tensor("blk.0.w") == w);
    CHECK(file.names().size() == 5);
    CHECK(file.metadata().text("general.architecture") == "qwen3next");
    CHECK(error_of([&] { return file.tensor("blk.0.v"); }).find("similar names: \"blk.0.") !=
          std::string::npos);
}

TEST_CASE("a GGUF file that ends early is refused, wherever that is", "[gguf]") {
    const std::string text = example().bytes();
    const std::size_t last = text.size() - 8;  // behind it only what holds the last data
    for (std::size_t n = 0; n < last; ++n) {
        if (refused(text.substr(0, n)).empty()) FAIL("cut to " << n << " bytes");
    }
    CHECK(refused(text).empty());
    CHECK(refused("") == "parse_gguf: f: header: expected 4 bytes, found 0 left in the file");
}

TEST_CASE("a GGUF file with any byte changed parses or is refused, and is not left", "[gguf]") {
    const std::string text = example().bytes();
    std::size_t parsed = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
            std::string changed = text;
            changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ change);
            const Bytes bytes(changed);
            const std::string error = error_of([&] {
                const GgufContents contents = parse_gguf(bytes.span, "f");
                unsigned sum = 0;
                for (const TensorInfo& tensor : contents.tensors) {
                    for (index_t i = 0; i < tensor.byte_size; ++i)
                        sum += std::to_integer<unsigned>(tensor.data[i]);
                }
                return sum;
            });
            parsed += error.empty() ? 1U : 0U;
            if (!error.empty() && error.find(": expected ") == std::string::npos)
                FAIL("byte " << at << ": " << error);
        }
    }
    CHECK(parsed > 3 * 200);  // data, and bits that say nothing
    CHECK(parsed < 3 * text.size());
}

TEST_CASE("GGUF headers that are wrong", "[gguf]") {
    GgufBuilder builder = example();
    builder.magic = "GGML";
    CHECK(refused(builder.bytes()) ==
          "parse_gguf: f: header: expected GGUF as the first four bytes, found others");
    builder = example();
    builder.version = 1;
    CHECK(refused(builder.bytes()) ==
          "parse_gguf: f: header: expected version 2 or 3, found version 1");
    builder.version = 0x03000000;
    CHECK(refused(builder.bytes()) ==
          "parse_gguf: f: header: expected version 2 or 3, found a big-endian file");
    builder.version = 2;
    CHECK(refused(builder.bytes()).empty());
    builder.more_tensors = std::uint64_t{1} << 60;
    CHECK(refused(builder.bytes()).find("number of tensors: expected at most ") !=
          std::string::npos);
    builder = example();
    builder.more_values = std::uint64_t{1} << 60;
    CHECK(refused(builder.bytes()).find("number of keys: expected at most ") != std::string::npos);
}

TEST_CASE("GGUF metadata that are wrong", "[gguf]") {
    const auto with = [](std::uint32_t type, const std::string& bytes) {
        return refused(GgufBuilder().value("k", type, bytes).bytes());
    };
    CHECK(with(13, "") == "parse_gguf: f: value of \"k\": expected a type of 0 to 12, found 13");
    CHECK(with(8, raw(std::uint64_t{1} << 62)) ==
          "parse_gguf: f: value of \"k\": expected 4611686018427387904 bytes, found 0 left in the "
          "file");
    CHECK(with(9, raw<std::uint32_t>(9) + raw<std::uint64_t>(0)) ==
          "parse_gguf: f: value of \"k\": expected an array of numbers or strings, found arrays");
    CHECK(with(9, raw<std::uint32_t>(10) + raw(~std::uint64_t{0})) ==
          "parse_gguf: f: value of \"k\": expected at most 0, for which there is room, found "
          "18446744073709551615");
    CHECK(with(9, raw<std::uint32_t>(8) + raw<std::uint64_t>(1) + raw<std::uint64_t>(5)) ==
          "parse_gguf: f: value of \"k\": expected 5 bytes, found 0 left in the file");
    CHECK(refused(GgufBuilder().number("k", 1).number("k", 1).bytes()) ==
          "parse_gguf: f: value of \"k\": expected one value, found the key twice");
    for (const std::uint32_t alignment : {0U, 4U, 12U, 24U, 48U, 1U << 21U}) {
        CHECK(refused(GgufBuilder().number("general.alignment", alignment).bytes()) ==
              "parse_gguf: f: general.alignment: expected a power of two from 8 to 2^20, found " +
                  std::to_string(alignment));
    }
    CHECK(refused(GgufBuilder().text("general.alignment", "32").bytes()) ==
          "GgufMetadata::integer: f: \"general.alignment\": expected a whole number, found a value "
          "of type 8");
}

TEST_CASE("GGUF tensors that are wrong", "[gguf]") {
    const auto with = [](const std::vector<std::uint64_t>& extents, std::uint32_t type,
                         std::uint64_t offset) {
        GgufBuilder builder;
        builder.tensor("first", {8}, 0, std::string(32, 'x'));
        builder.entry("t", extents, type, offset);
        builder.data += std::string(64, 'y');
        return refused(builder.bytes());
    };
    CHECK(with({8}, 0, 32).empty());
    CHECK(with({1, 1, 1, 1, 1}, 0, 32) ==
          "parse_gguf: f: tensor of \"t\": expected 0 to 4 dimensions, found 5");
    CHECK(with({8}, 5, 32) ==
          "parse_gguf: f: tensor of \"t\": expected a type of the format, found type 5");
    CHECK(
        with({31}, 2, 32) ==
        "parse_gguf: f: tensor of \"t\": expected rows of whole blocks of 32, for type Q4_0, found "
        "rows of 31");
    CHECK(
        with({std::uint64_t{1} << 32, std::uint64_t{1} << 32}, 0, 32) ==
        "parse_gguf: f: tensor of \"t\": expected less than 2^57 elements, found another extent of "
        "4294967296");
    CHECK(with({0, ~std::uint64_t{0}}, 0, 32).find("less than 2^57 elements") != std::string::npos);
    CHECK(with({8}, 0, 33) ==
          "parse_gguf: f: tensor \"t\": offset: expected a multiple of 32, found 33");
    CHECK(with({8}, 0, 96) ==
          "parse_gguf: f: tensor \"t\": offset: expected room for 32 bytes in the 96 that the file "
          "has behind its header, found 96");
    CHECK(with({17}, 0, 32) ==
          "parse_gguf: f: tensor \"t\": offset: expected room for 68 bytes in the 96 that the file "
          "has behind its header, found 32");
    CHECK(with({8}, 0, std::uint64_t{1} << 63).find("room for 32 bytes") != std::string::npos);
    CHECK(with({8}, 0, 0).find("expected at least 32, where the tensor before it ends, found 0") !=
          std::string::npos);
    CHECK(refused(GgufBuilder().entry("t", {0}, 0, 0).entry("t", {0}, 0, 0).bytes()) ==
          "parse_gguf: f: tensor \"t\": expected one tensor of that name, found two");
}
