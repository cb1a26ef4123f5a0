// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A random delta-rule problem in double for the tests of the oracle, and the recurrence written a
/// second time: with whole matrices, in long double, as  S_t = e^g (I - beta k k^T) S_{t-1} + beta
/// k v^T.
#pragma once

#include "support/random.hpp"
#include <deltanet/ops/delta_rule.hpp>
#include <deltanet/reference/backend.hpp>

#include <cmath>
#include <vector>

namespace deltanet::test {

struct DeltaSizes {
    index_t n_tokens = 1;
    index_t n_heads_k = 2;
    index_t r = 1;
    index_t d_k = 5;
    index_t d_v = 7;
    index_t n_slots = 2;
    bool per_channel = false;  ///< a decay for each key channel
};

struct ReferenceProblem {
    DeltaSizes sizes;
    std::vector<double> q, k, v, decay_log, beta, state, output;
    HeadMap head_map = HeadMap::grouped;
    double scale = 0.0;

    /// Unit keys and queries; decays from none to e^-3 per token; beta in (0, 1); a state that is
    /// not zero.
    explicit ReferenceProblem(const DeltaSizes& s, std::uint32_t seed = 5) : sizes(s) {
        Random random(seed);
        q = random.unit_rows<double>(s.n_tokens * s.n_heads_k, s.d_k);
        k = random.unit_rows<double>(s.n_tokens * s.n_heads_k, s.d_k);
        v = random.normals<double>(s.n_tokens * heads() * s.d_v);
        decay_log = random.uniforms<double>(s.n_tokens * heads() * channels(), -3.0, 0.0);
        for (double& g : decay_log) g = g < -1.5 ? g : 0.01 * g;
        beta = random.uniforms<double>(s.n_tokens * heads(), 0.0, 1.0);
        state = random.normals<double>(s.n_slots * heads() * s.d_k * s.d_v);
        output.assign(v.size(), -99.0);
    }

    [[nodiscard]] index_t heads() const { return sizes.n_heads_k * sizes.r; }
    [[nodiscard]] index_t channels() const { return sizes.per_channel ? sizes.d_k : 1; }
    [[nodiscard]] DeltaRuleArgs<double> args(std::span<const SequenceSpan> sequences,
                                             ScanMode mode) {
        const DeltaSizes& s = sizes;
        const View<double, 3> decays(decay_log.data(), {s.n_tokens, heads(), channels()});
        return {.q = View<double, 3>{q.data(), {s.n_tokens, s.n_heads_k, s.d_k}},
                .k = View<double, 3>{k.data(), {s.n_tokens, s.n_heads_k, s.d_k}},
                .v = View<double, 3>{v.data(), {s.n_tokens, heads(), s.d_v}},
                .decay_log = s.per_channel
                                 ? DecayView<double>(decays)
                                 : DecayView<double>(decay_log.data(), {s.n_tokens, heads()}),
                .beta = View<double, 2>{beta.data(), {s.n_tokens, heads()}},
                .state = {state.data(), {s.n_slots, heads(), s.d_k, s.d_v}},
                .output = {output.data(), {s.n_tokens, heads(), s.d_v}},
                .sequences = sequences,
                .head_map = head_map,
                .scale = scale,
                .mode = mode};
    }
    /// Through the checked op.
    void run(std::span<const SequenceSpan> sequences, ScanMode mode) {
        ReferenceBackend backend;
        delta_rule(backend, args(sequences, mode), {});
    }
};

using LongMatrix = std::vector<std::vector<long double>>;

/// What `run` must make of output and state: straight from the matrix form, with nothing of the
/// library but the order of elements in memory.
inline void run_matrix_form(ReferenceProblem& p, const std::vector<SequenceSpan>& sequences) {
    const index_t H = p.heads(), d_k = p.sizes.d_k, d_v = p.sizes.d_v;
    const auto at = [](index_t i) { return static_cast<std::size_t>(i); };
    const auto n = [&](index_t size) { return static_cast<std::size_t>(size); };
    const long double scale = p.scale != 0.0 ? static_cast<long double>(p.scale)
                                             : 1.0L / std::sqrt(static_cast<long double>(d_k));
    for (const SequenceSpan& sequence : sequences) {
        for (index_t h = 0; h < H; ++h) {
            const index_t h_k =
                p.head_map == HeadMap::grouped ? h / p.sizes.r : h % p.sizes.n_heads_k;
            double* const memory = p.state.data() + (sequence.slot * H + h) * d_k * d_v;
            LongMatrix S(n(d_k), std::vector<long double>(n(d_v), 0.0L));
            for (index_t i = 0; i < d_k && sequence.start == Start::resume; ++i) {
                for (index_t j = 0; j < d_v; ++j)
                    S[at(i)][at(j)] = static_cast<long double>(memory[i * d_v + j]);
            }
            for (index_t t = sequence.first_token; t < sequence.first_token + sequence.n_tokens;
                 ++t) {
                const auto key = [&](index_t i) {
                    return static_cast<long double>(
                        p.k[at((t * p.sizes.n_heads_k + h_k) * d_k + i)]);
                };
                const auto query = [&](index_t i) {
                    return static_cast<long double>(
                        p.q[at((t * p.sizes.n_heads_k + h_k) * d_k + i)]);
                };
                const auto value = [&](index_t j) {
                    return static_cast<long double>(p.v[at((t * H + h) * d_v + j)]);
                };
                const long double beta = static_cast<long double>(p.beta[at(t * H + h)]);
                const auto decay = [&](index_t i) {
                    const index_t channel = p.sizes.per_channel ? i : 0;
                    return std::exp(static_cast<long double>(
                        p.decay_log[at((t * H + h) * p.channels() + channel)]));
                };
                LongMatrix next(n(d_k), std::vector<long double>(n(d_v), 0.0L));
                for (index_t i = 0; i < d_k; ++i) {
                    for (index_t j = 0; j < d_v; ++j) {
                        long double sum = 0.0L;
                        for (index_t m = 0; m < d_k; ++m) {
                            const long double transition =
                                (i == m ? 1.0L : 0.0L) - beta * key(i) * key(m);
                            sum += transition * decay(m) * S[at(m)][at(j)];
                        }
                        next[at(i)][at(j)] = sum + beta * key(i) * value(j);
                    }
                }
                S = next;
                for (index_t j = 0; j < d_v; ++j) {
                    long double o = 0.0L;
                    for (index_t i = 0; i < d_k; ++i) o += S[at(i)][at(j)] * query(i);
                    p.output[at((t * H + h) * d_v + j)] = static_cast<double>(scale * o);
                }
            }
            for (index_t i = 0; i < d_k; ++i) {
                for (index_t j = 0; j < d_v; ++j)
                    memory[i * d_v + j] = static_cast<double>(S[at(i)][at(j)]);
            }
        }
    }
}

}  // namespace deltanet::test
