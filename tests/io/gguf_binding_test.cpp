// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Layers out of GGUF files are the layers that the files were made from, in every arrangement that
/// converters write.
#include "io/gguf_builder.hpp"
#include "io/io_support.hpp"
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/io/gguf_binding.hpp>

#include <cmath>
#include <limits>

namespace {

using namespace deltanet;
using namespace deltanet::test;

std::string f32(const std::vector<float>& values) {
    return raw_bytes(std::span<const float>(values));
}
std::string bf16s(const std::vector<float>& values) {
    std::vector<bf16> rounded;
    for (const float value : values) rounded.push_back(to_bf16(value));
    return raw_bytes(std::span<const bf16>(rounded));
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Files of Qwen's converters, and GDN layers under the names of Kimi's and Ling's.
enum class Arrangement : std::uint8_t {
    qwen3next,
    qwen3next_ssm_in,
    qwen35,
    qwen35_bf16,
    kimi,
    ling,
    ling_a
};

/// Block 2 of a model of that architecture. One block in two is linear.
GgufBuilder model_of(const RandomLayer& layer, Arrangement arrangement) {
    const LayerConfig& c = layer.config;
    const bool is_next =
        arrangement == Arrangement::qwen3next || arrangement == Arrangement::qwen3next_ssm_in;
    const bool narrow = arrangement == Arrangement::qwen35_bf16;
    const bool kimi = arrangement == Arrangement::kimi;
    const bool ling = arrangement == Arrangement::ling || arrangement == Arrangement::ling_a;
    const std::string arch = is_next ? "qwen3next" : "qwen35";
    GgufBuilder file;
    const auto number = [&](const char* key, index_t value) {
        file.number(arch + "." + key, static_cast<std::uint32_t>(value));
    };
    file.text("general.architecture", arch);
    number("block_count", 5);
    number("full_attention_interval", 2);
    number("nextn_predict_layers", 1);
    number("embedding_length", c.hidden);
    number("ssm.conv_kernel", c.conv_width);
    number("ssm.inner_size", c.value_dim());
    number("ssm.state_size", c.d_k);
    number("ssm.time_step_rank", c.n_heads_v);
    number("ssm.group_count", c.n_heads_k);
    file.value(arch + ".attention.layer_norm_rms_epsilon", 6, raw(1e-6F));
    const auto extent = [](index_t n) { return static_cast<std::uint64_t>(n); };
    const auto matrix = [&](const char* name, const Matrix& m) {
        file.tensor(std::string("blk.2.") + name, {extent(m.cols), extent(m.rows())},
                    narrow ? 30 : 0, narrow ? bf16s(m.values) : f32(m.values));
    };
    const auto vector = [&](const char* name, std::vector<float> values) {
        file.tensor(std::string("blk.2.") + name, {extent(static_cast<index_t>(values.size()))}, 0,
                    f32(values));
    };
    // In two pieces that are exactly the whole: the inputs in another order, doubled, and halved.
    const auto pieces = [&](const std::string& name, const Matrix& m) {
        Matrix down{c.hidden, std::vector<float>(static_cast<std::size_t>(c.hidden * c.hidden))};
        Matrix up = m;
        for (index_t k = 0; k < c.hidden; ++k) {
            const index_t input = (k + 3) % c.hidden;
            down.values[static_cast<std::size_t>(k * c.hidden + input)] = 2.0F;
            for (index_t row = 0; row < m.rows(); ++row) {
                up.values[static_cast<std::size_t>(row * c.hidden + k)] =
                    m.values[static_cast<std::size_t>(row * c.hidden + input)] / 2;
            }
        }
        matrix((name + "_a.weight").c_str(), down);
        matrix((name + "_b.weight").c_str(), up);
    };
    const auto convolution = [&](const char* name, index_t first, index_t channels) {
        const auto taps = layer.conv.values.begin() + first * c.conv_width;
        file.tensor(std::string("blk.2.") + name, {extent(c.conv_width), 1, extent(channels), 1}, 0,
                    f32({taps, taps + channels * c.conv_width}));
    };
    if (kimi || ling) {
        matrix("attn_q.weight", layer.q);
        matrix("attn_k.weight", layer.k);
        matrix("attn_v.weight", layer.v);
        convolution("ssm_conv1d_q.weight", 0, c.key_dim());
        convolution("ssm_conv1d_k.weight", c.key_dim(), c.key_dim());
        convolution("ssm_conv1d_v.weight", 2 * c.key_dim(), c.value_dim());
    } else if (arrangement == Arrangement::qwen3next_ssm_in) {
        matrix("ssm_in.weight", layer.qkvz);
    } else {
        matrix("attn_qkv.weight", layer.qkv);
        matrix("attn_gate.weight", layer.z);
    }
    if (is_next) {
        matrix("ssm_ba.weight", layer.ba);
    } else {
        matrix("ssm_beta.weight", layer.b);
    }
    if (kimi) {
        pieces("ssm_f", layer.a);
        pieces("ssm_g", layer.z);
    } else if (ling) {
        const bool suffix = arrangement == Arrangement::ling_a;
        matrix(suffix ? "ssm_f_a.weight" : "ssm_f.weight", layer.a);
        matrix(suffix ? "ssm_g_a.weight" : "ssm_g.weight", layer.z);
    } else if (!is_next) {
        matrix("ssm_alpha.weight", layer.a);
    }
    matrix(kimi || ling ? "attn_output.weight" : "ssm_out.weight", layer.out);
    if (!kimi && !ling) convolution("ssm_conv1d.weight", 0, c.conv_dim());
    std::vector<float> a = layer.A_log;
    for (float& x : a) x = ling ? std::exp(x) : -std::exp(x);
    file.tensor("blk.2.ssm_a", {1, extent(c.n_heads_v)}, 0, f32(a));
    vector("ssm_dt.bias", layer.dt_bias);
    vector("ssm_norm.weight", layer.norm);
    std::vector<float> norm = layer.pre_norm;
    for (float& x : norm) x += 1.0F;
    vector("attn_norm.weight", norm);
    return file;
}

GgufFile opened(const TempDirectory& directory, const GgufBuilder& builder) {
    return GgufFile::open(directory.write("m.gguf", builder.bytes()));
}

}  // namespace

TEST_CASE("a layer of a GGUF file is the one that it was made from", "[gguf]") {
    const auto arrangement = GENERATE(Arrangement::qwen3next, Arrangement::qwen3next_ssm_in,
                                      Arrangement::qwen35, Arrangement::qwen35_bf16,
                                      Arrangement::kimi, Arrangement::ling, Arrangement::ling_a);
    const index_t r = GENERATE(1, 2, 3);
    CAPTURE(static_cast<int>(arrangement), r);
    LayerConfig config = small_config(2, 2 * r, 8, 12, 16);
    config.pre_norm = PreNorm::one_plus;
    config.residual = true;
    RandomLayer grouped(config);
    const bool tiled =
        arrangement != Arrangement::qwen3next && arrangement != Arrangement::qwen3next_ssm_in;
    const RandomLayer stored = tiled ? grouped.tiled() : grouped;
    const TempDirectory directory;
    const GgufFile file = opened(directory, model_of(stored, arrangement));

    const GgufModelConfig model = read_gguf_config(file);
    CHECK(model.linear_layers == std::vector<bool>{true, false, true, false, false});
    CHECK(model.layer.head_map == (tiled ? HeadMap::tiled : HeadMap::grouped));
    CHECK(std::abs(model.norm_eps - 1e-6) < 1e-12);
    LayerConfig wanted = model.layer;
    CHECK(wanted.d_v == 12);
    wanted.pre_norm = PreNorm::plain;
    wanted.residual = true;
    const BoundLayer<> bound = bind_layer(file, wanted, 2);
    DeltaNetLayer<LayerBackend<>> actual(bound.config, bound.weights);
    DeltaNetLayer<LayerBackend<>> expected(config, grouped.split());

    const std::vector<float> x = Random(9).normals(30 * config.hidden);
    StateSlots actual_slots(bound.config, {}), expected_slots(config, {});
    const double error = relative_rms(run(actual, one(30), x, actual_slots),
                                      run(expected, one(30), x, expected_slots));
    // Orders of sums and the way of A_log to -exp(A_log) and back; or weights of 8 bits.
    CHECK(error < (arrangement == Arrangement::qwen35_bf16 ? 4 * 0x1p-8 : 2e-6));
    if (arrangement == Arrangement::qwen35)
        CHECK(bound.storage.size() == 5);  // projections are in the file
    if (arrangement == Arrangement::kimi)
        CHECK(bound.storage.size() == 7);  // and two products of two
}

TEST_CASE("a layer in several GGUF files is the one in one file", "[gguf]") {
    LayerConfig config = small_config(2, 4, 8, 12, 16);
    const RandomLayer layer = RandomLayer(config).tiled();
    const GgufBuilder whole = model_of(layer, Arrangement::qwen35);
    const TempDirectory directory;
    for (index_t i = 0; i < 3; ++i)
        static_cast<void>(
            directory.write("m" + detail::gguf_part_suffix(i, 3), whole.part(i, 3).bytes()));
    const GgufFile split = GgufFile::open(directory.path() / "m-00001-of-00003.gguf");
    const GgufFile in_one = opened(directory, whole);
    CHECK(split.names() == in_one.names());
    const LayerConfig wanted = read_gguf_config(split).layer;
    const BoundLayer<> from_split = bind_layer(split, wanted, 2);
    const BoundLayer<> from_whole = bind_layer(in_one, wanted, 2);
    DeltaNetLayer<LayerBackend<>> actual(wanted, from_split.weights);
    DeltaNetLayer<LayerBackend<>> expected(wanted, from_whole.weights);
    const std::vector<float> x = Random(9).normals(30 * config.hidden);
    StateSlots actual_slots(wanted, {}), expected_slots(wanted, {});
    CHECK(bit_equal(run(actual, one(30), x, actual_slots),
                    run(expected, one(30), x, expected_slots)));
}

TEST_CASE("GGUF models that cannot be bound say why", "[gguf]") {
    const LayerConfig config = small_config(2, 4, 8, 12, 16);
    RandomLayer layer(config);
    const TempDirectory directory;
    {
        GgufBuilder other;
        other.text("general.architecture", "llama");
        const GgufFile file = opened(directory, other);
        CHECK(error_of([&] {
                  return read_gguf_config(file);
              }).find("expected qwen3next, qwen35 or qwen35moe, found \"llama\"") !=
              std::string::npos);
    }
    const GgufFile next = opened(directory, model_of(layer, Arrangement::qwen3next));
    CHECK(error_of([&] { return bind_layer(next, config, 1); }).find("blk.1.attn_qkv.weight") !=
          std::string::npos);
    LayerConfig tiled = config;
    tiled.head_map = HeadMap::tiled;
    CHECK(error_of([&] { return bind_layer(next, tiled, 2); }) ==
          "bind_layer: blk.2.ssm_ba.weight in " + next.path() +
              ": expected grouped heads, in which alone it is written, found a configuration of "
              "tiled ones");
    LayerConfig plus = config;
    plus.pre_norm = PreNorm::one_plus;
    CHECK(error_of([&] { return bind_layer(next, plus, 2); }) ==
          "bind_layer: config.pre_norm: expected plain or none: norms in GGUF files have their 1 "
          "added, found one_plus");
    LayerConfig wide = config;
    wide.hidden = 32;
    CHECK(error_of([&] {
              return bind_layer(next, wide, 2);
          }).find("expected shape [80, 32], found shape [80, 16]") != std::string::npos);

    const auto decays = [&](const std::vector<float>& numbers, bool bounded = false) {
        GgufBuilder file = model_of(layer, Arrangement::qwen3next);
        if (bounded) file.value("qwen3next.kda.gate_lower_bound", 6, raw(-5.0F));
        file.rename("blk.2.ssm_a", "blk.2.old_a").tensor("blk.2.ssm_a", {4}, 0, f32(numbers));
        const GgufFile opened_file = opened(directory, file);
        const std::string text = error_of([&] { return bind_layer(opened_file, config, 2); });
        const std::size_t end = text.find("expected ");
        return end == std::string::npos ? text : text.substr(end);
    };
    CHECK(decays({-1, -2, -0.0F, -4}).empty());
    CHECK(decays({0, 2, 3, 4}).empty());
    CHECK(decays({-1, -2, 3, -4}) ==
          "expected finite numbers of at most 0, like most of them: -exp(A_log), found 3");
    CHECK(decays({1, 2, 3, -4}) ==
          "expected finite numbers of at least 0, like most of them: exp(A_log), found -4");
    CHECK(decays({1, kNaN, 3, 4}).find("found nan") != std::string::npos);
    CHECK(decays({-1, -kInfinity, -3, -4}).find("found -inf") != std::string::npos);
    CHECK(decays({-1, -2, -3, -4}, true).empty());
    CHECK(decays({1, 2, 3, 4}, true) ==
          "expected softplus gates, the only ones that DeltaNetLayer has, found "
          "\"qwen3next.kda.gate_lower_bound\": a gate with a lower bound");
}

TEST_CASE("layers of Kimi Delta Attention are refused, with the tensor that shows it", "[gguf]") {
    const LayerConfig config = small_config(4, 4, 8, 12, 16);
    RandomLayer layer(config);
    layer.a = Matrix{16, Random(4).normals(4 * 8 * 16)};  // a row per key channel
    const TempDirectory directory;
    const char* const names[] = {"ssm_f_b", "ssm_f", "ssm_f_a"};
    const Arrangement arrangements[] = {Arrangement::kimi, Arrangement::ling, Arrangement::ling_a};
    for (std::size_t i = 0; i < 3; ++i) {
        const GgufFile file = opened(directory, model_of(layer, arrangements[i]));
        CHECK(error_of([&] { return bind_layer(file, config, 2); }) ==
              std::string("bind_layer: blk.2.") + names[i] + ".weight in " + file.path() +
                  ": expected 4 rows, one per value head, found 32, with a decay per key channel "
                  "(Kimi Delta Attention), which DeltaNetLayer does not have");
    }
    GgufBuilder kimi;
    kimi.text("general.architecture", "kimi-linear").number("kimi-linear.kda.head_dim", 128);
    const GgufFile file = opened(directory, kimi);
    CHECK(error_of([&] { return read_gguf_config(file); })
              .find("found \"kimi-linear\", with a decay per key channel (Kimi Delta Attention), "
                    "which DeltaNetLayer does not have") != std::string::npos);
}

TEST_CASE("sizes of hostile GGUF metadata do not overflow", "[gguf]") {
    const LayerConfig config = small_config(2, 4, 8, 12, 16);
    const RandomLayer layer(config);
    const TempDirectory directory;
    for (const char* key : {"embedding_length", "ssm.group_count", "ssm.time_step_rank",
                            "ssm.state_size", "ssm.inner_size", "ssm.conv_kernel", "block_count"}) {
        for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1} << 40,
                                          ~std::uint64_t{0} >> 1, ~std::uint64_t{0}}) {
            CAPTURE(key, value);
            GgufBuilder file = model_of(layer, Arrangement::qwen3next);
            const std::string name = std::string("qwen3next.") + key;
            file.rename(name, "old." + std::string(key)).value(name, 10, raw(value));
            const GgufFile opened_file = opened(directory, file);
            CHECK(error_of([&] { return read_gguf_config(opened_file); }).find("expected ") !=
                  std::string::npos);
        }
    }
}
