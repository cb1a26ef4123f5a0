// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What int8 states hold behind a call: each element within half a step of what the oracle has in
/// double, and columns that are not finite, very small or very large.
#include "cuda/random_tensors.hpp"
#include "cuda/state_memory.hpp"
#include <deltanet/cuda/ops.hpp>
#include <deltanet/reference/backend.hpp>

#include <limits>

using namespace deltanet;
using namespace deltanet::test;

namespace {

// Half a step, and what float32 adds: values are up to 127 steps of 15 long, in rounded products,
// one of them of a quotient that is good to 2 ulp.
constexpr double kHalfStep = 0.5 / 15 + 127 * 6 * 0x1p-24;

/// A call with one value head for one sequence in slot 0 of 1.
struct OneHead {
    index_t n, d_k, d_v;
    Tensor<float, 3> q, k, v;
    Tensor<float, 2> decay_log, beta;
    std::vector<i8> state;

    OneHead(index_t n_tokens, index_t keys, index_t values, std::mt19937& generator)
        : n(n_tokens),
          d_k(keys),
          d_v(values),
          q({n, 1, d_k}),
          k({n, 1, d_k}),
          v({n, 1, d_v}),
          decay_log({n, 1}),
          beta({n, 1}),
          state(random_states<i8>(shape(), generator)) {
        q.random(generator, -1.0, 1.0).normalise();
        k.random(generator, -1.0, 1.0).normalise();
        v.random(generator, -1.0, 1.0);
        decay_log.random(generator, -0.5, 0.0);
        beta.random(generator, 0.05, 0.95);
    }
    [[nodiscard]] Shape<4> shape() const { return {1, 1, d_k, d_v}; }

    /// The state afterwards, in its memory.
    [[nodiscard]] std::vector<i8> run(const SequenceSpan& sequence, ScanMode mode) {
        return for_each_schedule([&] {
            DeviceTensor<float, 3> q_d({n, 1, d_k}, q.values()), k_d({n, 1, d_k}, k.values());
            DeviceTensor<float, 3> v_d({n, 1, d_v}, v.values()), output({n, 1, d_v});
            DeviceTensor<float, 2> decay({n, 1}, decay_log.values()), b({n, 1}, beta.values());
            DeviceStates<i8> states(shape(), state);
            const DeltaRuleArgs<float> args{.q = q_d.cview(),
                                            .k = k_d.cview(),
                                            .v = v_d.cview(),
                                            .decay_log = decay.cview(),
                                            .beta = b.cview(),
                                            .state = states.view(),
                                            .output = output.view(),
                                            .sequences = {&sequence, 1},
                                            .mode = mode};
            const index_t bytes = cuda::delta_rule_scratch_bytes(args);
            DeviceTensor<std::byte, 1> scratch({bytes});
            cuda::delta_rule(args, {scratch.data(), static_cast<std::size_t>(bytes)}, nullptr);
            return states.download();
        });
    }
    [[nodiscard]] StateColumns<i8> columns(std::vector<i8>& memory) const {
        return columns_at(memory.data(), d_v, {d_k, d_v});
    }
};

/// One token that writes v as it is into row 0 of a state of zeros.
OneHead writes_values(index_t d_k, index_t d_v, std::mt19937& generator) {
    OneHead call(1, d_k, d_v, generator);
    call.k.fill(0.0F);
    call.k.view()(0, 0, 0) = 1.0F;
    call.beta.fill(1.0F);
    return call;
}

}  // namespace

TEST_CASE("delta_rule int8: every element is within half a step of the oracle's") {
    std::mt19937 generator(271);
    ReferenceBackend reference;
    for (const index_t n_tokens : {1, 5}) {
        for (const index_t d_k : {1, 16, 19, 64, 130}) {
            for (const index_t d_v : {1, 5, 24, 72}) {
                for (const Start start : {Start::resume, Start::fresh}) {
                    OneHead call(n_tokens, d_k, d_v, generator);
                    const SequenceSpan sequence{0, n_tokens, 0, start};
                    std::vector<double> expected = state_values(call.state, call.shape());
                    std::vector<double> output(static_cast<std::size_t>(n_tokens * d_v));
                    const auto wide = []<int Rank>(Tensor<float, Rank>& from) {
                        Tensor<double, Rank> to(from.view().shape());
                        to.copy_from(from);
                        return to;
                    };
                    auto q = wide(call.q), k = wide(call.k), v = wide(call.v);
                    auto decay_log = wide(call.decay_log), beta = wide(call.beta);
                    delta_rule(reference,
                               DeltaRuleArgs<double>{.q = q.cview(),
                                                     .k = k.cview(),
                                                     .v = v.cview(),
                                                     .decay_log = decay_log.cview(),
                                                     .beta = beta.cview(),
                                                     .state = {expected.data(), call.shape()},
                                                     .output = {output.data(), {n_tokens, 1, d_v}},
                                                     .sequences = {&sequence, 1},
                                                     .mode = ScanMode::recurrent},
                               {});
                    std::vector<i8> memory = call.run(sequence, ScanMode::recurrent);
                    const StateColumns<i8> columns = call.columns(memory);
                    CAPTURE(n_tokens, d_k, d_v, static_cast<int>(start));
                    for (index_t j = 0; j < d_v; ++j) {
                        double largest = 0.0;
                        for (index_t i = 0; i < d_k; ++i) {
                            const double e = expected[static_cast<std::size_t>(i * d_v + j)];
                            largest = std::max(largest, std::abs(e));
                            const double limit =
                                kHalfStep * static_cast<double>(columns.scale[j]) + 1e-6;
                            REQUIRE(std::abs(detail::element_of(columns, i, j) - e) <= limit);
                        }
                        REQUIRE(std::abs(static_cast<double>(columns.scale[j]) - largest / 127) <=
                                1e-6 / 127);
                    }
                    // Behind the last row of an odd number nothing is left of other elements.
                    for (index_t j = 0; d_k % 2 == 1 && j < d_v; ++j)
                        REQUIRE(columns.residual_row(d_k - 1)[j] < 16);
                }
            }
        }
    }
}

TEST_CASE("delta_rule int8: a column that is not finite is NaN, and no other") {
    std::mt19937 generator(272);
    constexpr float inf = std::numeric_limits<float>::infinity();
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN()}) {
            OneHead call = writes_values(64, 32, generator);
            call.k.fill(0.125F);  // every row gets it, so an infinity leaves no NaN by itself
            call.v.view()(0, 0, 5) = bad;
            std::vector<i8> memory = call.run({0, 1, 0}, mode);
            const StateColumns<i8> columns = call.columns(memory);
            CAPTURE(static_cast<int>(mode), bad);
            for (index_t j = 0; j < call.d_v; ++j) {
                for (index_t i = 0; i < call.d_k; ++i)
                    REQUIRE(std::isnan(detail::element_of(columns, i, j)) == (j == 5));
            }
        }
    }
}

TEST_CASE("delta_rule int8: columns of every size that a float has") {
    std::mt19937 generator(273);
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
        OneHead call = writes_values(64, 32, generator);
        const auto size_of_column = [](index_t j) {
            return std::ldexp(1.5F, 8 * (static_cast<int>(j) - 16));
        };
        for (index_t j = 0; j < call.d_v; ++j) call.v.view()(0, 0, j) = size_of_column(j);
        std::vector<i8> memory = call.run({0, 1, 0, Start::fresh}, mode);
        const StateColumns<i8> columns = call.columns(memory);
        for (index_t j = 0; j < call.d_v; ++j) {
            const auto size = static_cast<double>(size_of_column(j));
            const bool is_zero = size < 0x1p-100;
            CAPTURE(static_cast<int>(mode), size);
            REQUIRE(columns.row(0)[j].value == (is_zero ? 0 : 127));
            REQUIRE((columns.scale[j] == 0.0F) == is_zero);
            // Three roundings to float, none of them to more than 2^-23.
            if (!is_zero)
                REQUIRE(std::abs(detail::element_of(columns, 0, j) - size) <= 0x1p-21 * size);
            for (index_t i = 1; i < call.d_k; ++i)
                REQUIRE(detail::element_of(columns, i, j) == 0.0);
        }
    }
}
