// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The oracle backend: every op in plain loops with sums in double, written to be compared with the
/// formulas line by line. Slow, single-threaded, right; it allocates. Use it to check a kernel, a
/// port or an engine's binding of a checkpoint.
#pragma once

#include <deltanet/detail/rows.hpp>
#include <deltanet/executor.hpp>
#include <deltanet/memory_space.hpp>
#include <deltanet/ops/conv_gates.hpp>
#include <deltanet/reference/conv1d.hpp>
#include <deltanet/reference/delta_rule_chunked.hpp>
#include <deltanet/reference/delta_rule_pending.hpp>
#include <deltanet/reference/delta_rule_recurrent.hpp>
#include <deltanet/reference/gated_rmsnorm.hpp>
#include <deltanet/reference/gates.hpp>
#include <deltanet/reference/l2norm.hpp>
#include <deltanet/reference/rmsnorm.hpp>

namespace deltanet {

class ReferenceBackend {
  public:
    static constexpr const char* name = "reference";

    [[nodiscard]] SequentialExecutor& executor() noexcept { return executor_; }
    [[nodiscard]] HostMemory& memory() const noexcept { return host_memory(); }

    template <class T>
    void conv1d(const Conv1dArgs<T>& args) {
        reference::conv1d(args);
    }
    template <class T>
    void l2norm(const L2NormArgs<T>& args) {
        reference::l2norm(args);
    }
    template <class T>
    void rmsnorm(const RmsNormArgs<T>& args) {
        reference::rmsnorm(args);
    }
    template <class T>
    void gates(const GatesArgs<T>& args) {
        reference::gates(args);
    }
    template <class T>
    void conv_gates(const ConvGatesArgs<T>& args) {
        for (const Conv1dArgs<T>& part : args.convolutions()) conv1d(part);
        gates(args.gates);
    }
    template <class T>
    void gated_rmsnorm(const GatedRmsNormArgs<T>& args) {
        reference::gated_rmsnorm(args);
    }
    template <class T>
    void gather_rows(const RowsArgs<T>& args) {
        detail::gather_rows(args);
    }
    template <class T>
    void add_rows(const RowsArgs<T>& args) {
        detail::add_rows(args);
    }
    void clear_rows(View<float, 2> y, std::span<const index_t> rows) {
        detail::clear_rows(y, rows);
    }
    /// Sums are double here, whatever a call asks for.
    [[nodiscard]] ScanCompute scan_compute(ScanCompute /*compute*/) const noexcept {
        return ScanCompute::f32;
    }
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(const DeltaRuleArgs<T>&) const noexcept {
        return 0;
    }
    /// Bound over every batch of a layer with these sizes.
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(index_t /*d_k*/, index_t /*d_v*/,
                                                   index_t /*heads_per_group*/) const noexcept {
        return 0;
    }
    /// `automatic` is the recurrent form here.
    template <class T>
    void delta_rule(const DeltaRuleArgs<T>& args, std::span<std::byte>) {
        reference::clear_padding(args);
        reference::fold_pending(args);
        reference::delta_rule_pending(args);
        args.mode == ScanMode::chunked ? reference::delta_rule_chunked(args)
                                       : reference::delta_rule_recurrent(args);
    }

  private:
    SequentialExecutor executor_;
};

}  // namespace deltanet
