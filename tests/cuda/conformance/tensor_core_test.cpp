// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
// mma.sync and ldmatrix, one element at a time, against the tables of the PTX ISA (sections "Matrix
// fragments for mma.m16n8k16 with floating point type" and "ldmatrix"). The executor's models and
// the inline PTX were written by the same hands: on a GPU these tests are what compares them.
#include "cuda/device.hpp"
#include "kernels_cuda/device.cuh"
#include "kernels_cuda/launch.cuh"

#include <cstdint>

namespace {

using namespace deltanet;
using namespace deltanet::test;

// The tables, in their own words: element i of the lane's fragment.
struct Place {
    int row;
    int column;
};
Place a_element(int lane, int i) {
    const int group_id = lane >> 2;
    const int thread_in_group = lane % 4;
    const bool upper = (0 <= i && i < 2) || (4 <= i && i < 6);
    return {upper ? group_id : group_id + 8,
            i < 4 ? thread_in_group * 2 + (i & 1) : thread_in_group * 2 + (i & 1) + 8};
}
Place b_element(int lane, int i) {
    const int thread_in_group = lane % 4;
    return {i < 2 ? thread_in_group * 2 + (i & 1) : thread_in_group * 2 + (i & 1) + 8, lane >> 2};
}
Place c_element(int lane, int i) {
    return {i < 2 ? lane >> 2 : (lane >> 2) + 8, lane % 4 * 2 + (i & 1)};
}

constexpr int n_lanes = 32;
constexpr int n_a = 8;  // elements of a lane
constexpr int n_b = 4;
constexpr int n_c = 4;

/// Small integers, exact in bf16 and in sums.
float a_value(int row, int column) { return static_cast<float>((row * 16 + column) % 251 - 125); }
float b_value(int row, int column) { return static_cast<float>((row * 8 + column) % 127 - 63); }
float c_value(int row, int column) { return static_cast<float>(row * 8 + column + 1000); }

/// Registers of all lanes, each of two elements: [lane][register].
template <class F>
std::vector<std::uint32_t> pairs(int n_elements, F&& element) {
    std::vector<std::uint32_t> registers;
    for (int lane = 0; lane < n_lanes; ++lane) {
        for (int i = 0; i < n_elements; i += 2) {
            const std::uint32_t low = to_bf16(element(lane, i)).bits;
            const std::uint32_t high = to_bf16(element(lane, i + 1)).bits;
            registers.push_back(low | high << 16);
        }
    }
    return registers;
}

/// Product number blockIdx.x: registers a [block, lane, 4], b [block, lane, 2], sums c [lane, 4].
__global__ void multiply(const std::uint32_t* a, const std::uint32_t* b, const float* c, float* d) {
    const int lane = cuda::lane_index();
    const int at = static_cast<int>(blockIdx.x) * n_lanes + lane;
    std::uint32_t a_registers[4];
    std::uint32_t b_registers[2];
    float sums[4];
    for (int i = 0; i < 4; ++i) a_registers[i] = a[at * 4 + i];
    for (int i = 0; i < 2; ++i) b_registers[i] = b[at * 2 + i];
    for (int i = 0; i < 4; ++i) sums[i] = c[lane * 4 + i];
    cuda::ptx::mma_m16n8k16_bf16(sums, a_registers, b_registers);
    for (int i = 0; i < 4; ++i) d[at * 4 + i] = sums[i];
}

/// The sums [block, lane, 4] of several products.
std::vector<float> products(const std::vector<std::uint32_t>& a,
                            const std::vector<std::uint32_t>& b) {
    const auto n = static_cast<index_t>(a.size()) / (n_lanes * 4);
    std::vector<float> c;
    for (int lane = 0; lane < n_lanes; ++lane) {
        for (int i = 0; i < n_c; ++i) {
            const Place at = c_element(lane, i);
            c.push_back(c_value(at.row, at.column));
        }
    }
    return for_each_schedule([&] {
        DeviceTensor<std::uint32_t, 3> device_a({n, n_lanes, 4}, a);
        DeviceTensor<std::uint32_t, 3> device_b({n, n_lanes, 2}, b);
        DeviceTensor<float, 2> device_c({n_lanes, 4}, c);
        DeviceTensor<float, 3> device_d({n, n_lanes, 4});
        cuda::launch(multiply, dim3(static_cast<unsigned>(n)), dim3(n_lanes), 0, nullptr,
                     device_a.data(), device_b.data(), device_c.data(), device_d.data());
        return device_d.download();
    });
}

void append(std::vector<std::uint32_t>& all, const std::vector<std::uint32_t>& more) {
    all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

TEST_CASE("cuda conformance: mma.m16n8k16, a of one element") {
    std::vector<std::uint32_t> a;
    std::vector<std::uint32_t> b;
    for (int position = 0; position < n_lanes * n_a; ++position) {
        append(a, pairs(n_a,
                        [&](int lane, int i) { return lane * n_a + i == position ? 1.0F : 0.0F; }));
        append(b, pairs(n_b, [](int lane, int i) {
                   return b_value(b_element(lane, i).row, b_element(lane, i).column);
               }));
    }
    const std::vector<float> d = products(a, b);
    std::size_t next = 0;
    int n_wrong = 0;
    for (int position = 0; position < n_lanes * n_a; ++position) {
        const Place one = a_element(position / n_a, position % n_a);
        for (int lane = 0; lane < n_lanes; ++lane) {
            for (int i = 0; i < n_c; ++i, ++next) {
                const Place at = c_element(lane, i);
                const float product = at.row == one.row ? b_value(one.column, at.column) : 0.0F;
                if (d[next] != c_value(at.row, at.column) + product) ++n_wrong;
            }
        }
    }
    CHECK(n_wrong == 0);
}

TEST_CASE("cuda conformance: mma.m16n8k16, b of one element") {
    std::vector<std::uint32_t> a;
    std::vector<std::uint32_t> b;
    for (int position = 0; position < n_lanes * n_b; ++position) {
        append(a, pairs(n_a, [](int lane, int i) {
                   return a_value(a_element(lane, i).row, a_element(lane, i).column);
               }));
        append(b, pairs(n_b,
                        [&](int lane, int i) { return lane * n_b + i == position ? 1.0F : 0.0F; }));
    }
    const std::vector<float> d = products(a, b);
    std::size_t next = 0;
    int n_wrong = 0;
    for (int position = 0; position < n_lanes * n_b; ++position) {
        const Place one = b_element(position / n_b, position % n_b);
        for (int lane = 0; lane < n_lanes; ++lane) {
            for (int i = 0; i < n_c; ++i, ++next) {
                const Place at = c_element(lane, i);
                const float product = at.column == one.column ? a_value(at.row, one.row) : 0.0F;
                if (d[next] != c_value(at.row, at.column) + product) ++n_wrong;
            }
        }
    }
    CHECK(n_wrong == 0);
}

namespace {

constexpr int n_rows = 32;  // of four matrices

struct Matrices {
    alignas(16) std::uint16_t element[n_rows * 8];
};

/// Where the row of a lane lies: not in order, so that the address of each lane matters. Twice the
/// same would do no harm, but there are none.
__host__ __device__ constexpr int row_of(int lane) { return lane * 11 % n_rows; }

enum class Form { x4, x2, x4_trans, x2_trans };

/// Registers [lane, 4] of elements that each have their own number, row * 8 + column.
__global__ void load_matrices(std::uint32_t* registers, Form form) {
    auto& shared = cuda::shared_storage<Matrices>();
    const int lane = cuda::lane_index();
    for (int i = 0; i < 8; ++i) {
        shared.element[lane * 8 + i] = static_cast<std::uint16_t>(lane * 8 + i);
    }
    __syncthreads();
    const void* const row = &shared.element[row_of(lane) * 8];
    std::uint32_t four[4] = {0, 0, 0, 0};
    std::uint32_t two[2] = {0, 0};
    if (form == Form::x4) cuda::ptx::ldmatrix_x4(four, row);
    if (form == Form::x4_trans) cuda::ptx::ldmatrix_x4_trans(four, row);
    if (form == Form::x2) cuda::ptx::ldmatrix_x2(two, row);
    if (form == Form::x2_trans) cuda::ptx::ldmatrix_x2_trans(two, row);
    const bool is_four = form == Form::x4 || form == Form::x4_trans;
    for (int i = 0; i < 4; ++i) {
        registers[lane * 4 + i] = is_four ? four[i] : i < 2 ? two[i % 2] : 0;
    }
}

void check_matrices(Form form, int n_matrices, bool transposed) {
    const auto registers = for_each_schedule([&] {
        DeviceTensor<std::uint32_t, 2> device({n_lanes, 4});
        cuda::launch(load_matrices, dim3(1), dim3(n_lanes), sizeof(Matrices), nullptr,
                     device.data(), form);
        return device.download();
    });
    for (int lane = 0; lane < n_lanes; ++lane) {
        for (int matrix = 0; matrix < n_matrices; ++matrix) {
            for (int half = 0; half < 2; ++half) {
                // "Each thread loads a fragment of a row": thread 4 r + c has elements 2 c and
                // 2 c + 1 of row r; transposed, the matrix is loaded in column-major order.
                const int r = lane / 4;
                const int c = lane % 4 * 2 + half;
                const int row = row_of(matrix * 8 + (transposed ? c : r));
                const int expected = row * 8 + (transposed ? r : c);
                const std::uint32_t pair = registers[static_cast<std::size_t>(lane * 4 + matrix)];
                CAPTURE(lane, matrix, half);
                CHECK(static_cast<int>(half == 0 ? pair & 0xFFFFU : pair >> 16) == expected);
            }
        }
    }
}

}  // namespace

TEST_CASE("cuda conformance: ldmatrix") {
    check_matrices(Form::x4, 4, false);
    check_matrices(Form::x2, 2, false);
    check_matrices(Form::x4_trans, 4, true);
    check_matrices(Form::x2_trans, 2, true);
}
