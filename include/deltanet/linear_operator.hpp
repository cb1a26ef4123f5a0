// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The projection concept: how the layer multiplies by a weight matrix that only the engine may
/// know.
#pragma once

#include <deltanet/executor.hpp>
#include <deltanet/views.hpp>

#include <concepts>
#include <cstddef>
#include <span>

namespace deltanet {

/// `w(x, y, scratch, executor)` sets y[t, o] = sum_i W[o, i] x[t, i] for x [n_tokens,
/// in_features()] and y [n_tokens, out_features()], both with innermost stride 1 and a row stride
/// that may exceed the row: y is often a range of columns of a wider buffer, and nothing outside it
/// may be written. x and y do not overlap. `scratch` has at least `scratch_bytes(n_tokens,
/// executor.concurrency())` bytes, aligned to 64; a call is never larger than the n_tokens asked
/// for. The operator may use the executor or not. For results that do not depend on the batch
/// around a token, y[t, :] must depend on x[t, :] alone.
template <class L>
concept LinearOperator = requires(const L& w, View<const float, 2> x, View<float, 2> y,
                                  std::span<std::byte> scratch, SequentialExecutor& executor,
                                  index_t n) {
    { w.in_features() } -> std::convertible_to<index_t>;
    { w.out_features() } -> std::convertible_to<index_t>;
    { w.scratch_bytes(n, n) } -> std::convertible_to<index_t>;
    w(x, y, scratch, executor);
};

}  // namespace deltanet
