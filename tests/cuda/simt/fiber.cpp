// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "fiber.hpp"

#include <new>
#include <sys/mman.h>

#if SIMT_X86_64_SWITCH
// Saves the registers that a called function must keep, and goes on where the other stack left.
extern "C" void simt_switch(void** saved_stack_pointer, void* next_stack_pointer);
asm(".text\n"
    ".globl simt_switch\n"
    ".type simt_switch,@function\n"
    "simt_switch:\n"
    "  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
    "  ret\n"
    ".size simt_switch, .-simt_switch\n");
#endif

namespace simt {
namespace {

constexpr std::size_t guard_bytes = 4096;
constexpr std::size_t slot_bytes = stack_bytes + guard_bytes;

char* mapping = nullptr;
std::size_t mapping_bytes = 0;
#if SIMT_X86_64_SWITCH
void* scheduler_stack_pointer = nullptr;
#else
ucontext_t scheduler_context;
#endif

}  // namespace

void reserve_stacks(unsigned n) {
    const std::size_t wanted = n * slot_bytes;
    if (wanted <= mapping_bytes) return;
    if (mapping != nullptr) munmap(mapping, mapping_bytes);
    void* const memory = mmap(nullptr, wanted, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mapping = static_cast<char*>(memory);
    mapping_bytes = wanted;
    for (unsigned i = 0; i < n; ++i) mprotect(mapping + i * slot_bytes, guard_bytes, PROT_NONE);
}

bool on_fiber_stack(std::uintptr_t address) {
    return address - reinterpret_cast<std::uintptr_t>(mapping) < mapping_bytes;
}

#if SIMT_X86_64_SWITCH

void Fiber::prepare(unsigned index, void (*entry)()) {
    stack_ = mapping + index * slot_bytes + guard_bytes;
    // Tops of stacks at the same place in their pages would share the sets of the first cache.
    auto** top = reinterpret_cast<void**>(stack_ + stack_bytes - (index % 61) * 64);
    *--top = nullptr;  // where `entry` would return to; keeps the alignment of a call
    *--top = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    stack_pointer_ = top;
}

void Fiber::enter() { simt_switch(&scheduler_stack_pointer, stack_pointer_); }

void Fiber::leave() { simt_switch(&stack_pointer_, scheduler_stack_pointer); }

#else

void Fiber::prepare(unsigned index, void (*entry)()) {
    stack_ = mapping + index * slot_bytes + guard_bytes;
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_;
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    makecontext(&context_, entry, 0);
}

void Fiber::enter() { swapcontext(&scheduler_context, &context_); }

void Fiber::leave() { swapcontext(&context_, &scheduler_context); }

#endif

}  // namespace simt
