// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Low-rank adapters (LoRA, arXiv 2106.09685) on top of any linear operator:
///   y = W x + sum over adapters of scale B (A x),   A [rank, in], B [out, rank]
/// Adapters belong to sets, one for each fine-tuning that was loaded, and a set is switched by its
/// scale between two forwards.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/detail/token_blocks.hpp>
#include <deltanet/linear/eigen.hpp>

#include <algorithm>
#include <concepts>
#include <utility>
#include <vector>

namespace deltanet {

/// The scale of each set of adapters, alpha / rank of its training times whatever else; 0 switches
/// it off and costs nothing. One object for all projections of a model, which must outlive them;
/// not to be changed during a forward.
struct LoraScales {
    std::vector<float> of_set;
};

template <LinearOperator A = EigenLinear>
struct LoraAdapter {
    A down;                    ///< A [rank, in]
    A up;                      ///< B [n, rank]
    index_t set = 0;           ///< whose scale counts
    index_t first_output = 0;  ///< of the n outputs that B makes: q alone of a joint q, k, v, say
};

/// Models LinearOperator. Owns neither the weights nor the scales. `Base`: what multiplies by W;
/// `A`: what the adapters multiply by.
template <LinearOperator Base = EigenLinear, LinearOperator A = EigenLinear>
class LoraLinear {
  public:
    LoraLinear() = default;
    /// Without adapters, the base. Implicit: so is whatever the base is made of.
    template <class Matrix>
    requires std::constructible_from<Base, Matrix> LoraLinear(const Matrix& weight)
        : base_(weight) {}  // NOLINT

    /// Throws `Error` when the adapter's shapes do not fit the projection, or the scales have no
    /// such set.
    void add(LoraAdapter<A> adapter, const LoraScales& scales) {
        const char* const where = "LoraLinear::add";
        check(where, "down inputs", adapter.down.in_features(), in_features());
        check(where, "up inputs", adapter.up.in_features(), adapter.down.out_features());
        const index_t last = adapter.first_output + adapter.up.out_features();
        if (adapter.first_output < 0 || last > out_features()) {
            detail::fail(where, "up outputs",
                         detail::concat("some of the ", out_features(), " of the projection"),
                         detail::concat("[", adapter.first_output, ", ", last, ")"));
        }
        detail::check_range(where, "set", adapter.set, static_cast<index_t>(scales.of_set.size()));
        if (scales_ != nullptr && scales_ != &scales)
            detail::fail(where, "scales", "those of the adapters before", "others");
        scales_ = &scales;
        adapters_.push_back(std::move(adapter));
    }

    [[nodiscard]] index_t in_features() const noexcept { return base_.in_features(); }
    [[nodiscard]] index_t out_features() const noexcept { return base_.out_features(); }
    [[nodiscard]] index_t scratch_bytes(index_t n_tokens, index_t concurrency) const noexcept {
        index_t inner = base_.scratch_bytes(n_tokens, concurrency);
        index_t floats = 0;
        for (const LoraAdapter<A>& adapter : adapters_) {
            for (const A* part : {&adapter.down, &adapter.up})
                inner = std::max(inner, index_t{part->scratch_bytes(n_tokens, concurrency)});
            floats = std::max(floats, buffer_floats(adapter, n_tokens));
        }
        return rounded(floats) * index_t{sizeof(float)} + inner;
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        base_(x, y, scratch, executor);
        const index_t n_tokens = x.size(0);
        for (const LoraAdapter<A>& adapter : adapters_) {
            const float scale = scales_->of_set[static_cast<std::size_t>(adapter.set)];
            if (scale == 0.0F) continue;
            float* const memory = reinterpret_cast<float*>(scratch.data());
            const std::span<std::byte> inner = scratch.subspan(static_cast<std::size_t>(
                rounded(buffer_floats(adapter, n_tokens)) * index_t{sizeof(float)}));
            detail::for_each_token_block(n_tokens, kTokenBlock, [&](index_t first, index_t n) {
                add_product(adapter, scale, x.slice(0, first, n), y.slice(0, first, n), memory,
                            inner, executor);
            });
        }
    }

  private:
    static constexpr index_t kTokenBlock = 64;

    static void check(std::string_view where, std::string_view what, index_t found,
                      index_t expected) {
        if (found != expected)
            detail::fail(where, what, detail::concat(expected), detail::concat(found));
    }
    /// To the next cache line.
    [[nodiscard]] static index_t rounded(index_t floats) noexcept {
        return (floats + 15) / 16 * 16;
    }
    /// A x and B (A x) of a block of tokens.
    [[nodiscard]] static index_t buffer_floats(const LoraAdapter<A>& adapter,
                                               index_t n_tokens) noexcept {
        const index_t n = std::min(n_tokens, kTokenBlock);
        return n * (adapter.down.out_features() + adapter.up.out_features());
    }

    template <Executor E>
    static void add_product(const LoraAdapter<A>& adapter, float scale, View<const float, 2> x,
                            View<float, 2> y, float* memory, std::span<std::byte> scratch,
                            E& executor) {
        const index_t n = x.size(0), rank = adapter.down.out_features();
        const index_t width = adapter.up.out_features();
        const View<float, 2> low(memory, {n, rank});
        const View<float, 2> high(memory + n * rank, {n, width});
        adapter.down(x, low, scratch, executor);
        adapter.up(low, high, scratch, executor);
        detail::accumulate(scale, high, y.slice(1, adapter.first_output, width));
    }

    Base base_;
    std::vector<LoraAdapter<A>> adapters_;
    const LoraScales* scales_ = nullptr;
};

static_assert(LinearOperator<LoraLinear<>>);

}  // namespace deltanet
