// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Prefill: the delta rule over whole sequences. Floor: the 6 d_k d_v flops of the recurrence per
/// token and value head, at the multiply-add peak of as many threads; for bf16 at the peak of the
/// bfloat16 dot product, or of multiply-adds on a CPU without one, where the case runs in f32 and
/// says so.
#include "support/delta_data.hpp"
#include "support/peak.hpp"
#include "support/plain.hpp"
#include "support/suite.hpp"

#include <memory>

namespace deltanet::bench {

namespace {

CaseMaker scan_case(const HeadShape& shape, index_t tokens, index_t threads,
                    ScanCompute compute = ScanCompute::f32) {
    const std::string name = detail::concat("scan_", name_of(compute), "_", shape.text(), "_T",
                                            tokens, "_n1_t", threads);
    return {
        name, [=] {
            const auto data = std::make_shared<DeltaData>(shape, tokens, 1, 1);
            const auto workspace = std::make_shared<Workspace>();
            const ThreadPoolExecutor executor = pool(threads);
            const auto token_heads = static_cast<double>(tokens * shape.n_heads_v);
            const double flops = 6.0 * static_cast<double>(shape.d_k * shape.d_v) * token_heads;
            return Case{
                .name = name,
                .tokens = static_cast<double>(tokens),
                .units = token_heads,
                .run =
                    [=] {
                        CpuBackend<cpu::default_arch, ThreadPoolExecutor> backend(executor);
                        DeltaRuleArgs<float> args = data->args();
                        args.compute = compute;
                        delta_rule(backend, args,
                                   workspace->acquire(backend.delta_rule_scratch_bytes(args)));
                    },
                .floor =
                    [=] {
                        using Bf16 = Bf16OrPlain<cpu::default_arch>::type;
                        return flops / (compute == ScanCompute::bf16 ? peak_of_all<Bf16>(executor)
                                                                     : peak_of_all(executor));
                    },
                .plain = [=] { plain::delta_rule(data->args()); },
                .note = compute == ScanCompute::bf16 && !cpu::has_bf16_products<cpu::default_arch>
                            ? "note=no_bf16_dot_product_here,computed_in_f32"
                            : ""};
        }};
}

}  // namespace

Suite scan_suite() {
    const HeadShape qwen3_next{128, 128, 16, 32};
    const HeadShape olmo_hybrid{96, 192, 30, 30};
    const HeadShape qwen3_5_27b{128, 128, 16, 48};
    const HeadShape small{64, 64, 16, 32};
    const HeadShape one_decay_a_head{128, 128, 32, 32};
    const HeadShape kimi_linear{128, 128, 32, 32, true};
    Suite suite;
    for (const index_t tokens : {64, 1024, 4096}) suite.push_back(scan_case(qwen3_next, tokens, 1));
    for (const HeadShape& shape : {olmo_hybrid, qwen3_5_27b, small, one_decay_a_head, kimi_linear})
        suite.push_back(scan_case(shape, 1024, 1));
    suite.push_back(scan_case(qwen3_next, 1024, 2));
    for (const index_t tokens : {64, 1024, 4096})
        suite.push_back(scan_case(qwen3_next, tokens, 1, ScanCompute::bf16));
    for (const index_t tokens : {1, 2, 4, 8, 15, 16, 32, 48, 63})
        suite.push_back(scan_case(qwen3_next, tokens, 1));
    return suite;
}

}  // namespace deltanet::bench
