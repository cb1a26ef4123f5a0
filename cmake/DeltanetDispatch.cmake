# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# deltanet::dispatch: the same kernels compiled once for each instruction set, and the choice between them
# at run time. The sources are generated into the build tree.
include(DeltanetArchs)

set(generated "${PROJECT_BINARY_DIR}/dispatch")
set(declarations "")
set(rows "")
add_library(deltanet_dispatch STATIC)
add_library(deltanet::dispatch ALIAS deltanet_dispatch)
foreach(row IN LISTS DELTANET_ARCH_TABLE)
  deltanet_read_arch("${row}" arch flags features)
  string(APPEND declarations "extern const KernelTable kernels_${arch};\n")
  string(APPEND rows "    {\"${arch}\", \"${features}\", &kernels_${arch}},\n")
  configure_file("${CMAKE_CURRENT_LIST_DIR}/dispatch/arch.cpp.in" "${generated}/arch_${arch}.cpp" @ONLY)
  # One object library an arch, which tests can look into. Optimised in every build: without inlining, small
  # functions that know no arch would be compiled for one and kept by the linker for all.
  add_library(deltanet_dispatch_${arch} OBJECT "${generated}/arch_${arch}.cpp")
  target_link_libraries(deltanet_dispatch_${arch} PRIVATE deltanet)
  target_compile_options(deltanet_dispatch_${arch} PRIVATE ${flags} -O2 -fno-exceptions)
  set_target_properties(deltanet_dispatch_${arch} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_sources(deltanet_dispatch PRIVATE $<TARGET_OBJECTS:deltanet_dispatch_${arch}>)
  list(APPEND DELTANET_DISPATCH_ARCHS ${arch})
endforeach()
configure_file("${CMAKE_CURRENT_LIST_DIR}/dispatch/resolve.cpp.in" "${generated}/resolve.cpp" @ONLY)
target_sources(deltanet_dispatch PRIVATE "${generated}/resolve.cpp")
target_link_libraries(deltanet_dispatch PUBLIC deltanet)
set_target_properties(deltanet_dispatch PROPERTIES EXPORT_NAME dispatch CXX_EXTENSIONS OFF
                      POSITION_INDEPENDENT_CODE ON)
