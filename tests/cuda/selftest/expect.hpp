// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The executor tested by kernels that are wrong in one way each, and by their correct twins.
#pragma once

#include "cuda/device.hpp"
#include "kernels_cuda/device.cuh"
#include "kernels_cuda/launch.cuh"

#include <string>
#include <utility>
#include <vector>

namespace deltanet::test {

/// Schedules that every bug must show in: all orders, with and without preemption.
[[nodiscard]] inline std::vector<simt::Schedule> all_schedules() {
    std::vector<simt::Schedule> list;
    for (simt::Schedule schedule : simt::schedules(8)) {
        for (const bool late : {true, false}) {
            schedule.late_async = late;
            list.push_back(schedule);
        }
    }
    return list;
}

/// One launch of a kernel that may be wrong: nothing is thrown.
template <class... Parameters, class... Arguments>
cudaError_t try_launch(void (*kernel)(Parameters...), unsigned n_blocks, unsigned n_threads,
                       Arguments&&... arguments) {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(n_blocks);
    config.blockDim = dim3(n_threads);
    config.dynamicSmemBytes = 8 << 10;
    return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

/// `run()` in every schedule: each time one of the findings contains `wanted`, and `place` if there
/// is one.
template <class F>
void expect_finding(const std::string& wanted, F&& run, const std::string& place = "") {
    for (const simt::Schedule& schedule : all_schedules()) {
        simt::schedule = schedule;
        static_cast<void>(simt::take_findings());
        run();
        bool found = false;
        std::string all;
        for (const std::string& finding : simt::take_findings()) {
            all += finding + "\n";
            found = found || (finding.find(wanted) != std::string::npos &&
                              finding.find(place) != std::string::npos);
        }
        INFO("wanted: " << wanted << " " << place << "\norder " << static_cast<int>(schedule.order)
                        << ", late_async " << schedule.late_async << "\nfound:\n"
                        << all);
        CHECK(found);
    }
    simt::schedule = {};
    static_cast<void>(cudaGetLastError());
}

/// The same for what only instrumented builds see: in others nothing may be found, since what they
/// see is not enough to judge by.
template <class F>
void expect_checked_finding(const std::string& wanted, F&& run, const std::string& place = "") {
    if (simt::instrumented) expect_finding(wanted, run, place);
}

template <class F>
void expect_clean(F&& run) {
    for (const simt::Schedule& schedule : all_schedules()) {
        simt::schedule = schedule;
        static_cast<void>(simt::take_findings());
        run();
        std::string all;
        for (const std::string& finding : simt::take_findings()) all += finding + "\n";
        INFO("order " << static_cast<int>(schedule.order) << ", late_async " << schedule.late_async
                      << "\nfound:\n"
                      << all);
        CHECK(all.empty());
    }
    simt::schedule = {};
}

/// Where a marked line of a test file is, as findings spell it.
[[nodiscard]] inline std::string place(const std::string& file, int line) {
    return file + ":" + std::to_string(line);
}

/// What most kernels here work on.
struct TwoRows {
    alignas(16) float a[64];
    alignas(16) float b[64];
};

/// 256 elements of device memory that were written, or not.
struct Buffer {
    explicit Buffer(bool written = false) : tensor({256}) {
        if (written) tensor.upload(std::vector<float>(256, 1.0F));
    }
    operator float*() { return tensor.data(); }

    DeviceTensor<float, 1> tensor;
};

}  // namespace deltanet::test
