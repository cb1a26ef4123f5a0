// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Scratch memory of a forward call: either a block that grows to what is needed and stays, or
/// memory of the caller, which never grows. It is in the memory space of the layer's backend. One
/// workspace may serve any number of layers, one call at a time.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/memory_space.hpp>

#include <cstddef>
#include <span>
#include <utility>

namespace deltanet {

class Workspace {
  public:
    static constexpr index_t kAlignment = 64;

    /// Grows on demand; a call no larger than an earlier one allocates nothing.
    Workspace() noexcept : Workspace(host_memory()) {}
    /// The same in another space, which must outlive it.
    explicit Workspace(MemorySpace& space) noexcept : space_(&space) {}

    /// Caller's memory; a call that needs more throws before it writes anything.
    explicit Workspace(std::span<std::byte> memory) : Workspace(memory, host_memory()) {}
    /// The same in another space.
    Workspace(std::span<std::byte> memory, MemorySpace& space)
        : space_(&space), memory_(memory), fixed_(true) {
        if (reinterpret_cast<std::uintptr_t>(memory.data()) %
                static_cast<std::uintptr_t>(kAlignment) !=
            0) {
            detail::fail("Workspace", "memory", "an address aligned to 64", "one that is not");
        }
    }

    Workspace(Workspace&& other) noexcept
        : space_(other.space_),
          memory_(std::exchange(other.memory_, {})),
          owned_(std::move(other.owned_)),
          fixed_(std::exchange(other.fixed_, false)) {}
    Workspace& operator=(Workspace&& other) noexcept {
        space_ = other.space_;
        memory_ = std::exchange(other.memory_, {});
        owned_ = std::move(other.owned_);
        fixed_ = std::exchange(other.fixed_, false);
        return *this;
    }

    [[nodiscard]] MemorySpace& space() const noexcept { return *space_; }
    [[nodiscard]] index_t size_bytes() const noexcept {
        return static_cast<index_t>(memory_.size());
    }

    /// At least `bytes` bytes, aligned to 64.
    [[nodiscard]] std::span<std::byte> acquire(index_t bytes) {
        if (bytes > size_bytes()) {
            if (fixed_) {
                detail::fail("Workspace", "memory", detail::concat("at least ", bytes, " bytes"),
                             detail::concat(size_bytes(), " bytes"));
            }
            memory_ = {};
            owned_.reset();  // first give back, then take: both at once may not fit
            owned_ = detail::allocate_in(*space_, bytes, kAlignment);
            memory_ = {owned_.get(), static_cast<std::size_t>(bytes)};
        }
        return memory_;
    }

  private:
    MemorySpace* space_;
    std::span<std::byte> memory_;
    detail::OwnedMemory owned_;
    bool fixed_ = false;
};

namespace detail {

/// Hands out pieces of a block one after another, each aligned. With no block it only counts, so
/// the same code lays memory out and says how much it takes.
class Carver {
  public:
    Carver() = default;
    explicit Carver(std::span<std::byte> block) noexcept : base_(block.data()) {}

    template <class T, int Rank>
    [[nodiscard]] View<T, Rank> take(const Shape<Rank>& shape) noexcept {
        const View<T, Rank> sized(nullptr, shape);
        std::byte* const piece = take_bytes(sized.count() * static_cast<index_t>(sizeof(T)));
        return {reinterpret_cast<T*>(piece), shape};
    }

    template <class T>
    [[nodiscard]] std::span<T> take_span(index_t n) noexcept {
        std::byte* const piece = take_bytes(n * static_cast<index_t>(sizeof(T)));
        return {reinterpret_cast<T*>(piece), piece == nullptr ? 0 : static_cast<std::size_t>(n)};
    }

    [[nodiscard]] std::byte* take_bytes(index_t bytes) noexcept {
        std::byte* const piece = base_ == nullptr ? nullptr : base_ + used_;
        used_ +=
            (bytes + Workspace::kAlignment - 1) / Workspace::kAlignment * Workspace::kAlignment;
        return piece;
    }

    [[nodiscard]] index_t used_bytes() const noexcept { return used_; }

  private:
    std::byte* base_ = nullptr;
    index_t used_ = 0;
};

}  // namespace detail
}  // namespace deltanet
