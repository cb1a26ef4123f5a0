// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A linear operator out of any callable: the shortest way from an engine's own (quantised,
/// sharded, remote) matrix product into the layer.
#pragma once

#include <deltanet/linear_operator.hpp>

#include <functional>
#include <utility>

namespace deltanet {

/// Calls `f(View<const float, 2> x, View<float, 2> y)`, which fills y [n_tokens, out] from x
/// [n_tokens, in] and uses the engine's own threads and scratch. The default callable type lets one
/// layer mix different kinds of matrices; a lambda's own type saves the indirect call.
template <class F = std::function<void(View<const float, 2>, View<float, 2>)>>
class CallableLinear {
  public:
    CallableLinear() = default;
    CallableLinear(index_t in_features, index_t out_features, F f)
        : in_features_(in_features), out_features_(out_features), f_(std::move(f)) {}

    [[nodiscard]] index_t in_features() const noexcept { return in_features_; }
    [[nodiscard]] index_t out_features() const noexcept { return out_features_; }
    [[nodiscard]] index_t scratch_bytes(index_t /*n_tokens*/,
                                        index_t /*concurrency*/) const noexcept {
        return 0;
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte>, E&) const {
        f_(x, y);
    }

  private:
    index_t in_features_ = 0;
    index_t out_features_ = 0;
    F f_{};
};

static_assert(LinearOperator<CallableLinear<>>);

}  // namespace deltanet
