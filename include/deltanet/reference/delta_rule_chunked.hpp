// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Oracle of the delta rule in chunks of C tokens. With G the inclusive running sum of decay_log
/// inside the chunk and S the state before it, the corrections u_i solve a unit lower-triangular
/// system:
///   u_i + sum_{j<i} A_ij u_j = beta_i (v_i - S^T (e^{G_i} k_i)),   A_ij = beta_i k_i.(e^{G_i-G_j}
///   k_j)
///   o_i  = scale ( S^T (e^{G_i} q_i) + sum_{j<=i} q_i.(e^{G_i-G_j} k_j) u_j )
///   S'   = e^{G_C} S + sum_i (e^{G_C-G_i} k_i) u_i^T
/// where e^G is a number or, with a decay per key channel, a vector of d_k. (Gated DeltaNet, arXiv
/// 2412.06464, section 3.3, solved for u itself.) Every exponent is a sum of decays over a stretch
/// of tokens, hence never positive.
#pragma once

#include <deltanet/reference/delta_rule.hpp>

#include <algorithm>
#include <cmath>

namespace deltanet::reference {

template <class T>
void delta_rule_chunked(const DeltaRuleArgs<T>& args, index_t chunk = 64) {
    for_each_written_head(args, [chunk](const HeadTask<T>& head) {
        const auto at = [&](index_t i, index_t j) {
            return static_cast<std::size_t>(i * head.d_v + j);
        };
        std::vector<double> state = head.load_state();
        std::vector<double> u(static_cast<std::size_t>(chunk * head.d_v));
        for (index_t t0 = 0; t0 < head.sequence.n_tokens; t0 += chunk) {
            const index_t c = std::min(chunk, head.sequence.n_tokens - t0);
            // e^{G_i - G_j} of channel d: the decay of tokens j+1 .. i; j = -1 is before the chunk
            const auto decay = [&](index_t i, index_t j, index_t d) {
                double sum = 0.0;
                for (index_t t = j + 1; t <= i; ++t) sum += head.decay_log(t0 + t, d);
                return std::exp(sum);
            };
            // x . (e^{G_i - G_j} y)
            const auto dot = [&](index_t i, index_t j, auto&& x, auto&& y) {
                double sum = 0.0;
                for (index_t d = 0; d < head.d_k; ++d) sum += x(d) * (decay(i, j, d) * y(d));
                return sum;
            };
            const auto k_row = [&](index_t i) {
                return [&head, t = t0 + i](index_t d) { return head.k(t, d); };
            };
            const auto q_row = [&](index_t i) {
                return [&head, t = t0 + i](index_t d) { return head.q(t, d); };
            };
            const auto column = [&](index_t j) {
                return [&state, &at, j](index_t d) { return state[at(d, j)]; };
            };

            for (index_t i = 0; i < c; ++i) {
                const double beta = head.beta(t0 + i);
                for (index_t j = 0; j < head.d_v; ++j)
                    u[at(i, j)] = beta * (head.v(t0 + i, j) - dot(i, -1, k_row(i), column(j)));
                for (index_t p = 0; p < i; ++p) {
                    const double a = beta * dot(i, p, k_row(i), k_row(p));
                    for (index_t j = 0; j < head.d_v; ++j) u[at(i, j)] -= a * u[at(p, j)];
                }
            }
            for (index_t i = 0; i < c; ++i) {
                std::vector<double> o(static_cast<std::size_t>(head.d_v));
                for (index_t j = 0; j < head.d_v; ++j)
                    o[at(0, j)] = dot(i, -1, q_row(i), column(j));
                for (index_t p = 0; p <= i; ++p) {
                    const double weight = dot(i, p, q_row(i), k_row(p));
                    for (index_t j = 0; j < head.d_v; ++j) o[at(0, j)] += weight * u[at(p, j)];
                }
                for (index_t j = 0; j < head.d_v; ++j) {
                    head.output(t0 + i, j) = static_cast<T>(head.scale * o[at(0, j)]);
                }
            }
            for (index_t d = 0; d < head.d_k; ++d) {
                const double whole = decay(c - 1, -1, d);
                for (index_t j = 0; j < head.d_v; ++j) state[at(d, j)] *= whole;
                for (index_t i = 0; i < c; ++i) {
                    const double k = decay(c - 1, i, d) * head.k(t0 + i, d);
                    for (index_t j = 0; j < head.d_v; ++j) state[at(d, j)] += k * u[at(i, j)];
                }
            }
        }
        head.store_state(state);
    });
}

}  // namespace deltanet::reference
