# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# deltanet::cuda: the kernels, compiled by nvcc for CMAKE_CUDA_ARCHITECTURES, and the host side in headers that a C++
# compiler reads. Users of the library need neither nvcc nor CUDA as a language of their project.
set(architectures 80 90 100 120) # that kernels are tested to build for

include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER)
  check_language(CUDA)
endif()
if(NOT CMAKE_CUDA_COMPILER)
  _deltanet_leave_out(cuda DELTANET_CUDA "deltanet::cuda needs nvcc, which was not found; set CMAKE_CUDA_COMPILER")
  return()
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES ${architectures})
endif()
enable_language(CUDA)

file(GLOB cuda_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/kernels_cuda/*.cu")
deltanet_add_component(cuda DELTANET_CUDA SOURCES ${cuda_sources} HEADERS ${DELTANET_CUDA_HEADERS}
                       LINK CUDA::cudart $<TARGET_NAME_IF_EXISTS:CUDA::cublasLt>)
if(TARGET deltanet_cuda)
  # CMake before 3.26 does not know C++20 of nvcc 13.
  target_compile_options(deltanet_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 --expt-relaxed-constexpr>)
  if(DELTANET_WERROR)
    target_compile_options(deltanet_cuda PRIVATE
                           "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Xcompiler=-Wall,-Wextra -Werror=all-warnings>")
  endif()
  set_target_properties(deltanet_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON CUDA_RUNTIME_LIBRARY Shared)
endif()
