// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Sixteen columns of one head's state S [d_k, d_v] in the registers of a warp. A lane holds
/// kColumns neighbouring columns, 16 bytes of storage, of every row that is its group's: with
/// float32 states 4 column lanes x 8 row groups, with 16-bit ones 2 x 16. Rows come in fours, so
/// that the key's elements of a lane are one 16-byte access to shared memory, without bank
/// conflicts: the groups' fours lie side by side and column lanes read the same ones.
///
/// Products with a key and a query at once end where they are needed: `read` leaves S^T k of one
/// column in each lane of the lower half of the warp, and S^T q of the same column in the upper
/// half, after 2 kColumns - 1 shuffles.
#pragma once

#include "device.cuh"
#include "lane_row.cuh"
#include "storage.cuh"

#include <type_traits>

namespace deltanet::cuda {

inline constexpr int kTileColumns = 16;

/// Column of its warp's tile that a lane owns when products are complete: the same in both halves.
template <class S>
__device__ __forceinline__ int owned_column(int lane) {
    constexpr int columns = 16 / static_cast<int>(sizeof(S));
    constexpr int column_lanes = kTileColumns / columns;
    return lane % column_lanes * columns + lane % kTileColumns / column_lanes;
}

/// kRows: d_k at most, 64, 128 or 256; rows from d_k on are zeros and never touched in memory.
template <class S, int kRows>
struct StateTile {
    static constexpr int kColumns = 16 / static_cast<int>(sizeof(S));
    static constexpr int kColumnLanes = kTileColumns / kColumns;
    static constexpr int kGroups = lanes_per_warp / kColumnLanes;
    static constexpr int kFours = kRows / (4 * kGroups);
    static_assert(kFours * 4 * kGroups == kRows);

    using Columns = Array<float, kColumns>;
    Array<Columns[4], kFours> s;

    /// Row of the state that s[four][i] holds is row_of(four, lane) + i.
    [[nodiscard]] static __device__ __forceinline__ int row_of(int four, int lane) {
        return (four * kGroups + lane / kColumnLanes) * 4;
    }
    /// First column of a lane in its tile.
    [[nodiscard]] static __device__ __forceinline__ int column_of(int lane) {
        return lane % kColumnLanes * kColumns;
    }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int four = 0; four < kFours; ++four) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c) s[four][i][c] = 0.0F;
            }
        }
    }

    /// From rows `stride` apart; `from`: the lane's first column, of which `count` exist. All loads
    /// are independent of each other, so that they are under way together.
    __device__ __forceinline__ void load(const S* from, index_t stride, int d_k, int count,
                                         bool vector, int lane) {
        clear();
        if (vector) {
            for_each_row(d_k, count, lane, [&](int row, Columns& columns) {
                load_stored(from + row * stride, columns);
            });
        } else {
            for_each_row(d_k, count, lane, [&](int row, Columns& columns) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c) {
                    if (c < count) columns[c] = as_float(from[row * stride + c]);
                }
            });
        }
    }
    __device__ __forceinline__ void store(S* to, index_t stride, int d_k, int count, bool vector,
                                          int lane) {
        if (vector) {
            for_each_row(d_k, count, lane, [&](int row, const Columns& columns) {
                store_stored(to + row * stride, columns);
            });
        } else {
            for_each_row(d_k, count, lane, [&](int row, const Columns& columns) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c) {
                    if (c < count) to[row * stride + c] = stored<S>(columns[c]);
                }
            });
        }
    }
    /// What `store` has written, as `load` would read it.
    __device__ __forceinline__ void round() {
        if constexpr (!std::is_same_v<S, float>) {
#pragma unroll
            for (int four = 0; four < kFours; ++four) {
#pragma unroll
                for (int i = 0; i < 4; ++i) {
#pragma unroll
                    for (int c = 0; c < kColumns; ++c)
                        s[four][i][c] = as_float(stored<S>(s[four][i][c]));
                }
            }
        }
    }

    /// S^T k in the lower half of the warp, S^T q in the upper one, each lane its owned_column.
    /// k and q [kRows] in shared memory, aligned to 16 bytes.
    __device__ __forceinline__ float read(const float* k, const float* q, int lane) const {
        Array<float, 2 * kColumns> sums = {};
#pragma unroll
        for (int four = 0; four < kFours; ++four) {
            const float4 k4 = load128(k + row_of(four, lane));
            const float4 q4 = load128(q + row_of(four, lane));
            const float k_of[4] = {k4.x, k4.y, k4.z, k4.w};
            const float q_of[4] = {q4.x, q4.y, q4.z, q4.w};
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c) {
                    sums[c] = fmaf(s[four][i][c], k_of[i], sums[c]);
                    sums[kColumns + c] = fmaf(s[four][i][c], q_of[i], sums[kColumns + c]);
                }
            }
        }
        exchange<kColumns, lanes_per_warp / 2>(sums, lane);
        return sums[0];
    }

    /// A value of every owned column, as `read` leaves it in the lower half of the warp, in the
    /// lanes that hold these columns.
    static __device__ __forceinline__ void spread(float owned, int lane, Columns& own) {
#pragma unroll
        for (int c = 0; c < kColumns; ++c)
            own[c] = __shfl_sync(all_lanes, owned, c * kColumnLanes + lane % kColumnLanes);
    }

    /// S = decay S.
    __device__ __forceinline__ void scale(float decay) {
#pragma unroll
        for (int four = 0; four < kFours; ++four) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c) s[four][i][c] *= decay;
            }
        }
    }
    /// S = S + k u^T; u of the lane's columns.
    __device__ __forceinline__ void add(const float* k, const Columns& u, int lane) {
#pragma unroll
        for (int four = 0; four < kFours; ++four) {
            const float4 k4 = load128(k + row_of(four, lane));
            const float k_of[4] = {k4.x, k4.y, k4.z, k4.w};
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c)
                    s[four][i][c] = fmaf(k_of[i], u[c], s[four][i][c]);
            }
        }
    }
    /// S = decay S + k u^T with a decay per row.
    __device__ __forceinline__ void decay_and_add(const float* decay, const float* k,
                                                  const Columns& u, int lane) {
#pragma unroll
        for (int four = 0; four < kFours; ++four) {
            const float4 d4 = load128(decay + row_of(four, lane));
            const float4 k4 = load128(k + row_of(four, lane));
            const float d_of[4] = {d4.x, d4.y, d4.z, d4.w};
            const float k_of[4] = {k4.x, k4.y, k4.z, k4.w};
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c)
                    s[four][i][c] = fmaf(k_of[i], u[c], d_of[i] * s[four][i][c]);
            }
        }
    }

  private:
    /// Halves what a lane is responsible for, sums[0, 2 kHalf): first k or q, then the columns.
    template <int kHalf, int kOffset>
    static __device__ __forceinline__ void exchange(Array<float, 2 * kColumns>& sums, int lane) {
        const bool upper = (lane & kOffset) != 0;
#pragma unroll
        for (int i = 0; i < kHalf; ++i) {
            const float give = upper ? sums[i] : sums[kHalf + i];
            const float keep = upper ? sums[kHalf + i] : sums[i];
            sums[i] = keep + __shfl_xor_sync(all_lanes, give, kOffset);
        }
        if constexpr (kHalf > 1) exchange<kHalf / 2, kOffset / 2>(sums, lane);
    }

    /// f(row, columns) for the rows that exist, if columns do.
    template <class F>
    __device__ __forceinline__ void for_each_row(int d_k, int count, int lane, const F& f) {
#pragma unroll
        for (int four = 0; four < kFours; ++four) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int row = row_of(four, lane) + i;
                if (row < d_k && count > 0) f(row, s[four][i]);
            }
        }
    }
};

}  // namespace deltanet::cuda
