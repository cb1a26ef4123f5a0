// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Which kernels a program launched, for gates/check_launches.py: every kernel that nvcc compiles
/// is one that some test runs, with the block and the shared memory that the gates reckon with.
#pragma once

#include <cstddef>

namespace simt {

/// If DELTANET_SIMT_LAUNCHES names a file, lines "offset threads dynamic_shared_bytes" are appended
/// to it at the program's exit, each once; the offset is that of the function in the program.
void log_launch(const void* kernel, unsigned n_threads, std::size_t shared_bytes);

}  // namespace simt
