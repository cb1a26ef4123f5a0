// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tensors in device memory, and runs of a test under several schedules. The same source runs on a
/// GPU (built by nvcc) and on the host (over simt/cuda_runtime.h).
#pragma once

#include "cpu/tensor.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/views.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda_runtime.h>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(DELTANET_SIMT)
#include "findings.hpp"
#include "metrics.hpp"
#include "schedule.hpp"
#endif

namespace deltanet::test {

inline void require_success(cudaError_t error) {
    INFO("CUDA: " << cudaGetErrorString(error));
    REQUIRE(error == cudaSuccess);
}

#if !defined(DELTANET_SIMT)
/// Built by nvcc and started without a GPU, a program says so and is counted as skipped.
inline const bool has_device = [] {
    int n = 0;
    if (cudaGetDeviceCount(&n) == cudaSuccess && n > 0) return true;
    std::puts("SKIP: no CUDA device");
    std::fflush(stdout);
    std::_Exit(77);
}();
#endif

/// A tensor in device memory, as `Tensor` is one in the host's. Strides may be padded, and between
/// and behind the elements lies what nobody may read or write: on the host memory that counts as
/// never written, everywhere a NaN.
template <class T, int Rank>
class DeviceTensor {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    /// Undefined elements. Outer strides are `padding` elements more than dense ones; the first
    /// element lies `misalign` elements behind the 256 bytes that cudaMalloc aligns to.
    explicit DeviceTensor(const Shape<Rank>& shape, index_t padding = 0, index_t misalign = 0)
        : shape_(shape), first_(misalign) {
        index_t step = 1;
        for (int d = Rank - 1; d >= 0; --d) {
            strides_[at(d)] = step;
            step = step * shape[at(d)] + (d > 0 ? padding : 0);
        }
        n_elements_ = step + misalign;
        if (n_elements_ > 0) require_success(cudaMalloc(&memory_, bytes()));
#if !defined(DELTANET_SIMT)
        if (n_elements_ > 0) require_success(cudaMemset(memory_, 0xFF, bytes()));
#endif
    }

    /// Elements in order.
    DeviceTensor(const Shape<Rank>& shape, const std::vector<T>& values, index_t padding = 0,
                 index_t misalign = 0)
        : DeviceTensor(shape, padding, misalign) {
        upload(values);
    }

    ~DeviceTensor() { static_cast<void>(cudaFree(memory_)); }
    DeviceTensor(const DeviceTensor&) = delete;
    DeviceTensor& operator=(const DeviceTensor&) = delete;
    DeviceTensor(DeviceTensor&& other) noexcept
        : shape_(other.shape_),
          strides_(other.strides_),
          first_(other.first_),
          n_elements_(std::exchange(other.n_elements_, 0)),
          memory_(std::exchange(other.memory_, nullptr)) {}

    /// Points to device memory.
    [[nodiscard]] View<T, Rank> view() { return {data(), shape_, strides_}; }
    [[nodiscard]] View<const T, Rank> cview() { return view(); }
    [[nodiscard]] T* data() { return memory_ == nullptr ? nullptr : memory_ + first_; }

    void upload(const std::vector<T>& values) {
        REQUIRE(static_cast<index_t>(values.size()) == view().count());
        std::size_t next = 0;
        for_each_row([&](T* row, std::size_t n) {
            require_success(
                cudaMemcpy(row, values.data() + next, n * sizeof(T), cudaMemcpyHostToDevice));
            next += n;
        });
    }

    /// Elements in order, after everything that was started.
    [[nodiscard]] std::vector<T> download() {
        require_success(cudaDeviceSynchronize());
        std::vector<T> values(static_cast<std::size_t>(view().count()));
        std::size_t next = 0;
        for_each_row([&](T* row, std::size_t n) {
            require_success(
                cudaMemcpy(values.data() + next, row, n * sizeof(T), cudaMemcpyDeviceToHost));
            next += n;
        });
        return values;
    }

  private:
    static constexpr std::size_t at(int dim) { return static_cast<std::size_t>(dim); }
    [[nodiscard]] std::size_t bytes() const {
        return static_cast<std::size_t>(n_elements_) * sizeof(T);
    }

    /// f(pointer, elements) for each contiguous piece: a row, or everything.
    template <class F>
    void for_each_row(F&& f) {
        if (view().empty()) return;
        if (strides_ == View<T, Rank>(nullptr, shape_).strides()) {
            f(data(), static_cast<std::size_t>(view().count()));
        } else {
            visit(data(), 0, f);
        }
    }
    template <class F>
    void visit(T* p, int dim, F& f) {
        if (dim + 1 == Rank) {
            f(p, static_cast<std::size_t>(shape_[at(dim)]));
            return;
        }
        for (index_t i = 0; i < shape_[at(dim)]; ++i, p += strides_[at(dim)]) visit(p, dim + 1, f);
    }

    Shape<Rank> shape_;
    Shape<Rank> strides_{};
    index_t first_ = 0;
    index_t n_elements_ = 0;
    T* memory_ = nullptr;
};

template <class T>
[[nodiscard]] bool same_results(const std::vector<T>& a, const std::vector<T>& b) {
    return bit_equal(a, b);
}
template <class... T>
[[nodiscard]] bool same_results(const std::tuple<T...>& a, const std::tuple<T...>& b) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return (same_results(std::get<I>(a), std::get<I>(b)) && ...);
    }
    (std::index_sequence_for<T...>());
}
template <class A, class B>
[[nodiscard]] bool same_results(const std::pair<A, B>& a, const std::pair<A, B>& b) {
    return same_results(a.first, b.first) && same_results(a.second, b.second);
}

/// Runs `run()`, which returns the results on the host (a vector; a pair or tuple of vectors),
/// under each schedule and returns them. Requires that the executor finds nothing wrong, and the
/// same bits every time. On a GPU it runs a few times, for the same bits.
///
/// The environment's DELTANET_SIMT_SCHEDULES is the number of thread orders (4). Each is run twice,
/// with cp.async that land late and early, if there is any.
template <class F>
auto for_each_schedule(F&& run) {
#if defined(DELTANET_SIMT)
    const char* const wanted = std::getenv("DELTANET_SIMT_SCHEDULES");
    const int n = wanted == nullptr ? 4 : std::atoi(wanted);
    REQUIRE(n > 0);
    const auto list = simt::schedules(static_cast<unsigned>(n));
    const auto run_one = [&](simt::Schedule schedule) {
        simt::schedule = schedule;
        static_cast<void>(simt::take_findings());
        auto results = run();
        std::string text;
        for (const std::string& finding : simt::take_findings()) text += finding + "\n";
        INFO("schedule: order " << static_cast<int>(schedule.order) << ", seed " << schedule.seed
                                << ", preempt_every " << schedule.preempt_every << ", late_async "
                                << schedule.late_async << "\nfindings:\n"
                                << text);
        REQUIRE(text.empty());
        return results;
    };
    const auto copies_before = simt::metrics.async_copies;
    auto first = run_one(list.front());
    const bool is_async = simt::metrics.async_copies != copies_before;
    for (std::size_t i = 0; i < list.size(); ++i) {
        for (const bool late : {true, false}) {
            if ((i == 0 && late) || (!late && !is_async)) continue;
            simt::Schedule schedule = list[i];
            schedule.late_async = late;
            const auto results = run_one(schedule);
            INFO("schedule: order " << static_cast<int>(schedule.order) << ", seed "
                                    << schedule.seed << ", late_async " << late);
            REQUIRE(same_results(first, results));
        }
    }
    simt::schedule = {};
#else
    auto first = run();
    for (int repeat = 0; repeat < 2; ++repeat) REQUIRE(same_results(first, run()));
#endif
    return first;
}

}  // namespace deltanet::test
