# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# Every option of the project. As a subproject deltanet adds its targets and nothing else, so what
# only its own developers need is off there.
option(DELTANET_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(DELTANET_BUILD_BENCH "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(DELTANET_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(DELTANET_INSTALL "Add install rules and package files" ${PROJECT_IS_TOP_LEVEL})
option(DELTANET_ENABLE_IO "Add deltanet::io, the weight readers (needs nlohmann_json)" ${PROJECT_IS_TOP_LEVEL})
option(DELTANET_BUILD_DISPATCH "Build deltanet::dispatch, which chooses the instruction set at run time"
       ${PROJECT_IS_TOP_LEVEL})
set(DELTANET_ONEDNN OFF CACHE STRING
    "Add deltanet::onednn, projections by oneDNN: OFF, ON, or AUTO for where oneDNN is found")
set(DELTANET_MPI OFF CACHE STRING "Add deltanet::mpi, ranks that are MPI processes: OFF, ON, or AUTO (where MPI is found)")
set(DELTANET_CUDA OFF CACHE STRING
    "Add deltanet::cuda, the CUDA backend: OFF, ON, or AUTO (where nvcc is found); see CMAKE_CUDA_ARCHITECTURES")
option(DELTANET_WERROR "Warnings are errors in tests, examples and benchmarks" OFF)
option(DELTANET_TEST_CUDA "Build the tests that execute CUDA kernels on the host" ON)
set(DELTANET_SANITIZE "" CACHE STRING
    "Sanitizers for tests, examples and benchmarks, as for -fsanitize= (address,undefined or thread)")
# DELTANET_XSIMD_INCLUDE_DIR, in DeltanetDependencies.cmake, is there for users of the package too.
