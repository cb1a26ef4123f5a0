// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Memory that the host cannot touch unless it goes through the memory space or the backend, as a
/// device's: its pages have no access rights outside of these. A forgotten access is a segmentation
/// fault.
#pragma once

#include "support/layer_backend.hpp"
#include <deltanet/deltanet.hpp>

#include <cstdlib>
#include <map>
#include <sys/mman.h>

namespace deltanet::test {

class GuardedMemory final : public MemorySpace {
  public:
    /// While there is one, everybody may access the memory.
    class Open {
      public:
        explicit Open(const GuardedMemory& memory) : memory_(memory) {
            if (memory_.n_open_++ == 0) memory_.protect(PROT_READ | PROT_WRITE);
        }
        ~Open() {
            if (--memory_.n_open_ == 0) memory_.protect(PROT_NONE);
        }
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;

      private:
        const GuardedMemory& memory_;
    };

    GuardedMemory() = default;
    GuardedMemory(const GuardedMemory&) = delete;
    GuardedMemory& operator=(const GuardedMemory&) = delete;

    [[nodiscard]] std::string_view name() const noexcept override { return "guarded"; }
    [[nodiscard]] bool is_host() const noexcept override { return false; }

    [[nodiscard]] void* allocate(index_t bytes, index_t /*alignment*/) override {
        const auto size = static_cast<std::size_t>(bytes);
        void* const memory =
            mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  // page-aligned
        if (memory == MAP_FAILED) std::abort();
        blocks_[memory] = size;
        if (n_open_ > 0) protect(PROT_READ | PROT_WRITE);
        ++n_allocations;
        return memory;
    }
    void release(void* memory, index_t /*alignment*/) noexcept override {
        munmap(memory, blocks_.at(memory));
        blocks_.erase(memory);
    }
    void clear(void* memory, index_t bytes) override {
        const Open open(*this);
        host_memory().clear(memory, bytes);
    }
    void copy(void* to, const void* from, index_t bytes) override {
        const Open open(*this);
        host_memory().copy(to, from, bytes);
    }
    void exchange(void* a, void* b, index_t bytes) override {
        const Open open(*this);
        host_memory().exchange(a, b, bytes);
    }
    void upload(void* to, const void* from, index_t bytes) override { copy(to, from, bytes); }
    void download(void* to, const void* from, index_t bytes) const override {
        const Open open(*this);
        host_memory().download(to, from, bytes);
    }
    void fold(const detail::SlotRows& rows, HeadMap head_map, index_t i, index_t n) override {
        const Open open(*this);
        host_memory().fold(rows, head_map, i, n);
    }

    long n_allocations = 0;

  private:
    void protect(int rights) const noexcept {
        for (const auto& [memory, bytes] : blocks_) {
            if (mprotect(memory, bytes, rights) != 0) std::abort();
        }
    }

    std::map<void*, std::size_t> blocks_;
    mutable int n_open_ = 0;
};

/// What a linear operator gets to know the memory by, as it gets a stream on a device.
struct GuardedExecutor : SequentialExecutor {
    GuardedMemory* memory = nullptr;
};

/// A backend whose ops alone may access the memory.
class GuardedBackend {
  public:
    explicit GuardedBackend(GuardedMemory& memory) { executor_.memory = &memory; }

    [[nodiscard]] GuardedExecutor& executor() noexcept { return executor_; }
    [[nodiscard]] GuardedMemory& memory() const noexcept { return *executor_.memory; }

    template <class T>
    void conv1d(const Conv1dArgs<T>& args) {
        run([&] { inner_.conv1d(args); });
    }
    template <class T>
    void l2norm(const L2NormArgs<T>& args) {
        run([&] { inner_.l2norm(args); });
    }
    template <class T>
    void rmsnorm(const RmsNormArgs<T>& args) {
        run([&] { inner_.rmsnorm(args); });
    }
    template <class T>
    void gates(const GatesArgs<T>& args) {
        run([&] { inner_.gates(args); });
    }
    template <class T>
    void conv_gates(const ConvGatesArgs<T>& args) {
        run([&] { inner_.conv_gates(args); });
    }
    template <class T>
    void gated_rmsnorm(const GatedRmsNormArgs<T>& args) {
        run([&] { inner_.gated_rmsnorm(args); });
    }
    template <class T>
    void gather_rows(const RowsArgs<T>& args) {
        run([&] { inner_.gather_rows(args); });
    }
    template <class T>
    void add_rows(const RowsArgs<T>& args) {
        run([&] { inner_.add_rows(args); });
    }
    void clear_rows(View<float, 2> y, std::span<const index_t> rows) {
        run([&] { inner_.clear_rows(y, rows); });
    }
    [[nodiscard]] ScanCompute scan_compute(ScanCompute compute) const {
        return inner_.scan_compute(compute);
    }
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(const DeltaRuleArgs<T>& args) {
        return inner_.delta_rule_scratch_bytes(args);
    }
    template <class T>
    [[nodiscard]] index_t delta_rule_scratch_bytes(index_t d_k, index_t d_v,
                                                   index_t heads_per_group) {
        return inner_.template delta_rule_scratch_bytes<T>(d_k, d_v, heads_per_group);
    }
    template <class T>
    void delta_rule(const DeltaRuleArgs<T>& args, std::span<std::byte> scratch) {
        run([&] { inner_.delta_rule(args, scratch); });
    }

  private:
    template <class F>
    void run(F&& f) {
        const GuardedMemory::Open open(memory());
        f();
    }

    GuardedExecutor executor_;
    LayerBackend<> inner_;
};
static_assert(Backend<GuardedBackend> && !HostBackend<GuardedBackend>);

/// `ReferenceLinear` on such memory, with weights in the host's.
class GuardedLinear {
  public:
    GuardedLinear() = default;
    explicit GuardedLinear(View<const float, 2> weight) : inner_(weight) {}

    [[nodiscard]] index_t in_features() const noexcept { return inner_.in_features(); }
    [[nodiscard]] index_t out_features() const noexcept { return inner_.out_features(); }
    [[nodiscard]] index_t scratch_bytes(index_t n_tokens, index_t concurrency) const noexcept {
        return inner_.scratch_bytes(n_tokens, concurrency);
    }
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    GuardedExecutor& executor) const {
        const GuardedMemory::Open open(*executor.memory);
        inner_(x, y, scratch, executor);
    }
    /// For the concept: on memory that anybody may access.
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    SequentialExecutor& executor) const {
        inner_(x, y, scratch, executor);
    }

  private:
    ReferenceLinear inner_;
};

}  // namespace deltanet::test
