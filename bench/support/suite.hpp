// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// How a case is measured. Each sample is a pair taken within a few milliseconds: first what the
/// machine can do at this moment, then the case. The floor is the time that the case's arithmetic
/// or traffic takes at that ceiling; `floor_ratio` is the median of floor / measured over the
/// samples, 1.0 at best. The machine may be busy or change its clock: the pair sees the same.
#pragma once

#include <deltanet/executor.hpp>
#include <deltanet/thread_pool.hpp>

#include <functional>
#include <string>
#include <vector>

namespace deltanet::bench {

/// Another way to the same end, measured in every sample beside the case.
struct Rival {
    std::string name;
    std::function<void()> run;
};

struct Case {
    std::string name;  ///< <suite>_<dtype>_d<dk>[x<dv>]_<Hk>x<Hv>_T<tokens>_n<sequences>_t<threads>
    double tokens;     ///< per run: `us` is microseconds per token
    double units;      ///< per run: `cycles` is core cycles per unit (token-head, channel-token)
    std::function<void()> run;      ///< one call of what is measured
    std::function<double()> floor;  ///< seconds that one run takes at the ceiling, measured now
    std::function<void()> plain{};  ///< the same call in plain loops (plain.hpp), if it has one
    std::string note{};             ///< printed at the end of the line
    std::vector<Rival> rivals{};    ///< printed as vs_<name>: how many times as long each takes
    std::function<std::string()>
        detail{};  ///< more fields for the line, found out after the samples
};

/// Cases are made when their turn comes, as their buffers are large; a suite only says how.
struct CaseMaker {
    std::string name;
    std::function<Case()> make;
    int samples = 31;
};

using Suite = std::vector<CaseMaker>;

[[nodiscard]] Suite scan_suite();
[[nodiscard]] Suite decode_suite();
[[nodiscard]] Suite fused_suite();
[[nodiscard]] Suite linear_suite();
[[nodiscard]] Suite layer_suite();
[[nodiscard]] Suite state_suite();

/// The threads of a case `_t<n>`; each number has one pool, which lives as long as the process.
[[nodiscard]] ThreadPoolExecutor pool(index_t threads);

}  // namespace deltanet::bench
