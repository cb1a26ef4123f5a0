// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What a backend is: something that runs the checked ops. Its functions are called by ops/*.hpp
/// after all checks, never by users, and are listed here once for both scalar types that an op may
/// be called with.
#pragma once

#include <deltanet/executor.hpp>
#include <deltanet/memory_space.hpp>
#include <deltanet/ops/conv1d.hpp>
#include <deltanet/ops/conv_gates.hpp>
#include <deltanet/ops/delta_rule.hpp>
#include <deltanet/ops/gated_rmsnorm.hpp>
#include <deltanet/ops/gates.hpp>
#include <deltanet/ops/l2norm.hpp>
#include <deltanet/ops/rmsnorm.hpp>
#include <deltanet/ops/rows.hpp>

#include <concepts>
#include <cstddef>
#include <span>

namespace deltanet {

/// A type whose member functions compute the ops in float. They may assume what the ops check,
/// write only the outputs and states named, allocate nothing that a caller would notice in a loop,
/// and give results that depend on neither the order of sequences nor the executor's threads.
/// `delta_rule_scratch_bytes<T>(d_k, d_v, heads_per_group)` bounds the one-argument form over all
/// batches. `clear_rows(y, rows)` makes rows of y 0. All tensors are in the memory space that
/// `memory()` names; lists (sequences, rows) are in host memory, and need not outlive the call.
template <class B>
concept Backend = requires(B& backend, const Conv1dArgs<float>& conv, const L2NormArgs<float>& l2,
                           const RmsNormArgs<float>& rms, const GatesArgs<float>& gates,
                           const ConvGatesArgs<float>& conv_gates, const DeltaRuleArgs<float>& rule,
                           const GatedRmsNormArgs<float>& gated, const RowsArgs<float>& rows,
                           View<float, 2> y, std::span<const index_t> list,
                           std::span<std::byte> scratch, index_t n) {
    requires Executor<std::remove_reference_t<decltype(backend.executor())>>;
    backend.conv1d(conv);
    backend.l2norm(l2);
    backend.rmsnorm(rms);
    backend.gates(gates);
    backend.conv_gates(conv_gates);
    { backend.scan_compute(ScanCompute::bf16) } -> std::same_as<ScanCompute>;
    { backend.delta_rule_scratch_bytes(rule) } -> std::convertible_to<index_t>;
    { backend.template delta_rule_scratch_bytes<float>(n, n, n) } -> std::convertible_to<index_t>;
    backend.delta_rule(rule, scratch);
    backend.gated_rmsnorm(gated);
    backend.gather_rows(rows);
    backend.add_rows(rows);
    backend.clear_rows(y, list);
    { backend.memory() } -> std::convertible_to<MemorySpace&>;
};

/// Whether its tensors are in host memory, where anybody may look at them.
template <class B>
concept HostBackend = Backend<B> && requires(B& backend) {
    { backend.memory() } -> std::same_as<HostMemory&>;
};

}  // namespace deltanet
