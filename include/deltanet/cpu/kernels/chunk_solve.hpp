// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Unit lower triangular solve of the chunked delta rule,  (I + A) U = R,  for one register tile of
/// rows:
///   u_i = r_i + sum_{j < i} (-A)_ij u_j
/// first over the rows above the tile, which are a matrix product, then inside the tile. Forward
/// substitution never reads the diagonal of A, and needs no inverse of I + A.
#pragma once

#include <deltanet/cpu/kernels/gemm_micro.hpp>

namespace deltanet::cpu::kernels {

/// u_i += (-A)_ij u_j for rows i > J of the tile; row J is final. minus_a points at the tile's
/// diagonal block.
template <int J, class Arch, class T, int Rows, int Batches, int... I>
DELTANET_FORCE_INLINE void eliminate_row(RegisterTile<Arch, T, Rows, Batches>& tile,
                                         const T* minus_a, index_t ld,
                                         std::integer_sequence<int, I...>) noexcept {
    using Batch = xsimd::batch<T, Arch>;
    constexpr int first = J + 1;
    [[maybe_unused]] const auto add = [&](int row, int batch) noexcept {
        tile.at(row, batch) =
            compat::fma(Batch(minus_a[row * ld + J]), tile.at(J, batch), tile.at(row, batch));
    };
    (add(first + I / Batches, I % Batches), ...);
}

template <class Arch, class T, int Rows, int Batches, int... J>
DELTANET_FORCE_INLINE void solve_inside(RegisterTile<Arch, T, Rows, Batches>& tile,
                                        const T* minus_a, index_t ld,
                                        std::integer_sequence<int, J...>) noexcept {
    (eliminate_row<J>(tile, minus_a, ld,
                      std::make_integer_sequence<int, (Rows - 1 - J) * Batches>{}),
     ...);
}

/// Rows [row, row + Rows) of U: the tile holds R on entry and U on return. minus_a [C, ld]; u holds
/// the rows above, [row, Batches] with stride ldu.
template <class Arch, class T, int Rows, int Batches>
DELTANET_FORCE_INLINE void chunk_solve(RegisterTile<Arch, T, Rows, Batches>& tile, const T* minus_a,
                                       index_t ld, const T* u, index_t ldu, index_t row) noexcept {
    tile.add_product(minus_a + row * ld, ld, 1, u, ldu, row);
    solve_inside(tile, minus_a + row * ld + row, ld, std::make_integer_sequence<int, Rows>{});
}

}  // namespace deltanet::cpu::kernels
