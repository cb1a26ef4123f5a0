// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The passes around the delta rule: convolution, SiLU, L2 norm and gates of the input side, and
/// the gated RMSNorm of the output side. Floor: their inputs and outputs read and written once, at
/// the bandwidth of a copy over a working set of the same size.
#include "support/bandwidth.hpp"
#include "support/delta_data.hpp"
#include "support/plain.hpp"
#include "support/suite.hpp"

#include <memory>

namespace deltanet::bench {

namespace {

template <class T, int Rank>
View<T, Rank> view(const Buffer& buffer, const Shape<Rank>& shape) {
    return {buffer.data(), shape};
}

/// Buffers of the input side: a row is q, k, v, then z, then b and a, as a split projection leaves
/// it.
struct ConvData {
    ConvData(const HeadShape& s, index_t n)
        : key_dim(s.n_heads_k * s.d_k),
          value_dim(s.n_heads_v * s.d_v),
          channels(2 * key_dim + value_dim),
          width(channels + value_dim + 2 * s.n_heads_v),
          projected(n * width),
          weight(channels * 4),
          state(3 * channels, 0.0F),
          conv(n * conv_stride()),
          constants(2 * s.n_heads_v),
          decay_log(n * s.n_heads_v),
          beta(n * s.n_heads_v) {
        std::mt19937 random(1);
        fill_random(random, projected.data(), projected.size(), -2.0F, 2.0F);
        fill_random(random, weight.data(), weight.size(), -0.5F, 0.5F);
        fill_random(random, constants.data(), constants.size(), -1.0F, 1.0F);
        spans.push_back({0, n, 0, Start::resume});
    }

    /// As the layer lays its buffers out.
    [[nodiscard]] index_t conv_stride() const noexcept { return channels + 16; }

    index_t key_dim, value_dim, channels, width;
    Buffer projected, weight, state, conv, constants, decay_log, beta;
    std::vector<SequenceSpan> spans;
};

ConvGatesArgs<float> conv_args(const ConvData& data, const HeadShape& s, index_t n) {
    const auto columns = [&](index_t first, index_t heads, index_t d) {
        return View<const float, 3>(data.projected.data() + first, {n, heads, d},
                                    {data.width, d, 1});
    };
    const index_t gates_at = data.channels + data.value_dim;
    return {.q = columns(0, s.n_heads_k, s.d_k),
            .k = columns(data.key_dim, s.n_heads_k, s.d_k),
            .v = columns(2 * data.key_dim, s.n_heads_v, s.d_v),
            .weight = view<const float, 2>(data.weight, {data.channels, 4}),
            .state = view<float, 3>(data.state, {1, 3, data.channels}),
            .output = {data.conv.data(), {n, data.channels}, {data.conv_stride(), 1}},
            .sequences = data.spans,
            .norm = HeadNorm{.d = s.d_k},
            .gates = {.a = columns(gates_at, 1, s.n_heads_v),
                      .b = columns(gates_at + s.n_heads_v, 1, s.n_heads_v),
                      .A_log = view<const float, 1>(data.constants, {s.n_heads_v}),
                      .dt_bias = {data.constants.data() + s.n_heads_v, {s.n_heads_v}},
                      .decay_log = view<float, 2>(data.decay_log, {n, s.n_heads_v}),
                      .beta = view<float, 2>(data.beta, {n, s.n_heads_v})}};
}

/// Bytes in and out as if copied: a working set of `floats` in and as many out.
std::function<double()> copy_floor(index_t floats, ThreadPoolExecutor executor) {
    const index_t total = std::max(floats, index_t{1} << 20);
    const auto copy =
        std::make_shared<Bandwidth>(Bandwidth::Kind::copy, total / floats * floats, floats);
    return [=] {
        ThreadPoolExecutor same = executor;
        return 2.0 * sizeof(float) * static_cast<double>(floats) / copy->sample(same);
    };
}

CaseMaker conv_case(const HeadShape& s, index_t n, index_t threads) {
    const index_t channels = 2 * s.n_heads_k * s.d_k + s.n_heads_v * s.d_v;
    const std::string name = detail::concat("conv_f32_c", channels, "_T", n, "_n1_t", threads);
    return {name, [=] {
                const auto data = std::make_shared<ConvData>(s, n);
                const ThreadPoolExecutor executor = pool(threads);
                return Case{
                    .name = name,
                    .tokens = static_cast<double>(n),
                    .units = static_cast<double>(n * channels),
                    .run =
                        [=] {
                            CpuBackend<cpu::default_arch, ThreadPoolExecutor> backend(executor);
                            conv_gates(backend, conv_args(*data, s, n));
                        },
                    .floor = copy_floor(n * channels, executor),
                    .plain = [=] { plain::conv_gates(conv_args(*data, s, n)); }};
            }};
}

CaseMaker norm_case(const HeadShape& s, index_t n, index_t threads) {
    const index_t width = s.n_heads_v * s.d_v;
    const std::string name = detail::concat("rmsnorm_f32_c", width, "_T", n, "_n1_t", threads);
    return {name, [=] {
                struct Data {
                    Buffer input, z, weight, output;
                };
                const auto data = std::make_shared<Data>(
                    Data{Buffer(n * width), Buffer(n * width), Buffer(s.d_v), Buffer(n * width)});
                std::mt19937 random(1);
                fill_random(random, data->input.data(), n * width, -1.0F, 1.0F);
                fill_random(random, data->z.data(), n * width, -3.0F, 3.0F);
                const ThreadPoolExecutor executor = pool(threads);
                const auto args = [=] {
                    return GatedRmsNormArgs<float>{
                        .input = view<const float, 3>(data->input, {n, s.n_heads_v, s.d_v}),
                        .z = view<const float, 4>(data->z, {n, 1, s.n_heads_v, s.d_v}),
                        .weight = view<const float, 1>(data->weight, {s.d_v}),
                        .output = view<float, 3>(data->output, {n, s.n_heads_v, s.d_v})};
                };
                return Case{
                    .name = name,
                    .tokens = static_cast<double>(n),
                    .units = static_cast<double>(n * width),
                    .run =
                        [=] {
                            CpuBackend<cpu::default_arch, ThreadPoolExecutor> backend(executor);
                            gated_rmsnorm(backend, args());
                        },
                    // Two inputs and one output: half as much again as a copy of one.
                    .floor = [floor = copy_floor(n * width, executor)] { return 1.5 * floor(); },
                    .plain = [=] { plain::gated_rmsnorm(args()); }};
            }};
}

}  // namespace

Suite fused_suite() {
    const HeadShape qwen3_next{128, 128, 16, 32};
    Suite suite;
    for (const index_t n : {1, 64, 1024}) suite.push_back(conv_case(qwen3_next, n, 1));
    for (const index_t n : {1, 64, 1024}) suite.push_back(norm_case(qwen3_next, n, 1));
    return suite;
}

}  // namespace deltanet::bench
