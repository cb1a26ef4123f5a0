// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include <deltanet/dispatch/cpu_info.hpp>
#include <deltanet/dispatch/kernel_table.hpp>

namespace deltanet::dispatch {

// Instead of the library deltanet::dispatch: always the arch that the tests are compiled for.
const KernelTable& kernels() { return ArchKernels<cpu::default_arch>::table; }

}  // namespace deltanet::dispatch
