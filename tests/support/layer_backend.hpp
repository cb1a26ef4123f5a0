// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// `CpuBackend<>` with kernels that are compiled once for all tests (kernels_once.cpp): in every
/// test that runs a layer they would take most of a build's time.
#pragma once

#include <deltanet/dispatch/backend.hpp>

namespace deltanet::test {

template <Executor E = SequentialExecutor>
using LayerBackend = DispatchedCpuBackend<E>;

}  // namespace deltanet::test
