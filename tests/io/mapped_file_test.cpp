// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "io/io_support.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/io/mapped_file.hpp>

#include <string>
#include <sys/stat.h>
#include <type_traits>
#include <utility>

namespace {

using deltanet::MappedFile;
using deltanet::test::error_of;
using deltanet::test::TempDirectory;

static_assert(std::is_nothrow_move_constructible_v<MappedFile>);
static_assert(std::is_nothrow_move_assignable_v<MappedFile>);
static_assert(!std::is_copy_constructible_v<MappedFile>);
static_assert(!std::is_copy_assignable_v<MappedFile>);

std::string text_of(const MappedFile& file) {
    std::string text;
    for (const std::byte byte : file.bytes()) text += static_cast<char>(byte);
    return text;
}

TEST_CASE("a mapped file shows the bytes of the file") {
    const TempDirectory directory;
    std::string content;
    for (int i = 0; i < 10000; ++i) content += static_cast<char>(i * 7);
    CHECK(text_of(MappedFile::open(directory.write("file", content))) == content);
    CHECK(text_of(MappedFile::open(directory.write("one", "x"))) == "x");
}

TEST_CASE("an empty file maps to no bytes") {
    const TempDirectory directory;
    const MappedFile file = MappedFile::open(directory.write("empty", ""));
    CHECK(file.bytes().empty());
    CHECK(MappedFile().bytes().empty());
}

TEST_CASE("moving a mapped file keeps the address of its bytes") {
    const TempDirectory directory;
    MappedFile first = MappedFile::open(directory.write("first", "first"));
    MappedFile second = MappedFile::open(directory.write("second", "second"));
    const std::byte* const address = second.bytes().data();

    MappedFile moved(std::move(second));
    CHECK(moved.bytes().data() == address);
    first = std::move(moved);
    CHECK(first.bytes().data() == address);
    CHECK(text_of(first) == "second");

    MappedFile& same = first;
    first = std::move(same);
    CHECK(text_of(first) == "second");
}

TEST_CASE("a mapped file outlives its name") {
    const TempDirectory directory;
    const auto path = directory.write("file", "old");
    const MappedFile file = MappedFile::open(path);
    std::filesystem::rename(directory.write("new", "new!"), path);
    CHECK(text_of(file) == "old");
    CHECK(text_of(MappedFile::open(path)) == "new!");
}

TEST_CASE("what cannot be mapped is refused with the path and the reason") {
    const TempDirectory directory;
    const auto missing = directory.path() / "missing";
    CHECK(error_of([&] { return MappedFile::open(missing); }) ==
          "MappedFile::open: " + missing.string() +
              ": expected a readable file, found No such file or directory");

    CHECK(error_of([&] { return MappedFile::open(directory.path()); }) ==
          "MappedFile::open: " + directory.path().string() +
              ": expected a regular file, found a directory");

    const auto below = directory.write("file", "x") / "y";
    CHECK(error_of([&] { return MappedFile::open(below); }) ==
          "MappedFile::open: " + below.string() +
              ": expected a readable file, found Not a directory");

    const auto pipe = directory.path() / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(error_of([&] { return MappedFile::open(pipe); }) ==
          "MappedFile::open: " + pipe.string() +
              ": expected a regular file, found a device, pipe or socket");

    const std::string zero = directory.path().string() + std::string("/file\0.json", 11);
    CHECK(error_of([&] { return MappedFile::open(zero); }) ==
          "MappedFile::open: " + directory.path().string() +
              "/file: expected a path, found a zero byte in it");
}

}  // namespace
