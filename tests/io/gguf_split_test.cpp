// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// GGUF files in several parts are found beside the one that is opened, and are one; parts that are
/// missing, misnamed or of another model are refused with the text that says so.
#include "io/gguf_builder.hpp"
#include "io/io_support.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/io/gguf.hpp>

namespace {

using namespace deltanet;
using deltanet::test::bytes_of;
using deltanet::test::error_of;
using deltanet::test::GgufBuilder;
using deltanet::test::raw;
using deltanet::test::TempDirectory;

GgufBuilder model() {
    GgufBuilder builder;
    builder.text("general.architecture", "qwen35");
    for (const char* name : {"a", "b", "c", "d", "e"})
        builder.tensor(name, {8}, 0, std::string(32, *name));
    return builder;
}

/// A model in three files.
struct Split {
    TempDirectory directory;

    Split() {
        for (index_t i = 0; i < 3; ++i) write(i, model().part(i, 3));
    }
    [[nodiscard]] std::string path(index_t i) const {
        return (directory.path() / ("m" + detail::gguf_part_suffix(i, 3))).string();
    }
    void write(index_t i, const GgufBuilder& part) const {
        static_cast<void>(directory.write("m" + detail::gguf_part_suffix(i, 3), part.bytes()));
    }
    [[nodiscard]] std::string refusal(index_t i = 0) const {
        return error_of([&] { return GgufFile::open(path(i)); });
    }
};

}  // namespace

TEST_CASE("names of the parts of a GGUF file", "[gguf]") {
    CHECK(detail::gguf_part_suffix(1, 3) == "-00002-of-00003.gguf");
    CHECK(detail::gguf_part_suffix(99998, 99999) == "-99999-of-99999.gguf");
}

TEST_CASE("a GGUF file in parts is one file, whichever part is opened", "[gguf]") {
    const Split split;
    for (index_t i = 0; i < 3; ++i) {
        CAPTURE(i);
        GgufFile first = GgufFile::open(split.path(i));
        const TensorInfo* const d = first.find("d");
        const GgufFile file = std::move(first);
        CHECK(file.path() == split.path(i));
        CHECK(file.parts().size() == 3);
        CHECK(file.metadata().text("general.architecture") == "qwen35");
        CHECK(file.names() == std::vector<std::string_view>{"a", "b", "c", "d", "e"});
        CHECK(&file.tensor("d") == d);
        CHECK(static_cast<char>(*d->data) == 'd');
        CHECK(file.file_of("d") == split.path(0));
        CHECK(file.file_of("b") == split.path(1));
        CHECK(file.file_of("f").empty());
        CHECK(error_of([&] { return file.tensor("query"); }) ==
              "GgufFile::tensor: " + split.path(0) + ", " + split.path(1) + ", " + split.path(2) +
                  ": expected a tensor of that name, found no \"query\" among its 5 tensors");
    }
}

TEST_CASE("a GGUF file that says it is one part of one needs no such name", "[gguf]") {
    const TempDirectory directory;
    for (const std::uint16_t count : {std::uint16_t{0}, std::uint16_t{1}}) {
        GgufBuilder builder = model();
        builder.value("split.no", 2, raw(std::uint16_t{0})).value("split.count", 2, raw(count));
        CHECK(GgufFile::open(directory.write("m.gguf", builder.bytes())).names().size() == 5);
    }
}

TEST_CASE("parts of GGUF files that do not belong together", "[gguf]") {
    const Split split;
    SECTION("missing") {
        std::filesystem::remove(split.path(1));
        CHECK(split.refusal() == "GgufFile::open: " + split.path(0) +
                                     ": expected part 2 of 3 beside it, " + split.path(1) +
                                     ", found no such file");
    }
    SECTION("broken") {
        static_cast<void>(split.directory.write("m-00002-of-00003.gguf", "GGUF"));
        CHECK(split.refusal() == "parse_gguf: " + split.path(1) +
                                     ": header: expected 4 bytes, found 0 left in the file");
    }
    SECTION("misnamed") {
        std::filesystem::rename(split.path(0), split.directory.path() / "model.gguf");
        const std::string path = (split.directory.path() / "model.gguf").string();
        CHECK(error_of([&] { return GgufFile::open(path); }) ==
              "GgufFile::open: " + path +
                  ": expected a name that ends in -00001-of-00003.gguf, as its split.no and "
                  "split.count say, found \"model.gguf\"");
    }
    SECTION("another number") {
        split.write(1, model().part(2, 3));
        CHECK(split.refusal() ==
              "GgufFile::open: " + split.path(1) + ": expected part 2 of 3, found part 3 of 3");
    }
    SECTION("another count") {
        split.write(2, model().part(2, 4));
        CHECK(split.refusal() ==
              "GgufFile::open: " + split.path(2) + ": expected part 3 of 3, found part 3 of 4");
    }
    SECTION("not a part") {
        split.write(2, model());
        CHECK(split.refusal() ==
              "GgufFile::open: " + split.path(2) + ": expected part 3 of 3, found part 1 of 1");
    }
    SECTION("too few tensors") {
        GgufBuilder less;
        split.write(1, less.part(1, 3).rename("split.tensors.count", "none"));
        CHECK(split.refusal() ==
              "GgufFile::open: " + split.path(0) +
                  ": split.tensors.count: expected the 3 tensors that all parts have, found 5");
    }
    SECTION("a tensor twice") {
        split.write(1, model().rename("e", "a").rename("b", "x").part(1, 3));
        CHECK(split.refusal() ==
              "GgufFile::open: tensor \"a\": expected one file that holds it, "
              "found " +
                  split.path(0) + " and " + split.path(1));
    }
    SECTION("numbers that cannot be") {
        const auto with = [&](const char* key, std::uint32_t number) {
            split.write(0, model().part(0, 3).rename(key, "old").number(key, number));
            return split.refusal();
        };
        const std::string where = "GgufFile::open: " + split.path(0) + ": ";
        CHECK(with("split.count", 100000) ==
              where + "split.count: expected a number from 0 to 99999, found 100000");
        CHECK(with("split.no", 3) == where + "split.no: expected a number from 0 to 2, found 3");
    }
}

TEST_CASE("GGUF files whose bytes are the engine's", "[gguf]") {
    const std::string first = model().part(0, 2).bytes(), second = model().part(1, 2).bytes();
    std::vector<GgufPart> parts;
    parts.emplace_back(bytes_of(first), "first");
    parts.emplace_back(bytes_of(second), "second");
    const GgufFile file = GgufFile::of(std::move(parts));
    CHECK(file.path() == "first");
    CHECK(file.names().size() == 5);
    CHECK(file.file_of("b") == "second");

    std::vector<GgufPart> one;
    one.emplace_back(bytes_of(second), "second");
    CHECK(error_of([&] { return GgufFile::of(std::move(one)); }) ==
          "GgufFile::of: second: expected part 1 of 1, found part 2 of 2");
    CHECK(error_of([] { return GgufFile::of({}); }) ==
          "GgufFile::of: parts: expected at least 1, found 0");
}
