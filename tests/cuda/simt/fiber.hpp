// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Fibers: each CUDA thread has a stack of its own and runs until it gives way.
#pragma once

#include <cstddef>
#include <cstdint>

// A switch of our own on x86-64, for speed; ucontext elsewhere, or to compare.
#if defined(__x86_64__) && !defined(SIMT_UCONTEXT)
#define SIMT_X86_64_SWITCH 1
#else
#define SIMT_X86_64_SWITCH 0
#include <ucontext.h>
#endif

namespace simt {

/// All stacks lie in one mapping, each above a page that cannot be touched.
constexpr std::size_t stack_bytes = 64 << 10;

class Fiber {
  public:
    /// Ready to run `entry` from its beginning on stack number `index`. What was left there by an
    /// earlier run is forgotten without destructors: kernels have none.
    void prepare(unsigned index, void (*entry)());

    /// From the scheduler: runs until `leave`.
    void enter();

    /// From the fiber: back to the scheduler.
    void leave();

    [[nodiscard]] bool owns(std::uintptr_t address) const {
        return address - reinterpret_cast<std::uintptr_t>(stack_) < stack_bytes;
    }

  private:
    char* stack_ = nullptr;
#if SIMT_X86_64_SWITCH
    void* stack_pointer_ = nullptr;
#else
    ucontext_t context_ = {};
#endif
};

/// Makes room for `n` stacks.
void reserve_stacks(unsigned n);

/// True for an address on any of the stacks.
[[nodiscard]] bool on_fiber_stack(std::uintptr_t address);

}  // namespace simt
