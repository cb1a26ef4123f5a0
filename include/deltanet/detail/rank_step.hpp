// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A step that all ranks take together, and of which none is left behind: before ranks exchange
/// anything whose size depends on their arguments, each shows a report of fixed size. If one of
/// them failed, or they disagree, all of them throw.
#pragma once

#include <deltanet/batch.hpp>
#include <deltanet/detail/check.hpp>
#include <deltanet/layer_config.hpp>
#include <deltanet/parallel/communicator.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <exception>
#include <string>
#include <type_traits>
#include <vector>

namespace deltanet::detail {

/// A number that stands for many values in their order (FNV-1a, a word at a time).
class Digest {
  public:
    template <class T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>) Digest& add(T value) noexcept {
        value_ = (value_ ^ static_cast<std::uint64_t>(value)) * 0x100000001B3U;
        value_ ^= value_ >> 32;
        return *this;
    }
    Digest& add(double value) noexcept { return add(std::bit_cast<std::uint64_t>(value)); }

    [[nodiscard]] std::int64_t value() const noexcept {
        return std::bit_cast<std::int64_t>(value_);
    }

  private:
    std::uint64_t value_ = 0xCBF29CE484222325U;
};

/// What a rank shows the others.
struct RankReport {
    std::array<std::int64_t, 20> same{};  ///< expected to be equal on all ranks
    std::array<std::int64_t, 2> own{};    ///< what the others want to know of it
    std::array<char, 400> failure{};      ///< why it cannot go on; empty: it can
};

template <Communicator C>
class RankStep {
  public:
    /// `function` is the name in messages.
    RankStep(C& communicator, const char* function)
        : communicator_(&communicator),
          function_(function),
          all_(static_cast<std::size_t>(index_t{communicator.world()})) {}

    void begin() noexcept {
        mine_ = RankReport{};
        n_same_ = 0;
        error_ = nullptr;
        Digest name;
        for (const char* c = function_; *c != '\0'; ++c) name.add(*c);
        same("function", name.value());
    }
    void same(const char* name, std::int64_t value) noexcept {
        DELTANET_ASSERT(n_same_ < names_.size());
        names_[n_same_] = name;
        mine_.same[n_same_++] = value;
    }
    void own(std::size_t i, std::int64_t value) noexcept { mine_.own[i] = value; }
    /// Of any rank, once the step is settled.
    [[nodiscard]] std::int64_t own_of(index_t rank, std::size_t i) const noexcept {
        return all_[static_cast<std::size_t>(rank)].own[i];
    }

    /// Runs f, unless something failed before, and keeps what it throws.
    template <class F>
    void attempt(F&& f) {
        if (failed()) return;
#if defined(__cpp_exceptions)
        try {
            f();
        } catch (const std::exception& error) {
            keep(error.what());
        } catch (...) {
            keep("an exception of unknown type");
        }
#else
        f();
#endif
    }
    [[nodiscard]] bool failed() const noexcept { return mine_.failure[0] != '\0'; }

    /// Shows the reports. Throws on every rank if one failed, there what it threw, or if they
    /// disagree. One all_gather.
    void settle() {
        communicator_->all_gather(std::as_bytes(std::span(&mine_, 1)),
                                  std::as_writable_bytes(std::span(all_)));
#if defined(__cpp_exceptions)
        if (error_) std::rethrow_exception(error_);
#endif
        for (std::size_t r = 0; r < all_.size(); ++r) {
            if (all_[r].failure[0] != '\0')
                raise(concat(function_, ": rank ", r, ": ", all_[r].failure.data()));
        }
        for (std::size_t r = 1; r < all_.size(); ++r) {
            for (std::size_t i = 0; i < n_same_; ++i) {
                const std::int64_t first = all_[0].same[i], other = all_[r].same[i];
                if (first == other) continue;
                fail(function_, names_[i],
                     concat("the same on every rank, ", first, " as on rank 0"),
                     concat(other, " on rank ", r));
            }
        }
    }

  private:
    /// With the exception that is being handled.
    void keep(const char* text) noexcept {
#if defined(__cpp_exceptions)
        error_ = std::current_exception();
#endif
        const std::size_t n = std::min(std::strlen(text), mine_.failure.size() - 1);
        std::memcpy(mine_.failure.data(), text, n);
        if (n == 0) mine_.failure[0] = '?';
    }

    C* communicator_;
    const char* function_;
    RankReport mine_;
    std::vector<RankReport> all_;
    std::array<const char*, std::tuple_size_v<decltype(RankReport::same)>> names_{};
    std::size_t n_same_ = 0;
    std::exception_ptr error_;
};

/// The parts of a configuration that all ranks of a layer have, however its heads are shared out.
template <class Step>
void compare_config(Step& step, const LayerConfig& c) {
    step.same("hidden", c.hidden);
    step.same("d_k", c.d_k);
    step.same("d_v", c.d_v);
    step.same("value heads per key head", c.heads_per_group());
    step.same("conv_width", c.conv_width);
    step.same("digest of the configuration", Digest()
                                                 .add(c.head_map)
                                                 .add(c.l2_form)
                                                 .add(c.l2_eps)
                                                 .add(c.norm_eps)
                                                 .add(c.gate)
                                                 .add(c.beta_doubled)
                                                 .add(c.scale)
                                                 .add(c.pre_norm)
                                                 .add(c.pre_norm_eps)
                                                 .add(c.scan)
                                                 .add(c.scan_compute)
                                                 .add(c.deterministic)
                                                 .value());
}

}  // namespace deltanet::detail
