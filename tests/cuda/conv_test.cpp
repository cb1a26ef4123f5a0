// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The convolution with norms and gates against the oracle in double.
#include "cuda/conv_call.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// W products of terms up to 2 and a bias up to 1, each rounded, are W (2 W + 1) roundings of the
/// size of 1 in a sum up to 2 W + 1; SiLU by __expf adds what activations.cuh states, relative.
void check_conv(const std::vector<float>& actual, const std::vector<double>& expected,
                const ConvSizes& s) {
    const auto w = static_cast<double>(s.width);
    const double range = 2.0 * w + 1.0;
    double relative = eps<float>() * (8.0 + 1.173 * range);
    double absolute = eps<float>() * w * range;
    if (s.norm) {  // by a length of at least sqrt(eps), which has the errors of all elements
        const double least = s.norm->form == L2Form::rsqrt ? std::sqrt(s.norm->eps) : s.norm->eps;
        relative += eps<float>() * (6.0 + 0.25 * static_cast<double>(s.norm->d));
        absolute *= 2.0 / least;
    }
    check_elements(widened(actual), expected, relative, absolute);
}

/// softplus is right to 4 ulp, expf to 2, their product to one more; exp(A_log) is up to e^3 and
/// its argument's rounding counts 3 times. sigmoid is right to 5 ulp and doubled exactly. The sum a
/// + dt_bias is rounded at up to 8, which counts where softplus falls like its exponential.
void check_gates(const ConvResults& results, ConvTensors<double, Tensor>& expected) {
    check_elements(widened(std::get<2>(results)), expected.decay_log.values(),
                   eps<float>() * (7.0 + 8.0), 0.0);
    check_elements(widened(std::get<3>(results)), expected.beta.values(), eps<float>() * 5.0, 0.0);
}

void check_call(ConvCall& call, const ConvSizes& s, std::span<const SequenceSpan> sequences) {
    const ConvResults actual = call.run(sequences);
    call.run_oracle(sequences);
    check_conv(std::get<0>(actual), call.host.output.values(), s);
    // inputs, not arithmetic
    CHECK(bit_equal(widened(std::get<1>(actual)), call.host.state.values()));
    check_gates(actual, call.host);
}

}  // namespace

TEST_CASE("conv_gates: every width and length around it, fresh and resumed") {
    for (index_t width = 2; width <= 8; ++width) {
        for (const index_t n_tokens : {0, 1, 2, 3, 5, 7, 8, 9}) {
            const Start start = n_tokens % 2 == 0 ? Start::fresh : Start::resume;
            const ConvSizes s{.n_tokens = n_tokens,
                              .n_heads_k = 1,
                              .d_k = 8,
                              .n_heads_v = 2,
                              .d_v = 12,
                              .width = width,
                              .bias = n_tokens % 3 == 0};
            ConvCall call(s, static_cast<std::uint32_t>(220 + width));
            const SequenceSpan sequence{0, n_tokens, 0, start};
            CAPTURE(width, n_tokens);
            check_call(call, s, {&sequence, 1});
        }
    }
}

TEST_CASE("conv_gates: head sizes, groups, norms, strides and alignments") {
    for (const index_t d : {1, 6, 20, 64, 96, 128, 136, 192}) {
        for (const L2Form form : {L2Form::rsqrt, L2Form::max}) {
            ConvSizes s{.n_tokens = 6,
                        .n_heads_k = 2,
                        .d_k = d,
                        .n_heads_v = d % 3 == 0 ? 4 : 6,
                        .d_v = d == 96 ? 192 : d,
                        .width = 4,
                        .bias = form == L2Form::max,
                        .norm = HeadNorm{.d = d, .form = form, .eps = 1e-2}};
            if (form == L2Form::max) {
                s.padding = d % 4 == 0 ? 4 : 3;
                s.misalign = d == 128 ? 4 : 1;
                s.tap_major = d == 64;
            }
            ConvCall call(s, 231);
            const SequenceSpan sequence{1, 4, 0, Start::resume};  // gates of all rows
            CAPTURE(d, static_cast<int>(form));
            check_call(call, s, {&sequence, 1});
        }
    }
}

TEST_CASE("conv_gates: lengths around strips, several sequences with gaps and padding") {
    const ConvSizes s{.n_tokens = 300,
                      .n_heads_k = 1,
                      .d_k = 64,
                      .n_heads_v = 1,
                      .d_v = 64,
                      .width = 4,
                      .n_slots = 6,
                      .norm = HeadNorm{.d = 64, .eps = 1e-2}};
    ConvCall call(s, 232);
    const std::vector<SequenceSpan> sequences{
        {0, 31, 4, Start::fresh},  {33, 32, 0}, {70, 33, -1}, {103, 130, 2},
        {240, 0, 1, Start::fresh}, {240, 0, 3}, {299, 1, 5},  {250, 2, -1},
    };
    check_call(call, s, sequences);
}

TEST_CASE("conv_gates: a fresh start reads nothing of its slot") {
    const ConvSizes s{.n_tokens = 9,
                      .n_heads_k = 1,
                      .d_k = 8,
                      .n_heads_v = 1,
                      .d_v = 8,
                      .width = 4,
                      .n_slots = 2,
                      .rollback = 4};
    for (const index_t n_tokens : {0, 2, 4, 9}) {
        ConvCall call(s, 233);
        const SequenceSpan sequence{0, n_tokens, 1, Start::fresh, 3};
        const std::vector<double> before = call.host.state.values();
        call.host.state.fill(std::nan(""));
        const ConvResults actual = call.run({&sequence, 1});
        std::size_t i = 0;
        call.host.state.for_each([&](double& x) { x = before[i++]; });
        call.run_oracle({&sequence, 1});
        CAPTURE(n_tokens);
        check_conv(std::get<0>(actual), call.host.output.values(), s);
        // What was written is the oracle's, the rest still NaN.
        const std::vector<double> state = call.host.state.values();
        bool same = true;
        for (i = 0; i < state.size(); ++i) {
            const auto x = static_cast<double>(std::get<1>(actual)[i]);
            same = same && (x == state[i] || (std::isnan(x) && state[i] == before[i]));
        }
        CHECK(same);
    }
}

TEST_CASE("conv_gates: programs of steps, rollbacks and trees leave the oracle's states") {
    for (const index_t width : {2, 3, 4, 5, 6, 7, 8}) {
        std::mt19937 random(static_cast<std::uint32_t>(234 + width));
        for (const index_t rollback : {0, 1, 6, 32}) {
            if (rollback != 6 && width != 2 && width != 4 && width != 7) continue;
            constexpr index_t most = 40, n_slots = 3;
            const ConvSizes s{.n_tokens = n_slots * most,
                              .n_heads_k = 1,
                              .d_k = 12,
                              .n_heads_v = 1,
                              .d_v = 8,
                              .width = width,
                              .n_slots = n_slots,
                              .rollback = rollback,
                              .norm = HeadNorm{.d = 12, .eps = 1e-2}};
            ConvCall call(s, 235);
            index_t pending[n_slots] = {};
            for (int step = 0; step < 8; ++step) {
                std::vector<SequenceSpan> sequences;
                std::vector<std::vector<index_t>> trees(n_slots);
                for (index_t slot = 0; slot < n_slots; ++slot) {
                    const bool is_short = rollback > 0 && random() % 4 != 0;
                    const index_t n = is_short ? random_index(random, rollback + 1)
                                               : random_index(random, most + 1);
                    SequenceSpan sequence{slot * most, n, slot,
                                          random() % 6 == 0 ? Start::fresh : Start::resume,
                                          pending[slot]};
                    if (n > 1 && n <= rollback && random() % 2 == 0) {
                        auto& parents = trees[static_cast<std::size_t>(slot)];
                        for (index_t t = 0; t < n; ++t)
                            parents.push_back(random_index(random, t + 1) - 1);
                        sequence.parents = parents;
                    }
                    sequences.push_back(sequence);
                }
                CAPTURE(width, rollback, step);
                check_call(call, s, sequences);
                for (const SequenceSpan& sequence : sequences) {
                    index_t& n = pending[sequence.slot];
                    n = pending_step(sequence, rollback).after;
                    // All nodes of a tree go, whatever else of the rest.
                    n -= sequence.parents.empty() ? random_index(random, n + 1) : sequence.n_tokens;
                }
            }
        }
    }
}

TEST_CASE("conv_gates: more sequences than a launch takes, and gates without any") {
    constexpr index_t n = 150;
    const ConvSizes s{.n_tokens = n,
                      .n_heads_k = 1,
                      .d_k = 4,
                      .n_heads_v = 40,
                      .d_v = 1,
                      .width = 3,
                      .n_slots = n};
    std::vector<SequenceSpan> sequences;
    for (index_t i = 0; i < n; ++i) sequences.push_back({n - 1 - i, 1, i});
    ConvCall call(s, 236);
    check_call(call, s, sequences);
    ConvCall gates_alone(s, 237);
    check_call(gates_alone, s, {});
}

TEST_CASE("gates alone") {
    const ConvSizes s{.n_tokens = 9,
                      .n_heads_k = 2,
                      .d_k = 4,
                      .n_heads_v = 6,
                      .d_v = 4,
                      .width = 2,
                      .bias = true};  // beta doubled
    ConvCall call(s, 239);
    const auto actual = for_each_schedule([&] {
        ConvTensors<float, DeviceTensor> device(s, [](const auto& shape) {
            return DeviceTensor<
                float, static_cast<int>(std::tuple_size_v<std::remove_cvref_t<decltype(shape)>>)>(
                shape, 1);
        });
        device.for_each_input(call.host, [](auto& to, auto& from) { to.upload(narrowed(from)); });
        cuda::gates(device.args(s, {}).gates, nullptr);
        return ConvResults{{}, {}, device.decay_log.download(), device.beta.download()};
    });
    ReferenceBackend backend;
    deltanet::gates(backend, call.host.args(s, {}).gates);
    check_gates(actual, call.host);
}

TEST_CASE("conv1d alone: without SiLU, and the bits of a norm afterwards") {
    std::mt19937 generator(238);
    for (const index_t d : {5, 64, 128, 192}) {
        constexpr index_t n = 7, heads = 3, width = 5;
        const Shape<3> shape{n, heads, d};
        Tensor<double, 3> input = random_tensor<3>(shape, generator, -2.0, 2.0);
        Tensor<double, 2> weight =
            random_tensor<2>(Shape<2>{heads * d, width}, generator, -1.0, 1.0);
        Tensor<double, 3> state =
            random_tensor<3>(Shape<3>{1, width - 1, heads * d}, generator, -2.0, 2.0);
        const SequenceSpan sequence{0, n, 0};
        const auto run = [&](bool silu, const std::optional<HeadNorm>& norm, bool afterwards) {
            return for_each_schedule([&] {
                DeviceTensor<float, 3> device_input(shape, narrowed(input));
                DeviceTensor<float, 2> device_weight({heads * d, width}, narrowed(weight));
                DeviceTensor<float, 3> device_state({1, width - 1, heads * d}, narrowed(state));
                DeviceTensor<float, 2> output({n, heads * d}, 1);
                cuda::conv1d({.input = device_input.cview(),
                              .weight = device_weight.cview(),
                              .state = device_state.view(),
                              .output = output.view(),
                              .sequences = {&sequence, 1},
                              .silu = silu,
                              .norm = norm},
                             nullptr);
                if (afterwards) {
                    const View<float, 3> rows(output.data(), shape,
                                              {output.view().stride(0), d, 1});
                    cuda::l2norm({rows, rows, L2Form::rsqrt, 1e-3}, nullptr);
                }
                return output.download();
            });
        };
        CAPTURE(d);
        CHECK(bit_equal(run(true, HeadNorm{.d = d, .eps = 1e-3}, false), run(true, {}, true)));
        const std::vector<float> bare = run(false, {}, false);
        Tensor<double, 2> expected({n, heads * d});
        ReferenceBackend backend;
        deltanet::conv1d(backend, Conv1dArgs<double>{.input = input.cview(),
                                                     .weight = weight.cview(),
                                                     .state = state.view(),
                                                     .output = expected.view(),
                                                     .sequences = {&sequence, 1},
                                                     .silu = false});
        check_elements(widened(bare), expected.values(), 8.0 * eps<float>(),
                       eps<float>() * width * (2.0 * width + 1.0));
    }
}
