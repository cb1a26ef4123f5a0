// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Calls of the chunked delta rule on the device, and what the oracle in double makes of the same
/// numbers.
#pragma once

#include "cuda/state_memory.hpp"
#include "kernels_cuda/chunked_delta_rule.hpp"
#include "support/compare.hpp"
#include <deltanet/reference/backend.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace deltanet::test {

struct ChunkSizes {
    index_t n_tokens;
    index_t n_heads_k = 1;
    index_t heads_per_group = 1;
    index_t d_k = 64;
    index_t d_v = 64;
    index_t n_slots = 1;
    HeadMap head_map = HeadMap::grouped;
    index_t padding = 0;  ///< of strides, a multiple of 4

    [[nodiscard]] index_t n_heads_v() const { return n_heads_k * heads_per_group; }
};

/// Inputs of a call and the states before it. S: what states are stored as.
template <class S = float>
struct ChunkProblem {
    ChunkProblem(const ChunkSizes& s, unsigned seed) : sizes(s), generator(seed) {
        q = unit_rows(s.n_tokens * s.n_heads_k, s.d_k);
        k = unit_rows(s.n_tokens * s.n_heads_k, s.d_k);
        v = uniform(s.n_tokens * s.n_heads_v() * s.d_v, -1, 1);
        decay_log = uniform(s.n_tokens * s.n_heads_v(), -2, 0);
        for (float& g : decay_log) g = generator() % 3 == 0 ? g : g * 0.02F;
        beta = uniform(s.n_tokens * s.n_heads_v(), 0.05, 0.95);
        state = random_states<S>(state_shape(), generator);
    }

    [[nodiscard]] std::vector<float> uniform(index_t n, double low, double high) {
        std::vector<float> values(static_cast<std::size_t>(n));
        for (float& x : values) {
            const double unit = static_cast<double>(generator()) / 4294967296.0;
            x = static_cast<float>(low + (high - low) * unit);
        }
        return values;
    }
    [[nodiscard]] std::vector<float> unit_rows(index_t n, index_t d) {
        std::vector<float> values = uniform(n * d, -1, 1);
        for (auto row = values.begin(); row != values.end(); row += d) {
            double sum = 0.0;
            for (auto x = row; x != row + d; ++x)
                sum += static_cast<double>(*x) * static_cast<double>(*x);
            for (auto x = row; x != row + d; ++x)
                *x = static_cast<float>(static_cast<double>(*x) / std::sqrt(sum));
        }
        return values;
    }

    [[nodiscard]] Shape<4> state_shape() const {
        return {sizes.n_slots, sizes.n_heads_v(), sizes.d_k, sizes.d_v};
    }

    ChunkSizes sizes;
    std::mt19937 generator;
    std::vector<float> q, k, v, decay_log, beta;
    std::vector<S> state;  ///< as state_memory.hpp has them
    std::vector<SequenceSpan> sequences;
    double scale = 0.0;
};

/// Outputs [n_tokens, H_v, d_v] and states, as numbers [n_slots, H_v, d_k, d_v] or in their memory.
template <class T, class S = T>
using ChunkResult = std::pair<std::vector<T>, std::vector<S>>;

/// A number that stands for an output that nobody writes.
inline constexpr float kUntouched = -77.0F;

/// The call on the device, with so many bytes of scratch, or as many as it asks for.
template <class S>
ChunkResult<float, S> run_chunked(const ChunkProblem<S>& problem,
                                  std::optional<index_t> scratch_bytes = {}) {
    const ChunkSizes& s = problem.sizes;
    const Shape<3> keys{s.n_tokens, s.n_heads_k, s.d_k};
    const Shape<3> values{s.n_tokens, s.n_heads_v(), s.d_v};
    DeviceTensor<float, 3> q(keys, problem.q, s.padding);
    DeviceTensor<float, 3> k(keys, problem.k, s.padding);
    DeviceTensor<float, 3> v(values, problem.v, s.padding);
    DeviceTensor<float, 2> decay_log({s.n_tokens, s.n_heads_v()}, problem.decay_log, s.padding);
    DeviceTensor<float, 2> beta({s.n_tokens, s.n_heads_v()}, problem.beta, s.padding);
    DeviceStates<S> state(problem.state_shape(), problem.state, s.padding);
    const std::vector<float> untouched(problem.v.size(), kUntouched);
    DeviceTensor<float, 3> output(values, untouched, s.padding);
    DeltaRuleArgs<float> args{.q = q.cview(),
                              .k = k.cview(),
                              .v = v.cview(),
                              .decay_log = decay_log.cview(),
                              .beta = beta.cview(),
                              .state = state.view(),
                              .output = output.view(),
                              .sequences = {},
                              .head_map = s.head_map,
                              .scale = problem.scale};
    REQUIRE(cuda::chunked_delta_rule_fits(args));
    const index_t bytes =
        scratch_bytes.value_or(cuda::chunked_scratch_bytes(args, problem.sequences));
    DeviceTensor<std::byte, 1> scratch({bytes});
    cuda::chunked_delta_rule(args, problem.sequences,
                             {scratch.data(), static_cast<std::size_t>(bytes)}, nullptr);
    return {output.download(), state.download()};
}

/// The same by the oracle, in double. What nobody writes is `kUntouched` here too.
template <class S>
ChunkResult<double> run_oracle(const ChunkProblem<S>& problem) {
    const ChunkSizes& s = problem.sizes;
    const auto doubles = [](const auto& values) {
        std::vector<double> result;
        for (const float x : values) result.push_back(static_cast<double>(x));
        return result;
    };
    const auto q = doubles(problem.q), k = doubles(problem.k), v = doubles(problem.v);
    const auto decay_log = doubles(problem.decay_log), beta = doubles(problem.beta);
    std::vector<S> stored = problem.state;
    std::vector<double> state = state_values(stored, problem.state_shape());
    std::vector<double> output(v.size(), static_cast<double>(kUntouched));
    std::vector<SequenceSpan> sequences;
    for (const SequenceSpan& sequence : problem.sequences) {
        if (!is_padding(sequence)) sequences.push_back(sequence);
    }
    const Shape<3> keys{s.n_tokens, s.n_heads_k, s.d_k};
    const Shape<3> values{s.n_tokens, s.n_heads_v(), s.d_v};
    const DeltaRuleArgs<double> args{
        .q = {q.data(), keys},
        .k = {k.data(), keys},
        .v = {v.data(), values},
        .decay_log = {decay_log.data(), {s.n_tokens, s.n_heads_v()}},
        .beta = {beta.data(), {s.n_tokens, s.n_heads_v()}},
        .state = {state.data(), {s.n_slots, s.n_heads_v(), s.d_k, s.d_v}},
        .output = {output.data(), values},
        .sequences = sequences,
        .head_map = s.head_map,
        .scale = problem.scale,
        .mode = ScanMode::recurrent};
    ReferenceBackend backend;
    delta_rule(backend, args, {});
    return {output, state};
}

/// A result comes from at most 8 operands that were rounded to bfloat16 once: q, the state as it is
/// read and the k and u it was summed from, P and u, and the k and the state that u came from. Each
/// is off by up to 2^-8 of itself, so by 2^-8 / sqrt(3) or less in the root mean square. Errors of
/// different terms are independent, so relative to the result they do not grow with the number of
/// terms. Inverse and gates add less than 2^-13.
inline const double kChunkBound = std::sqrt(8.0 / 3) * 0x1p-8;

/// How far rows of `width` elements are from what is expected, relative to it.
class RowErrors {
  public:
    template <class A>
    void add(const A* actual, const double* expected, index_t width) {
        double error = 0.0;
        double size = 0.0;
        for (index_t i = 0; i < width; ++i) {
            const double difference = static_cast<double>(actual[i]) - expected[i];
            error += difference * difference;
            size += expected[i] * expected[i];
        }
        rows_.emplace_back(error, size);
        error_ += error;
        size_ += size;
    }
    /// rms(actual - expected) / rms(expected).
    [[nodiscard]] double relative() const {
        return error_ == 0.0 ? 0.0 : std::sqrt(error_ / size_);
    }
    /// Of the worst row, relative to its own size or to that of the root mean square row, whichever
    /// is larger.
    [[nodiscard]] double worst() const {
        double worst = 0.0;
        for (const auto& [error, size] : rows_) {
            const double scale = std::max(size, size_ / static_cast<double>(rows_.size()));
            const double ratio = error == 0.0 ? 0.0 : std::sqrt(error / scale);
            if (!(ratio <= worst)) worst = ratio;
        }
        return worst;
    }

  private:
    double error_ = 0.0;
    double size_ = 0.0;
    std::vector<std::pair<double, double>> rows_;  ///< squares of error and size
};

/// Outputs and states within the bound: as a whole, and every row within twice it, since the sum
/// over the elements of one row varies. Nothing else was written.
template <class S>
void check_chunked(const ChunkProblem<S>& problem, const ChunkResult<float, S>& actual,
                   const ChunkResult<double>& expected) {
    const ChunkSizes& s = problem.sizes;
    const auto bits = [](auto a, auto b) { return std::memcmp(&a, &b, sizeof(a)) == 0; };
    RowErrors outputs;
    for (std::size_t i = 0; i < actual.first.size(); i += static_cast<std::size_t>(s.d_v)) {
        if (expected.first[i] != static_cast<double>(kUntouched)) {
            outputs.add(&actual.first[i], &expected.first[i], s.d_v);
            continue;
        }
        for (std::size_t j = i; j < i + static_cast<std::size_t>(s.d_v); ++j)
            REQUIRE(bits(actual.first[j], kUntouched));
    }
    RowErrors states;
    std::vector<S> memory = actual.second;
    const std::vector<double> values = state_values(memory, problem.state_shape());
    const index_t slot_rows = s.n_heads_v() * s.d_k;
    const auto slot_size = static_cast<std::size_t>(slot_elements<S>(problem.state_shape()));
    for (index_t slot = 0; slot < s.n_slots; ++slot) {
        const auto first = static_cast<std::size_t>(slot * slot_rows * s.d_v);
        const bool is_named =
            std::any_of(problem.sequences.begin(), problem.sequences.end(),
                        [&](const SequenceSpan& sequence) { return sequence.slot == slot; });
        for (index_t row = 0; is_named && row < slot_rows; ++row) {
            const std::size_t i = first + static_cast<std::size_t>(row * s.d_v);
            states.add(&values[i], &expected.second[i], s.d_v);
        }
        const std::size_t element = static_cast<std::size_t>(slot) * slot_size;
        if (!is_named) {
            REQUIRE(std::memcmp(&actual.second[element], &problem.state[element],
                                slot_size * sizeof(S)) == 0);
        }
    }
    const double storage = 2 * kStorageRounding<S>;
    CHECK(outputs.relative() <= kChunkBound);
    CHECK(outputs.worst() <= 2 * kChunkBound);
    CHECK(states.relative() <= std::hypot(kChunkBound, storage));
    CHECK(states.worst() <= 2 * std::hypot(kChunkBound, storage));
}

/// The problem under every schedule, against the oracle.
template <class S>
ChunkResult<float, S> check_problem(const ChunkProblem<S>& problem) {
    const auto actual = for_each_schedule([&] { return run_chunked(problem); });
    check_chunked(problem, actual, run_oracle(problem));
    return actual;
}

}  // namespace deltanet::test
