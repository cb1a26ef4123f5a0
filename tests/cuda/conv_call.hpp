// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// One call of the convolution with its gates: inputs of the layer's shapes, for the oracle as
/// doubles and on the device as floats of the same value.
#pragma once

#include "cuda/device.hpp"
#include "cuda/random_tensors.hpp"
#include <deltanet/cuda/ops.hpp>
#include <deltanet/reference/backend.hpp>

namespace deltanet::test {

struct ConvSizes {
    index_t n_tokens;
    index_t n_heads_k, d_k;
    index_t n_heads_v, d_v;
    index_t width;
    index_t n_slots = 1;
    index_t rollback = 0;
    bool bias = false;
    std::optional<HeadNorm> norm{};
    index_t padding = 0, misalign = 0;  ///< of the device's tensors
    bool tap_major = false;             ///< weights lie as [W, C] there

    [[nodiscard]] index_t channels() const { return 2 * n_heads_k * d_k + n_heads_v * d_v; }
    [[nodiscard]] index_t per_group() const { return n_heads_v / n_heads_k; }
};

/// The tensors of a call, of `Tensors<T, Rank>`: made from shapes, and each with view() and
/// cview().
template <class T, template <class, int> class Tensors>
struct ConvTensors {
    template <class Make>
    ConvTensors(const ConvSizes& s, const Make& make)
        : q(make(Shape<3>{s.n_tokens, s.n_heads_k, s.d_k})),
          k(make(Shape<3>{s.n_tokens, s.n_heads_k, s.d_k})),
          v(make(Shape<3>{s.n_tokens, s.n_heads_k, s.per_group() * s.d_v})),
          weight(make(s.tap_major ? Shape<2>{s.width, s.channels()}
                                  : Shape<2>{s.channels(), s.width})),
          bias(make(Shape<1>{s.channels()})),
          state(make(Shape<3>{s.n_slots, s.width - 1 + s.rollback, s.channels()})),
          output(make(Shape<2>{s.n_tokens, s.channels()})),
          a(make(Shape<3>{s.n_tokens, s.n_heads_k, s.per_group()})),
          b(make(Shape<3>{s.n_tokens, s.n_heads_k, s.per_group()})),
          A_log(make(Shape<1>{s.n_heads_v})),
          dt_bias(make(Shape<1>{s.n_heads_v})),
          decay_log(make(Shape<2>{s.n_tokens, s.n_heads_v})),
          beta(make(Shape<2>{s.n_tokens, s.n_heads_v})) {}

    [[nodiscard]] ConvGatesArgs<T> args(const ConvSizes& s,
                                        std::span<const SequenceSpan> sequences) {
        View<const T, 2> w = weight.cview();
        if (s.tap_major) w = {w.data(), {w.size(1), w.size(0)}, {w.stride(1), w.stride(0)}};
        return {.q = q.cview(),
                .k = k.cview(),
                .v = v.cview(),
                .weight = w,
                .bias = s.bias ? bias.cview() : View<const T, 1>{},
                .state = state.view(),
                .output = output.view(),
                .sequences = sequences,
                .norm = s.norm,
                .gates = {.a = a.cview(),
                          .b = b.cview(),
                          .A_log = A_log.cview(),
                          .dt_bias = dt_bias.cview(),
                          .decay_log = decay_log.view(),
                          .beta = beta.view(),
                          .beta_doubled = s.bias},
                .rollback = s.rollback};
    }

    /// f(tensor here, the same one of other) for what a call reads, or leaves as it is where it
    /// writes nothing.
    template <class Other, class F>
    void for_each_input(Other& other, const F& f) {
        f(q, other.q);
        f(k, other.k);
        f(v, other.v);
        f(weight, other.weight);
        f(bias, other.bias);
        f(state, other.state);
        f(output, other.output);
        f(a, other.a);
        f(b, other.b);
        f(A_log, other.A_log);
        f(dt_bias, other.dt_bias);
    }

    Tensors<T, 3> q, k, v;
    Tensors<T, 2> weight;
    Tensors<T, 1> bias;
    Tensors<T, 3> state;
    Tensors<T, 2> output;
    Tensors<T, 3> a, b;
    Tensors<T, 1> A_log, dt_bias;
    Tensors<T, 2> decay_log, beta;
};

/// Output, state, log decays and betas.
using ConvResults =
    std::tuple<std::vector<float>, std::vector<float>, std::vector<float>, std::vector<float>>;

class ConvCall {
  public:
    ConvCall(const ConvSizes& sizes, std::uint32_t seed)
        : host(sizes, [](const auto& shape) { return host_tensor(shape); }), sizes_(sizes) {
        std::mt19937 generator(seed);
        const auto fill = [&](auto& tensor, double low, double high) {
            tensor.random(generator, low, high);
            tensor.for_each([](double& x) { x = static_cast<double>(static_cast<float>(x)); });
        };
        for (auto* tensor : {&host.q, &host.k, &host.v, &host.state}) fill(*tensor, -2.0, 2.0);
        fill(host.weight, -1.0, 1.0);
        fill(host.bias, -1.0, 1.0);
        fill(host.a, -6.0, 6.0);
        fill(host.b, -6.0, 6.0);
        fill(host.A_log, -3.0, 3.0);
        fill(host.dt_bias, -2.0, 2.0);
        host.output.fill(7.0);  // rows that no sequence names stay
    }

    /// By the device, from the host's state, which stays as it is.
    [[nodiscard]] ConvResults run(std::span<const SequenceSpan> sequences) {
        return for_each_schedule([&] {
            ConvTensors<float, DeviceTensor> device(sizes_, [&](const auto& shape) {
                return device_tensor(shape, sizes_.padding, sizes_.misalign);
            });
            device.for_each_input(host, [](auto& to, auto& from) { to.upload(narrowed(from)); });
            cuda::conv_gates(device.args(sizes_, sequences), nullptr);
            return ConvResults{device.output.download(), device.state.download(),
                               device.decay_log.download(), device.beta.download()};
        });
    }

    /// By the oracle; the host's state goes on.
    void run_oracle(std::span<const SequenceSpan> sequences) {
        ReferenceBackend backend;
        deltanet::conv_gates(backend, host.args(sizes_, sequences));
    }

    ConvTensors<double, Tensor> host;

  private:
    template <std::size_t N>
    [[nodiscard]] static auto host_tensor(const std::array<index_t, N>& shape) {
        return Tensor<double, static_cast<int>(N)>(shape);
    }
    template <std::size_t N>
    [[nodiscard]] static auto device_tensor(const std::array<index_t, N>& shape, index_t padding,
                                            index_t misalign) {
        return DeviceTensor<float, static_cast<int>(N)>(shape, padding, misalign);
    }

    ConvSizes sizes_;
};

}  // namespace deltanet::test
