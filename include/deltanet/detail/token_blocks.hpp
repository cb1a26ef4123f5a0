// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tokens in blocks, for linear operators that have memory for the products of some of them only.
#pragma once

#include <deltanet/views.hpp>

namespace deltanet::detail {

/// f(first, n) over blocks of at most `most` tokens, of near-equal size: of several tokens none is
/// ever alone, as a token alone may be summed in another order.
template <class F>
void for_each_token_block(index_t n_tokens, index_t most, F&& f) {
    const index_t blocks = (n_tokens + most - 1) / most;
    for (index_t block = 0; block < blocks; ++block) {
        const index_t first = n_tokens * block / blocks;
        f(first, n_tokens * (block + 1) / blocks - first);
    }
}

/// y += scale product, [n_tokens, width] both.
inline void accumulate(float scale, View<const float, 2> product, View<float, 2> y) noexcept {
    for (index_t t = 0; t < product.size(0); ++t) {
        const float* const from = product.ptr(t);
        float* const to = y.ptr(t);
        for (index_t i = 0; i < product.size(1); ++i) to[i] += scale * from[i];
    }
}

}  // namespace deltanet::detail
