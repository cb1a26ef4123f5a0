// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Decode: one token of each of n sequences, whose states come from memory. Floor: the bytes of the
/// states, read and written once, at the bandwidth of an update in place.
#include "support/bandwidth.hpp"
#include "support/delta_data.hpp"
#include "support/plain.hpp"
#include "support/suite.hpp"

#include <memory>

namespace deltanet::bench {

namespace {

constexpr index_t kMiB = index_t{1} << 20;

CaseMaker decode_case(const HeadShape& shape, DType dtype, index_t sequences, index_t threads) {
    const std::string name = detail::concat("decode_", name_of(dtype), "_", shape.text(), "_T1_n",
                                            sequences, "_t", threads);
    return {name, [=] {
                // States of more than 512 MiB in turn: no cache remembers one until it is met
                // again.
                const index_t state_bytes = shape.state_bytes(dtype);
                const index_t rounds = 640 * kMiB / (state_bytes * sequences) + 1;
                const auto data =
                    std::make_shared<DeltaData>(shape, 1, sequences, rounds * sequences, dtype);
                const auto workspace = std::make_shared<Workspace>();
                const auto update = std::make_shared<Bandwidth>(Bandwidth::Kind::update,
                                                                640 * kMiB / 4, 16 * kMiB / 4);
                const auto round = std::make_shared<index_t>(0);
                const ThreadPoolExecutor executor = pool(threads);
                const auto bytes = static_cast<double>(2 * state_bytes * sequences);
                std::function<void()> plain;
                if (dtype == DType::f32) {
                    plain = [=] {
                        plain::delta_rule(data->args(*round * sequences));
                        *round = (*round + 1) % rounds;
                    };
                }
                return Case{
                    .name = name,
                    .tokens = static_cast<double>(sequences),
                    .units = static_cast<double>(sequences * shape.n_heads_v),
                    .run =
                        [=] {
                            CpuBackend<cpu::default_arch, ThreadPoolExecutor> backend(executor);
                            const DeltaRuleArgs<float> args = data->args(*round * sequences);
                            *round = (*round + 1) % rounds;
                            delta_rule(backend, args,
                                       workspace->acquire(backend.delta_rule_scratch_bytes(args)));
                        },
                    .floor =
                        [=] {
                            ThreadPoolExecutor same = executor;
                            return bytes / update->sample(same);
                        },
                    .plain = plain};
            }};
}

}  // namespace

Suite decode_suite() {
    const HeadShape qwen3_next{128, 128, 16, 32};
    Suite suite;
    for (const DType dtype : {DType::f32, DType::bf16}) {
        for (const index_t sequences : {1, 8, 32})
            suite.push_back(decode_case(qwen3_next, dtype, sequences, 1));
        suite.push_back(decode_case(qwen3_next, dtype, 32, 2));
    }
    suite.push_back(decode_case(qwen3_next, DType::f16, 32, 1));
    suite.push_back(decode_case(qwen3_next, DType::i8, 32, 1));
    return suite;
}

}  // namespace deltanet::bench
