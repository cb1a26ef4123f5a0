// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Where memory lives: states and scratch may be the host's or a device's. Slots, workspaces and
/// backends name the space that their memory is in, and whatever moves states as a whole (copies,
/// saved slots, flushes) goes through it. Kernels never see it: they get pointers.
///
/// A space may be lazy: copies and clears of a device are done in the order of its stream, after
/// the call has returned. Only `upload` and `download`, which touch host memory of the caller, are
/// finished when they return.
#pragma once

#include <deltanet/detail/aligned_memory.hpp>
#include <deltanet/detail/slot_rows.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace deltanet {

/// Sizes are in bytes. What fails throws.
class MemorySpace {
  public:
    /// Of the memory: spaces with the same name can read each other's.
    [[nodiscard]] virtual std::string_view name() const noexcept = 0;
    /// Whether the host can read and write it, without asking.
    [[nodiscard]] virtual bool is_host() const noexcept = 0;

    /// Not initialised. `alignment` is a power of two.
    [[nodiscard]] virtual void* allocate(index_t bytes, index_t alignment) = 0;
    virtual void release(void* memory, index_t alignment) noexcept = 0;

    /// Zeros.
    virtual void clear(void* memory, index_t bytes) = 0;
    /// Both in this space, not overlapping.
    virtual void copy(void* to, const void* from, index_t bytes) = 0;
    /// Exchanges two pieces of this space that do not overlap.
    virtual void exchange(void* a, void* b, index_t bytes) = 0;
    /// From host memory, which may be changed as soon as this returns.
    virtual void upload(void* to, const void* from, index_t bytes) = 0;
    /// To host memory, which has it when this returns.
    virtual void download(void* to, const void* from, index_t bytes) const = 0;

    /// Of slots in this space: writes the n pending updates of row i into its recurrent state, and
    /// moves what the convolution keeps to the beginning.
    virtual void fold(const detail::SlotRows& rows, HeadMap head_map, index_t i, index_t n) = 0;

  protected:
    MemorySpace() = default;
    MemorySpace(const MemorySpace&) = default;
    MemorySpace& operator=(const MemorySpace&) = default;
    ~MemorySpace() = default;  // nobody owns one through this type
};

/// The host's: what everything is in unless it is told otherwise.
class HostMemory final : public MemorySpace {
  public:
    [[nodiscard]] std::string_view name() const noexcept override { return "host"; }
    [[nodiscard]] bool is_host() const noexcept override { return true; }

    [[nodiscard]] void* allocate(index_t bytes, index_t alignment) override {
        return detail::allocate_aligned<std::byte>(bytes, alignment).release();
    }
    void release(void* memory, index_t alignment) noexcept override {
        detail::FreeAligned{std::align_val_t{static_cast<std::size_t>(alignment)}}(memory);
    }

    void clear(void* memory, index_t bytes) override {
        std::memset(memory, 0, static_cast<std::size_t>(bytes));
    }
    void copy(void* to, const void* from, index_t bytes) override {
        std::memcpy(to, from, static_cast<std::size_t>(bytes));
    }
    void exchange(void* a, void* b, index_t bytes) override {
        auto* const first = static_cast<std::byte*>(a);
        std::swap_ranges(first, first + bytes, static_cast<std::byte*>(b));
    }
    void upload(void* to, const void* from, index_t bytes) override { copy(to, from, bytes); }
    void download(void* to, const void* from, index_t bytes) const override {
        std::memcpy(to, from, static_cast<std::size_t>(bytes));
    }

    void fold(const detail::SlotRows& rows, HeadMap head_map, index_t i, index_t n) override {
        const StateView<float> states = rows.recurrent();
        detail::fold_into_state(states, rows.pending(), head_map, i, n, states, i);
        float* const inputs = rows.row(i);
        const index_t kept = rows.layout.conv_taps * rows.layout.conv_dim;
        std::memmove(inputs, inputs + n * rows.layout.conv_dim,
                     static_cast<std::size_t>(kept) * sizeof(float));
    }
};

/// The one that there is.
[[nodiscard]] inline HostMemory& host_memory() noexcept {
    static HostMemory memory;
    return memory;
}

namespace detail {

struct ReleaseMemory {
    MemorySpace* space = nullptr;
    index_t alignment = 0;

    void operator()(std::byte* memory) const noexcept { space->release(memory, alignment); }
};

/// Memory of some space, given back with its owner.
using OwnedMemory = std::unique_ptr<std::byte, ReleaseMemory>;

[[nodiscard]] inline OwnedMemory allocate_in(MemorySpace& space, index_t bytes,
                                             index_t alignment = kLineBytes) {
    return {static_cast<std::byte*>(space.allocate(bytes, alignment)), {&space, alignment}};
}

}  // namespace detail
}  // namespace deltanet
