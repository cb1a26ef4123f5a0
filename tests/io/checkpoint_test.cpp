// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "io/io_support.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/io/checkpoint.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using deltanet::Checkpoint;
using deltanet::TensorInfo;
using deltanet::detail::parse_checkpoint_index;
using deltanet::test::bytes_of;
using deltanet::test::error_of;
using deltanet::test::safetensors_bytes;
using deltanet::test::TempDirectory;

static_assert(std::is_nothrow_move_constructible_v<Checkpoint>);
static_assert(!std::is_copy_constructible_v<Checkpoint>);

using Names = std::vector<std::string_view>;

constexpr const char* index_name = "model.safetensors.index.json";

/// A file with one U8 tensor of one element.
std::string one_tensor(const std::string& name, char value) {
    return safetensors_bytes(
        R"({")" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", {&value, 1});
}

/// A file with two of them.
std::string two_tensors(const std::string& first, const std::string& second) {
    return safetensors_bytes(R"({")" + first +
                                 R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},")" + second +
                                 R"(":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                             "xy");
}

char value_of(const TensorInfo& tensor) { return static_cast<char>(*tensor.data); }

std::string index_error(std::string_view json) {
    return error_of([&] { return parse_checkpoint_index(bytes_of(json), "index.json"); });
}

TEST_CASE("a checkpoint is one file, of any name") {
    const TempDirectory directory;
    const auto path = directory.write("weights.bin", one_tensor("a", 'A'));
    const Checkpoint checkpoint = Checkpoint::open(path);
    CHECK(checkpoint.names() == Names{"a"});
    CHECK(value_of(checkpoint.tensor("a")) == 'A');
    CHECK(checkpoint.find("b") == nullptr);
    CHECK(checkpoint.file_of("a") == path.string());
    CHECK(checkpoint.file_of("b").empty());
    CHECK(checkpoint.files().size() == 1);
}

TEST_CASE("a checkpoint is a directory, and model.safetensors comes before an index") {
    const TempDirectory directory;
    static_cast<void>(directory.write("model.safetensors", one_tensor("a", 'A')));
    CHECK(Checkpoint::open(directory.path()).names() == Names{"a"});
    static_cast<void>(directory.write(index_name, "not JSON"));
    CHECK(Checkpoint::open(directory.path()).names() == Names{"a"});
}

TEST_CASE("a sharded checkpoint finds tensors in any shard") {
    const TempDirectory directory;
    static_cast<void>(directory.write("1.safetensors", two_tensors("c", "a")));
    static_cast<void>(directory.write("2.safetensors", one_tensor("b", 'B')));
    const auto index = directory.write(index_name, R"({
        "metadata": {"total_size": 3, "x": [1, -2, 3.5, null, true, {"weight_map": {}}], "y": {}},
        "weight_map": {"a": "1.safetensors", "b": "2.safetensors"},
        "more": "text"
    })");
    for (const auto& path : {index, directory.path()}) {
        Checkpoint opened = Checkpoint::open(path);
        const TensorInfo* const before = opened.find("b");
        const Checkpoint checkpoint = std::move(opened);
        CHECK(checkpoint.find("b") == before);
        CHECK(value_of(checkpoint.tensor("b")) == 'B');
        CHECK(value_of(checkpoint.tensor("c")) == 'x');  // c is not in the index, but in a shard
        CHECK(checkpoint.names() == Names{"a", "b", "c"});
        CHECK(checkpoint.file_of("b") == (directory.path() / "2.safetensors").string());
        CHECK(checkpoint.files().size() == 2);
    }
}

TEST_CASE("shards may be symbolic links to elsewhere") {
    const TempDirectory blobs;
    const TempDirectory directory;
    std::filesystem::create_symlink(blobs.write("blob", one_tensor("a", 'A')),
                                    directory.path() / "1.safetensors");
    static_cast<void>(directory.write(index_name, R"({"weight_map": {"a": "1.safetensors"}})"));
    CHECK(value_of(Checkpoint::open(directory.path()).tensor("a")) == 'A');
}

TEST_CASE("an index in the working directory finds its shards") {
    const TempDirectory directory;
    static_cast<void>(directory.write("1.safetensors", one_tensor("a", 'A')));
    static_cast<void>(directory.write(index_name, R"({"weight_map": {"a": "1.safetensors"}})"));
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(directory.path());
    const std::string error = error_of([] { return Checkpoint::open(index_name); });
    std::filesystem::current_path(before);
    CHECK(error.empty());
}

TEST_CASE("a missing tensor is reported with the files looked in and similar names") {
    const TempDirectory directory;
    const std::string name = "model.layers.0.linear_attn.A_log";
    const auto single = directory.write("model.safetensors", one_tensor(name, 'A'));
    const auto message = [](const Checkpoint& checkpoint, std::string_view wanted) {
        return error_of([&] { return checkpoint.tensor(wanted).count(); });
    };
    const Checkpoint checkpoint = Checkpoint::open(single);
    CHECK(
        message(checkpoint, "model.layers.0.linear_attn.a_log") ==
        "Checkpoint::tensor: " + single.string() +
            ": expected a tensor of that name, found no \"model.layers.0.linear_attn.a_log\" among "
            "its 1 tensors; similar names: \"model.layers.0.linear_attn.A_log\"");
    CHECK(message(checkpoint, "language_model.layers.0.linear_attn.A_log")
              .ends_with("; similar names: \"model.layers.0.linear_attn.A_log\""));
    CHECK(message(checkpoint, "lm_head").ends_with("found no \"lm_head\" among its 1 tensors"));

    std::string map;
    for (const char shard : std::string("123456")) {
        const std::string file = std::string(1, shard) + ".safetensors";
        const std::string tensor = std::string("tensor.") + shard;
        static_cast<void>(directory.write(file, one_tensor(tensor, shard)));
        map += (map.empty() ? "\"" : ",\"") + tensor + "\":\"" + file + "\"";
    }
    const auto index = directory.write(index_name, "{\"weight_map\":{" + map + "}}");
    const std::string text = message(Checkpoint::open(index), "tensor.9");
    const std::string path = directory.path().string();
    CHECK(text ==
          "Checkpoint::tensor: " + path + "/1.safetensors, " + path + "/2.safetensors, " + path +
              "/3.safetensors, " + path +
              "/4.safetensors and 2 more: expected a tensor of that name, found no \"tensor.9\" "
              "among its 6 tensors; similar names: \"tensor.1\", \"tensor.2\", \"tensor.3\"");
}

TEST_CASE("paths that hold no checkpoint are refused") {
    const TempDirectory directory;
    const std::string path = directory.path().string();
    CHECK(
        error_of([&] { return Checkpoint::open(path); }) ==
        "Checkpoint::open: " + path +
            ": expected a directory with model.safetensors or model.safetensors.index.json, found "
            "neither");
    CHECK(error_of([&] { return Checkpoint::open(path + "/none"); }) ==
          "MappedFile::open: " + path +
              "/none: expected a readable file, found No such file or directory");
    CHECK(error_of([&] { return Checkpoint::open(path + "/none.json"); }) ==
          "MappedFile::open: " + path +
              "/none.json: expected a readable file, found No such file or directory");
}

TEST_CASE("shards must hold what the index says") {
    const TempDirectory directory;
    const std::string path = directory.path().string();
    static_cast<void>(directory.write("1.safetensors", one_tensor("a", 'A')));
    static_cast<void>(directory.write("2.safetensors", two_tensors("a", "b")));
    const auto open = [&](const std::string& map) {
        const auto index = directory.write(index_name, "{\"weight_map\":{" + map + "}}");
        return error_of([&] { return Checkpoint::open(index); });
    };
    CHECK(open(R"("a":"1.safetensors","b":"1.safetensors")") ==
          "Checkpoint::open: " + path + "/1.safetensors: expected tensor \"b\" as " + path + "/" +
              index_name + " says, found no \"b\" among its 1 tensors; similar names: \"a\"");
    CHECK(open(R"("a":"1.safetensors","b":"2.safetensors")") ==
          "Checkpoint::open: tensor \"a\": expected one file that holds it, found " + path +
              "/1.safetensors and " + path + "/2.safetensors");
    CHECK(open(R"("a":"3.safetensors")") ==
          "MappedFile::open: " + path +
              "/3.safetensors: expected a readable file, found No such file or directory");
    static_cast<void>(directory.write("3.safetensors", "short"));
    CHECK(open(R"("a":"3.safetensors")") ==
          "parse_safetensors: " + path +
              "/3.safetensors: expected a file of at least 8 bytes, found 5 bytes");
    CHECK(open(R"("a":"2.safetensors","b":"2.safetensors")").empty());
}

TEST_CASE("an index cannot name files outside of its directory") {
    for (const std::string name : {"../a", "/etc/passwd", "a/b", "..", ".", "", "..\\\\a"}) {
        std::string shown = name;
        if (name == "..\\\\a") shown = "..\\a";
        CHECK(index_error("{\"weight_map\":{\"t\":\"" + name + "\"}}") ==
              "parse_checkpoint_index: index.json: weight_map: \"t\": expected the name of a file "
              "beside "
              "the index, found \"" +
                  shown + "\"");
    }
    CHECK(index_error(R"({"weight_map":{"t":"a\u0000b"}})").ends_with("found \"a\\x00b\""));
    CHECK(index_error(R"({"weight_map":{"t":"..a..b.safetensors"}})").empty());
}

TEST_CASE("an index that is not one is refused") {
    const std::string start = "parse_checkpoint_index: index.json";
    CHECK(index_error("[]") == start + ": expected an object, found an array");
    CHECK(index_error("7") == start + ": expected an object, found 7");
    CHECK(index_error("{}") == start + ": weight_map: expected at least one tensor, found none");
    CHECK(index_error(R"({"weight_map":{}})") ==
          start + ": weight_map: expected at least one tensor, found none");
    CHECK(index_error(R"({"weight_map":[]})") ==
          start + ": weight_map: expected an object, found an array");
    CHECK(index_error(R"({"weight_map":null})") ==
          start + ": weight_map: expected an object, found null");
    CHECK(index_error(R"({"weight_map":{"t":1}})") ==
          start + ": weight_map: \"t\": expected a file name, found 1");
    CHECK(index_error(R"({"weight_map":{"t":{}}})") ==
          start + ": weight_map: \"t\": expected a file name, found an object");
    CHECK(index_error(R"({"weight_map":{"t":"a","t":"b"}})") ==
          start + ": weight_map: \"t\": expected one value, found the key twice");
    CHECK(index_error(R"({"weight_map":{"t":"a"},"weight_map":{"u":"b"}})") ==
          start + ": weight_map: expected one value, found the key twice");
    CHECK(index_error("").starts_with(start + ": expected JSON in UTF-8, found at byte "));
    CHECK(index_error("{\"weight_map\":{\"t\":\"a\"}}}")
              .starts_with(start + ": expected JSON in UTF-8"));
    CHECK(index_error({"{\"weight_map\":{\"t\":\"a\"}}\0x", 26}) ==
          start + ": expected JSON in UTF-8, found a zero byte at byte 24");
}

TEST_CASE("an index may nest, but not without end") {
    const auto nested = [](int levels) {
        const auto count = static_cast<std::size_t>(levels);
        return "{\"metadata\":" + std::string(count, '[') + std::string(count, ']') +
               ",\"weight_map\":{\"t\":\"a\"}}";
    };
    CHECK(index_error(nested(64)).empty());
    CHECK(index_error(nested(65)) ==
          "parse_checkpoint_index: index.json: expected at most 64 levels of nesting, found an "
          "array");
    CHECK(index_error("{\"metadata\":" + std::string(10'000'000, '[')) ==
          "parse_checkpoint_index: index.json: expected at most 64 levels of nesting, found an "
          "array");
}

}  // namespace
