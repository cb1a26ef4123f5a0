// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Sixteen columns of one head's state S [d_k, d_v] in the registers of a warp. A lane holds
/// kColumns neighbouring columns, 16 bytes of storage, of every row that is its group's: with
/// float32 states 4 column lanes x 8 row groups, with 16-bit ones 2 x 16. Of int8 states it holds 4
/// columns too, a word of a row's integers, and rows in pairs, which share a word of residuals.
/// Rows come in fours, so that the key's elements of a lane are one 16-byte access to shared
/// memory, without bank conflicts: the groups' fours lie side by side and column lanes read the
/// same ones.
///
/// Products with a key and a query at once end where they are needed: `read` leaves S^T k of one
/// column in each lane of the lower half of the warp, and S^T q of the same column in the upper
/// half, after 2 kColumns - 1 shuffles.
#pragma once

#include "device.cuh"
#include "int8_state.cuh"
#include "lane_row.cuh"
#include "storage.cuh"

#include <type_traits>

namespace deltanet::cuda {

inline constexpr int kTileColumns = 16;

/// Neighbouring columns of a lane.
template <class S>
inline constexpr int kLaneColumns = std::is_same_v<S, i8> ? kWordColumns
                                                          : 16 / static_cast<int>(sizeof(S));

/// Lanes side by side.
template <class S>
inline constexpr int kColumnLanes = kTileColumns / kLaneColumns<S>;

/// First column of a lane in its warp's tile.
template <class S>
__device__ __forceinline__ int first_column(int lane) {
    return lane % kColumnLanes<S> * kLaneColumns<S>;
}

/// Column of its warp's tile that a lane owns when products are complete: the same in both halves.
template <class S>
__device__ __forceinline__ int owned_column(int lane) {
    return first_column<S>(lane) + lane % kTileColumns / kColumnLanes<S>;
}

/// kRows: d_k at most, 64, 128 or 256; rows from d_k on are zeros and never touched in memory.
template <class S, int kRows>
struct StateTile {
    static constexpr int kColumns = kLaneColumns<S>;
    static constexpr int kLanes = kColumnLanes<S>;
    static constexpr int kGroups = lanes_per_warp / kLanes;
    static constexpr int kFours = kRows / (4 * kGroups);
    static_assert(kFours * 4 * kGroups == kRows);

    using Columns = Array<float, kColumns>;
    Array<Columns[4], kFours> s;

    /// Row of the state that s[four][i] holds is row_of(four, lane) + i.
    [[nodiscard]] static __device__ __forceinline__ int row_of(int four, int lane) {
        return (four * kGroups + lane / kLanes) * 4;
    }

    __device__ __forceinline__ void clear() {
        for_each_column([](int, float& x) { x = 0.0F; });
    }

    /// `from`: columns from the lane's first one on, of which `count` exist; `vector`: a lane's are
    /// one access. `coarse`: of int8 states the integers alone, times the scale. All loads are
    /// independent of each other, so that they are under way together.
    __device__ __forceinline__ void load(const StateColumns<S>& from, int d_k, int count,
                                         bool vector, [[maybe_unused]] bool coarse, int lane) {
        clear();
        if constexpr (std::is_same_v<S, i8>) {
            load_int8(from, d_k, count, vector, coarse, lane);
        } else if (vector) {
            for_each_row(d_k, count, lane,
                         [&](int row, Columns& columns) { load_stored(from.row(row), columns); });
        } else {
            for_each_row(d_k, count, lane, [&](int row, Columns& columns) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c) {
                    if (c < count) columns[c] = as_float(from.row(row)[c]);
                }
            });
        }
    }
    /// Rounded. What is left in the tile is what a coarse `load` would read.
    __device__ __forceinline__ void store(const StateColumns<S>& to, int d_k, int count,
                                          bool vector, int lane) {
        if constexpr (std::is_same_v<S, i8>) {
            store_int8(to, d_k, count, vector, lane);
        } else if (vector) {
            for_each_row(d_k, count, lane, [&](int row, const Columns& columns) {
                store_stored(to.row(row), columns);
            });
        } else {
            for_each_row(d_k, count, lane, [&](int row, const Columns& columns) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c) {
                    if (c < count) to.row(row)[c] = stored<S>(columns[c]);
                }
            });
        }
        if constexpr (sizeof(S) == 2) {
            for_each_column([](int, float& x) { x = as_float(stored<S>(x)); });
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
            own[c] = __shfl_sync(all_lanes, owned, c * kLanes + lane % kLanes);
    }

    /// S = decay S.
    __device__ __forceinline__ void scale(float decay) {
        for_each_column([=](int, float& x) { x *= decay; });
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

    /// f(column of the lane, element) for all that the lane holds.
    template <class F>
    __device__ __forceinline__ void for_each_column(const F& f) {
#pragma unroll
        for (int four = 0; four < kFours; ++four) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
                for (int c = 0; c < kColumns; ++c) f(c, s[four][i][c]);
            }
        }
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
    /// f(even row, its columns, those of the next one) for the pairs whose first row exists.
    template <class F>
    __device__ __forceinline__ void for_each_pair(int d_k, int count, int lane, const F& f) {
#pragma unroll
        for (int four = 0; four < kFours; ++four) {
#pragma unroll
            for (int i = 0; i < 4; i += 2) {
                const int row = row_of(four, lane) + i;
                if (row < d_k && count > 0) f(row, s[four][i], s[four][i + 1]);
            }
        }
    }

    __device__ __forceinline__ void load_int8(const StateColumns<i8>& from, int d_k, int count,
                                              bool vector, bool coarse, int lane) {
        Columns scale = {};
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
            if (c < count) scale[c] = from.scale[c];
        }
        for_each_row(d_k, count, lane, [&](int row, Columns& columns) {
            unpack_integers(load_bytes(from.row(row), count, vector), columns);
        });
        if (!coarse) {
            for_each_pair(d_k, count, lane, [&](int row, Columns& even, Columns& odd) {
                const std::uint32_t word = load_bytes(from.residual_row(row), count, vector);
                add_residuals(word, 0, even);
                if (row + 1 < d_k) add_residuals(word, 1, odd);
            });
        }
        for_each_column([&](int c, float& x) { x *= scale[c]; });
    }

    __device__ __forceinline__ void store_int8(const StateColumns<i8>& to, int d_k, int count,
                                               bool vector, int lane) {
        Array<std::uint32_t, kColumns> largest = {};
        for_each_column(
            [&](int c, float x) { largest[c] = max(largest[c], Int8Scale::magnitude(x)); });
        Columns scale, inverse;
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
#pragma unroll
            for (int offset = kLanes; offset < lanes_per_warp; offset *= 2)
                largest[c] = max(largest[c], __shfl_xor_sync(all_lanes, largest[c], offset));
            const Int8Scale found = Int8Scale::of(largest[c]);
            scale[c] = found.scale;
            inverse[c] = found.inverse;
            if (c < count && lane < kLanes) to.scale[c] = found.scale;
        }
        for_each_pair(d_k, count, lane, [&](int row, Columns& even, Columns& odd) {
            std::uint32_t upper = 0, lower = 0, residuals = 0;
#pragma unroll
            for (int c = 0; c < kColumns; ++c) {
                const Int8Parts a = Int8Parts::of(even[c], inverse[c]);
                const Int8Parts b = Int8Parts::of(odd[c], inverse[c]);
                upper |= a.byte << (8 * c);
                lower |= b.byte << (8 * c);
                residuals |= (a.residual | b.residual << 4) << (8 * c);
                even[c] = a.integer;
                odd[c] = b.integer;
            }
            store_bytes(to.row(row), upper, count, vector);
            if (row + 1 < d_k) store_bytes(to.row(row + 1), lower, count, vector);
            store_bytes(to.residual_row(row), residuals, count, vector);
        });
        for_each_column([&](int c, float& x) { x *= scale[c]; });
    }
};

}  // namespace deltanet::cuda
