// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Which kernel a sequence takes, and that it is the same with the same bits whatever is around it.
#include "cuda/chunk_problem.hpp"
#include "cuda/delta_slots.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// A problem that calls are made of, always from the same states.
class Choice {
  public:
    Choice(const DeltaSizes& sizes, index_t n_tokens, std::uint32_t seed)
        : s_(sizes), generator_(seed), inputs_(sizes, n_tokens, generator_) {
        const index_t n = s_.n_slots * s_.n_heads_v() * s_.d_k * s_.d_v;
        for (index_t i = 0; i < n; ++i)
            state_.push_back(static_cast<float>(generator_()) / 4294967296.0F - 0.5F);
    }

    /// Outputs and states.
    [[nodiscard]] std::pair<std::vector<float>, std::vector<float>> run(
        const std::vector<SequenceSpan>& sequences, ScanMode mode) {
        return for_each_schedule([&] {
            const auto upload = [&]<int Rank>(Tensor<float, Rank>& from) {
                return DeviceTensor<float, Rank>(from.view().shape(), from.values(), s_.padding);
            };
            auto q = upload(inputs_.q), k = upload(inputs_.k), v = upload(inputs_.v);
            auto g = upload(inputs_.decay_log), beta = upload(inputs_.beta);
            auto output = upload(inputs_.output);
            DeviceTensor<float, 4> state({s_.n_slots, s_.n_heads_v(), s_.d_k, s_.d_v}, state_);
            const DeltaRuleArgs<float> args{.q = q.cview(),
                                            .k = k.cview(),
                                            .v = v.cview(),
                                            .decay_log = g.cview(),
                                            .beta = beta.cview(),
                                            .state = state.view(),
                                            .output = output.view(),
                                            .sequences = sequences,
                                            .mode = mode};
            const index_t bytes = cuda::delta_rule_scratch_bytes(args);
            CHECK(bytes <= cuda::delta_rule_scratch_bytes(s_.d_k, s_.d_v, s_.r));
            DeviceTensor<std::byte, 1> scratch({bytes});
            cuda::delta_rule(args, {scratch.data(), static_cast<std::size_t>(bytes)}, nullptr);
            return std::pair(output.download(), state.download());
        });
    }

  private:
    DeltaSizes s_;
    std::mt19937 generator_;
    DeltaInputs inputs_;
    std::vector<float> state_;
};

bool same(const std::pair<std::vector<float>, std::vector<float>>& a,
          const std::pair<std::vector<float>, std::vector<float>>& b) {
    return bit_equal(a.first, b.first) && bit_equal(a.second, b.second);
}

}  // namespace

TEST_CASE("delta_rule choice: long sequences in chunks, short ones token by token") {
    const DeltaSizes sizes{.d_k = 64, .d_v = 32};
    for (const index_t n : {31, 32}) {
        Choice call(sizes, n, 261);
        const std::vector<SequenceSpan> all{{0, n, 0}};
        const auto automatic = call.run(all, ScanMode::automatic);
        const auto recurrent = call.run(all, ScanMode::recurrent);
        const auto chunked = call.run(all, ScanMode::chunked);
        CAPTURE(n);
        CHECK_FALSE(same(recurrent, chunked));
        CHECK(same(automatic, n < 32 ? recurrent : chunked));
        CHECK(relative_rms(chunked.first, recurrent.first) <= kChunkBound);
        CHECK(relative_rms(chunked.second, recurrent.second) <= kChunkBound);
    }
}

TEST_CASE("delta_rule choice: what there is no chunked kernel for is done token by token") {
    for (const DeltaSizes& sizes :
         {DeltaSizes{.d_k = 32, .d_v = 32}, DeltaSizes{.d_k = 64, .d_v = 24},
          DeltaSizes{.d_k = 64, .d_v = 32, .padding = 1}}) {
        Choice call(sizes, 33, 262);
        const std::vector<SequenceSpan> all{{0, 33, 0}};
        CAPTURE(sizes.d_k, sizes.d_v, sizes.padding);
        CHECK(same(call.run(all, ScanMode::chunked), call.run(all, ScanMode::recurrent)));
    }
}

TEST_CASE("delta_rule choice: a sequence has the same bits in any batch") {
    const DeltaSizes sizes{.n_heads_k = 1, .r = 2, .d_k = 64, .d_v = 32, .n_slots = 4};
    constexpr index_t n_tokens = 120;
    const std::vector<SequenceSpan> batch{
        {0, 70, 2}, {70, 3, 0, Start::fresh}, {73, 5, -1}, {78, 40, 3, Start::fresh}, {118, 1, 1}};
    Choice call(sizes, n_tokens, 263);
    const auto together = call.run(batch, ScanMode::automatic);
    for (const SequenceSpan& s : batch) {
        const auto alone = call.run({s}, ScanMode::automatic);
        const auto part = [](const std::vector<float>& all, index_t row_size, index_t first,
                             index_t n) {
            const auto begin = all.begin() + first * row_size;
            return std::vector<float>(begin, begin + n * row_size);
        };
        CAPTURE(s.slot);
        CHECK(bit_equal(part(together.first, 2 * 32, s.first_token, s.n_tokens),
                        part(alone.first, 2 * 32, s.first_token, s.n_tokens)));
        if (is_padding(s)) continue;
        CHECK(bit_equal(part(together.second, 2 * 64 * 32, s.slot, 1),
                        part(alone.second, 2 * 64 * 32, s.slot, 1)));
    }
}

TEMPLATE_TEST_CASE("delta_rule choice: long sequences fold what was pending first", "", float, bf16,
                   i8) {
    DeltaSlots<TestType> slots({.n_heads_k = 1,
                                .r = 2,
                                .d_k = 64,
                                .d_v = 32,
                                .n_slots = 3,
                                .capacity = 4,
                                .extra_bound = kChunkBound},
                               264);
    slots.step({{0, 3, 0}, {3, 4, 1}, {7, 2, 2}}, 9);
    slots.step({{0, 40, 0}, {40, 66, 1}, {106, 9, 2}}, 115);
    slots.step({{0, 2, 0}, {2, 33, 1, Start::fresh}, {35, 4, 2}}, 39);
}
