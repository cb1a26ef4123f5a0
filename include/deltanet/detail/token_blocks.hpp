// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tokens in blocks, for what has memory for some of them only.
#pragma once

#include <deltanet/config.hpp>

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

}  // namespace deltanet::detail
