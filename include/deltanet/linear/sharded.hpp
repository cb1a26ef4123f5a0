// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A projection of which a rank has only some inputs, in one piece or several:
///   y = sum over parts of W_part x[:, first .. first + n)
#pragma once

#include <deltanet/detail/token_blocks.hpp>
#include <deltanet/linear_operator.hpp>

#include <algorithm>
#include <concepts>
#include <utility>
#include <vector>

namespace deltanet {

/// A linear operator that can be cut: `outputs` and `inputs` are operators over a part of the same
/// weights. Inputs are cut at multiples of `input_block()`, the weights that are stored together.
template <class L>
concept SliceableOperator = LinearOperator<L> && requires(const L& w, index_t n) {
    { w.outputs(n, n) } -> std::convertible_to<L>;
    { w.inputs(n, n) } -> std::convertible_to<L>;
    { w.input_block() } -> std::convertible_to<index_t>;
};

/// Models LinearOperator. Owns no weights.
template <LinearOperator L>
class ShardedLinear {
  public:
    ShardedLinear() = default;
    /// All inputs. Implicit: an operator is one of a single part.
    ShardedLinear(L whole) { add(std::move(whole)); }  // NOLINT

    /// One more part, whose inputs are those behind the parts before it.
    void add(L part) {
        const index_t first = in_features();
        parts_.push_back({std::move(part), first});
    }

    [[nodiscard]] index_t in_features() const noexcept {
        return parts_.empty() ? 0 : parts_.back().first + parts_.back().linear.in_features();
    }
    [[nodiscard]] index_t out_features() const noexcept {
        return parts_.empty() ? 0 : parts_.front().linear.out_features();
    }
    [[nodiscard]] index_t scratch_bytes(index_t n_tokens, index_t concurrency) const noexcept {
        index_t inner = 0;
        for (const Part& part : parts_)
            inner = std::max(inner, index_t{part.linear.scratch_bytes(n_tokens, concurrency)});
        return (parts_.size() > 1 ? buffer_bytes(n_tokens) : 0) + inner;
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte> scratch,
                    E& executor) const {
        if (parts_.empty()) return;
        const L& first = parts_.front().linear;
        first(x.slice(1, 0, first.in_features()), y, scratch, executor);
        if (parts_.size() == 1) return;
        float* const memory = reinterpret_cast<float*>(scratch.data());
        const auto inner = scratch.subspan(static_cast<std::size_t>(buffer_bytes(x.size(0))));
        detail::for_each_token_block(x.size(0), kTokenBlock, [&](index_t token, index_t n) {
            const View<float, 2> product(memory, {n, out_features()});
            for (std::size_t p = 1; p < parts_.size(); ++p) {
                const Part& part = parts_[p];
                part.linear(x.slice(0, token, n).slice(1, part.first, part.linear.in_features()),
                            product, inner, executor);
                detail::accumulate(1.0F, product, y.slice(0, token, n));
            }
        });
    }

  private:
    struct Part {
        L linear;
        index_t first;  ///< input
    };
    static constexpr index_t kTokenBlock = 64;

    [[nodiscard]] index_t buffer_bytes(index_t n_tokens) const noexcept {
        const index_t floats = std::min(n_tokens, kTokenBlock) * out_features();
        return (floats + 15) / 16 * 64;
    }

    std::vector<Part> parts_;
};

}  // namespace deltanet
