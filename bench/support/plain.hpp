// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What is measured beside the library: the same operations as one writes them down first, token by
/// token in plain loops that the compiler vectorises. Not an oracle; that is ReferenceBackend.
#pragma once

#include <deltanet/ops/conv_gates.hpp>
#include <deltanet/ops/delta_rule.hpp>
#include <deltanet/ops/gated_rmsnorm.hpp>

#include <cmath>
#include <vector>

namespace deltanet::bench::plain {

/// Grouped heads, resumed sequences, states in float.
inline void delta_rule(const DeltaRuleArgs<float>& args) {
    const index_t d_k = args.k.size(2), d_v = args.v.size(2);
    const index_t r = args.v.size(1) / args.k.size(1);
    const float scale = 1.0F / std::sqrt(static_cast<float>(d_k));
    std::vector<float> u(static_cast<std::size_t>(d_v)), decays(static_cast<std::size_t>(d_k));
    args.state.visit([&]<class S>(const View<S, 4>& states) {
        if constexpr (std::is_same_v<S, float>) {
            for (const SequenceSpan& sequence : args.sequences) {
                for (index_t h = 0; h < args.v.size(1); ++h) {
                    float* const s = states.ptr(sequence.slot, h);
                    for (index_t t = sequence.first_token;
                         t < sequence.first_token + sequence.n_tokens; ++t) {
                        const float* const k = args.k.ptr(t, h / r);
                        const float* const q = args.q.ptr(t, h / r);
                        const float* const v = args.v.ptr(t, h);
                        float* const o = args.output.ptr(t, h);
                        float* const decay = decays.data();
                        decay[0] = std::exp(args.decay_log(t, h, 0));
                        for (index_t i = 1; i < d_k; ++i) {
                            decay[i] = args.decay_log.per_channel()
                                           ? std::exp(args.decay_log(t, h, i))
                                           : decay[0];
                        }
                        const float beta = args.beta(t, h);
                        float* const w = u.data();
                        for (index_t j = 0; j < d_v; ++j) w[j] = o[j] = 0.0F;
                        for (index_t i = 0; i < d_k; ++i) {
                            const float read = decay[i] * k[i];
                            for (index_t j = 0; j < d_v; ++j) w[j] += read * s[i * d_v + j];
                        }
                        for (index_t j = 0; j < d_v; ++j) w[j] = beta * (v[j] - w[j]);
                        for (index_t i = 0; i < d_k; ++i) {
                            for (index_t j = 0; j < d_v; ++j) {
                                s[i * d_v + j] = decay[i] * s[i * d_v + j] + k[i] * w[j];
                                o[j] += scale * q[i] * s[i * d_v + j];
                            }
                        }
                    }
                }
            }
        }
    });
}

inline float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

/// One sequence from token 0 in slot 0, without a bias; the state is not moved on.
inline void conv_gates(const ConvGatesArgs<float>& args) {
    for (const Conv1dArgs<float>& part : args.convolutions()) {
        const index_t width = part.weight.size(1), d = part.input.size(2);
        for (index_t t = 0; t < part.input.size(0); ++t) {
            for (index_t g = 0; g < part.input.size(1); ++g) {
                float sum = 0.0F;
                float* const y = part.output.ptr(t, g * d);
                for (index_t c = 0; c < d; ++c) {
                    float x = 0.0F;
                    for (index_t i = 0; i < width; ++i) {
                        const index_t from = t + i - (width - 1);
                        x += part.weight(g * d + c, i) *
                             (from < 0 ? part.state(0, from + width - 1, g * d + c)
                                       : part.input(from, g, c));
                    }
                    y[c] = x * sigmoid(x);
                    sum += y[c] * y[c];
                }
                if (!part.norm) continue;
                const float factor = 1.0F / std::sqrt(sum + static_cast<float>(part.norm->eps));
                for (index_t c = 0; c < d; ++c) y[c] *= factor;
            }
        }
    }
    const GatesArgs<float>& gates = args.gates;
    for (index_t t = 0; t < gates.beta.size(0); ++t) {
        for (index_t h = 0; h < gates.beta.size(1); ++h) {
            const index_t g = h / gates.a.size(2), j = h % gates.a.size(2);
            const float x = gates.a(t, g, j) + gates.dt_bias(h);
            gates.decay_log(t, h) = -std::exp(gates.A_log(h)) * std::log1p(std::exp(x));
            gates.beta(t, h) = sigmoid(gates.b(t, g, j));
        }
    }
}

/// z in one group of heads.
inline void gated_rmsnorm(const GatedRmsNormArgs<float>& args) {
    const index_t d = args.input.size(2);
    for (index_t t = 0; t < args.input.size(0); ++t) {
        for (index_t h = 0; h < args.input.size(1); ++h) {
            const float* const x = args.input.ptr(t, h);
            const float* const z = args.z.ptr(t, index_t{0}, h);
            float* const y = args.output.ptr(t, h);
            float sum = 0.0F;
            for (index_t i = 0; i < d; ++i) sum += x[i] * x[i];
            const float factor = 1.0F / std::sqrt(sum / static_cast<float>(d) + 1e-6F);
            for (index_t i = 0; i < d; ++i)
                y[i] = x[i] * factor * args.weight(i) * z[i] * sigmoid(z[i]);
        }
    }
}

}  // namespace deltanet::bench::plain
