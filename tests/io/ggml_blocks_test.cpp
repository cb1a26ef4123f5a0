// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Quantised weights, read out of a GGUF file that the package gguf of llama.cpp wrote, are those
/// that it unpacks them to; and linear operators compute with them.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"
#include "support/random.hpp"
#include <deltanet/io/gguf_binding.hpp>
#include <deltanet/linear/reference.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

constexpr const char* kFormats[] = {"Q8_0", "Q4_0", "Q4_K", "Q6_K"};

const GgufFile& blocks() {
    static const GgufFile file = GgufFile::open(golden_path("blocks.gguf"));
    return file;
}

template <class L>
std::vector<float> product(const L& linear, const std::vector<float>& x, index_t n_tokens) {
    std::vector<float> y(static_cast<std::size_t>(n_tokens * linear.out_features()));
    SequentialExecutor executor;
    std::vector<std::byte> scratch(
        static_cast<std::size_t>(linear.scratch_bytes(n_tokens, executor.concurrency()) + 64));
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(scratch.data()) % 64;
    linear(View<const float, 2>(x.data(), {n_tokens, linear.in_features()}),
           View<float, 2>(y.data(), {n_tokens, linear.out_features()}),
           std::span(scratch).subspan(64 - misaligned), executor);
    return y;
}

}  // namespace

TEST_CASE("a GGUF file by another writer: metadata and tensors", "[gguf][golden]") {
    const GgufMetadata& m = blocks().metadata();
    CHECK(m.text("general.architecture") == "qwen35");
    CHECK(m.integer("test.u8") == 200);
    CHECK(m.integer("test.i8") == -3);
    CHECK(m.integer("test.u16") == 65535);
    CHECK(m.integer("test.i16") == -300);
    CHECK(m.integer("test.i32") == -70000);
    CHECK(m.number("test.f32") == 0.25);
    CHECK(m.integer("test.bool") == 1);
    CHECK(m.integer("test.u64") == index_t{1} << 40);
    CHECK(m.integer("test.i64") == -5);
    CHECK(m.number("test.f64") == 1e100);
    CHECK(m.values().at("test.words").count == 3);
    CHECK(m.values().at("test.numbers").at(1).integer() == 8);
    CHECK(blocks().names().size() == 8);
}

TEST_CASE("quantised blocks stand for the weights that ggml says", "[gguf][golden]") {
    for (const std::string name : kFormats) {
        CAPTURE(name);
        const TensorInfo& info = blocks().tensor(name + ".blocks");
        CHECK(info.dtype == name);
        CHECK(info.shape == std::vector<index_t>{3, 512});
        const WeightMatrix weight = map_matrix(blocks(), name + ".blocks");
        CHECK(name_of(weight.format()) == name);
        CHECK(weight.row(1) - weight.row(0) == info.byte_size / 3);
        const std::vector<float> expected = read_float(blocks().tensor(name + ".weights"));
        std::vector<float> actual(expected.size());
        for (index_t row = 0; row < 3; ++row) weight.load(row, 0, 512, actual.data() + row * 512);
        CHECK(actual == expected);
        std::vector<float> second(256);  // from the middle on
        weight.load(2, 256, 256, second.data());
        CHECK(std::equal(second.begin(), second.end(), expected.begin() + 2 * 512 + 256));
    }
}

TEST_CASE("products with quantised weights", "[gguf][golden]") {
    for (const std::string name : kFormats) {
        const WeightMatrix weight = map_matrix(blocks(), name + ".blocks");
        const std::vector<float> plain = read_float(blocks().tensor(name + ".weights"));
        const WeightMatrix same = View<const float, 2>(plain.data(), {3, 512});
        for (const index_t n_tokens : {1, 2, 40}) {
            const std::vector<float> x = Random(3).normals(n_tokens * 512);
            CAPTURE(name, n_tokens);
            const std::vector<float> expected = product(ReferenceLinear(same), x, n_tokens);
            CHECK(product(ReferenceLinear(weight), x, n_tokens) == expected);
            // a sum of 512 products in float32
            CHECK(relative_rms(product(EigenLinear(weight), x, n_tokens), expected) < 1e-6);
        }
    }
}

TEST_CASE("quantised matrices that cannot be", "[linear][errors]") {
    const std::byte* const data = blocks().tensor("Q4_K.blocks").data;
    CHECK(message_of([&] {
              WeightMatrix(WeightFormat::q4_k, data, {1, 128});
          }) == "WeightMatrix: columns: expected a multiple of 256 for Q4_K, found 128");
    CHECK(message_of([&] {
              WeightMatrix(WeightFormat::f32, data, {1, 256});
          }) == "WeightMatrix: format: expected a quantised one, found F32");
    CHECK(message_of([&] {
              WeightMatrix(WeightFormat::q8_0, data, {0, 32});
          }) == "WeightMatrix: rows: expected at least 1, found 0");
    CHECK(message_of([&] {
              WeightMatrix(WeightFormat::q8_0, nullptr, {1, 32});
          }) == "WeightMatrix: blocks: expected data, found a null pointer");
}
