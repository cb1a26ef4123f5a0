// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Layers of transformers, recorded in float32 (tests/golden/README.md), against ours: outputs and
/// both final states for one call, for the same tokens in pieces cut anywhere, and for decoding one
/// by one.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

// Float32 on both sides: transformers' own chunked form is about 1e-6 from the exact result.
constexpr double kTolerance = 5e-6;

const char* const kLayers[] = {
    "layer_qwen3_next_r1",    "layer_qwen3_next_r2",      "layer_qwen3_next_r3",
    "layer_qwen3_5_r1",       "layer_qwen3_5_r2",         "layer_qwen3_5_r3",
    "layer_qwen3_5_r4",       "layer_qwen3_5_odd",        "layer_qwen3_5_conv3",
    "layer_qwen3_5_f16",      "layer_qwen3_5_head128",    "layer_qwen3_5_short",
    "layer_qwen3_5_small_x",  "layer_olmo_hybrid_96_192", "layer_olmo_hybrid_small",
    "layer_qwen4_exp_sigmoid"};

/// Slot 0's states in the recorded layouts.
void check_states(const Golden& golden, const StateSlots& slots, const std::string& suffix) {
    const LayerConfig c = golden.config();
    const std::vector<float> conv = golden.floats("conv_state" + suffix);
    const index_t columns =
        golden.columns("conv_state" + suffix);  // W, of which the oldest is never read
    std::vector<float> mine(conv.size());
    export_conv(slots, 0, 0, View<float, 2>(mine.data(), {c.conv_dim(), columns}));
    std::vector<float> expected = conv;
    if (columns == c.conv_width) {
        for (index_t i = 0; i < c.conv_dim(); ++i)
            expected[static_cast<std::size_t>(i * columns)] = 0.0F;
    }
    CHECK(relative_rms(mine, expected) <= kTolerance);

    std::vector<float> recurrent(static_cast<std::size_t>(c.n_heads_v * c.d_k * c.d_v));
    export_recurrent(slots, 0, 0, View<float, 3>(recurrent.data(), {c.n_heads_v, c.d_k, c.d_v}),
                     StateOrder::k_first);
    CHECK(relative_rms(recurrent, golden.floats("recurrent_state" + suffix)) <= kTolerance);
}

/// The recorded prompt in pieces of these lengths, then the recorded tokens one by one.
template <class B>
void check_layer(const Golden& golden, B backend, const std::vector<index_t>& pieces,
                 ScanMode scan) {
    LayerConfig config = golden.config();
    config.scan = scan;
    const BoundLayer<> bound =
        bind_layer(golden.weights, golden.family(), config, golden.text("prefix"));
    DeltaNetLayer<B> layer(bound.config, bound.weights, std::move(backend));
    StateSlots slots(config, {.slots = 1});

    const std::vector<float> x = golden.floats("x");
    std::vector<float> y;
    index_t done = 0;
    for (const index_t n : pieces) {
        const Batch batch = one(n, done == 0 ? Start::fresh : Start::resume);
        const std::vector<float> part =
            run(layer, batch, rows_of(x, config.hidden, done, n), slots);
        y.insert(y.end(), part.begin(), part.end());
        done += n;
    }
    REQUIRE(done == golden.rows("x"));
    CHECK(relative_rms(y, golden.floats("y")) <= kTolerance);
    check_states(golden, slots, "");

    const std::vector<float> x_more = golden.floats("x_more");
    std::vector<float> y_more;
    for (index_t t = 0; t < golden.rows("x_more"); ++t) {
        const std::vector<float> row =
            run(layer, one(1, Start::resume), rows_of(x_more, config.hidden, t, 1), slots);
        y_more.insert(y_more.end(), row.begin(), row.end());
    }
    CHECK(relative_rms(y_more, golden.floats("y_more")) <= kTolerance);
    check_states(golden, slots, "_more");
}

/// All in one, one by one, and three random cuts, zero-length pieces among them.
std::vector<std::vector<index_t>> ways_to_cut(index_t n) {
    std::vector<std::vector<index_t>> ways{{n},
                                           std::vector<index_t>(static_cast<std::size_t>(n), 1)};
    Random random(static_cast<std::uint32_t>(n));
    for (int i = 0; i < 3; ++i) {
        std::vector<index_t> pieces;
        for (index_t left = n; left > 0; left -= pieces.back())
            pieces.push_back(random.integer(0, std::min(left, n / 2 + 1)));
        ways.push_back(pieces);
    }
    return ways;
}

template <class B>
void check_all(const std::string& name) {
    const Golden golden(name + ".safetensors");
    for (const ScanMode scan : {ScanMode::automatic, ScanMode::recurrent, ScanMode::chunked}) {
        for (const std::vector<index_t>& pieces : ways_to_cut(golden.rows("x"))) {
            CAPTURE(name, scan, pieces);
            check_layer(golden, B(), pieces, scan);
        }
    }
}

}  // namespace

TEST_CASE("recorded transformers layers on the CPU backend") {
    check_all<LayerBackend<>>(GENERATE(from_range(std::begin(kLayers), std::end(kLayers))));
}

TEST_CASE("recorded transformers layers on the reference backend") {
    const std::string name = GENERATE(from_range(std::begin(kLayers), std::end(kLayers)));
    const Golden golden(name + ".safetensors");
    CAPTURE(name);
    for (const ScanMode scan : {ScanMode::recurrent, ScanMode::chunked}) {
        check_layer(golden, ReferenceBackend(), {golden.rows("x")}, scan);
    }
}

TEST_CASE("a layer of a sharded bfloat16 checkpoint") {
    const Golden golden("sharded/y.safetensors", "sharded");
    const std::string prefix = find_layer_prefix(golden.weights, Family::qwen3_5, 1);
    CHECK(prefix == golden.text("prefix"));
    check_layer(golden, LayerBackend<>(), {golden.rows("x")}, ScanMode::automatic);
}

TEST_CASE("recorded delta rule of flash-linear-attention") {
    const std::string name =
        GENERATE("op_fla_dk32_dv32", "op_fla_dk24_dv40", "op_fla_strong_decay", "op_fla_kda");
    const SafetensorsFile file = SafetensorsFile::open(golden_path(name + ".safetensors"));
    const auto floats = [&](const char* tensor) { return read_float(file.tensor(tensor)); };
    const std::vector<index_t>& shape = file.tensor("q").shape;
    const index_t n = shape[0], heads = shape[1], d_k = shape[2], d_v = file.tensor("v").shape[2];
    const std::vector<float> q = floats("q"), k = floats("k"), v = floats("v"), g = floats("g"),
                             beta = floats("beta");

    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        std::vector<float> state = floats("initial_state");
        std::vector<float> o(v.size());
        const SequenceSpan sequence{0, n, 0, Start::resume};
        DeltaRuleArgs<float> args;
        args.q = {q.data(), {n, heads, d_k}};
        args.k = {k.data(), {n, heads, d_k}};
        args.v = {v.data(), {n, heads, d_v}};
        if (file.tensor("g").shape.size() == 3) {
            args.decay_log = View<const float, 3>(g.data(), {n, heads, d_k});
        } else {
            args.decay_log = {g.data(), {n, heads}};
        }
        args.beta = {beta.data(), {n, heads}};
        args.state = {state.data(), {1, heads, d_k, d_v}};
        args.output = {o.data(), {n, heads, d_v}};
        args.sequences = {&sequence, 1};
        args.mode = mode;
        LayerBackend<> backend;
        Workspace workspace;
        delta_rule(backend, args, workspace.acquire(backend.delta_rule_scratch_bytes(args)));
        CAPTURE(name, mode);
        // Either form of fla's against either of ours; recorded float32 on both sides.
        CHECK(relative_rms(o, floats("o")) <= kTolerance);
        // fla's chunked form, in float32, is 4.6e-6 from the exact result under strong decay.
        CHECK(relative_rms(o, floats("o_chunk")) <= 2 * kTolerance);
        CHECK(relative_rms(state, floats("final_state")) <= kTolerance);
        CHECK(relative_rms(state, floats("final_state_chunk")) <= kTolerance);
    }
}
