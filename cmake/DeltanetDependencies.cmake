# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# Finds what deltanet needs. The build and the installed deltanet-config.cmake run this same file, so
# a dependency is found by the same rules in both. Each function sets `out` to the empty string, or to
# the reason why something is missing: the build stops on it, the package reports it as not found.

set(DELTANET_XSIMD_INCLUDE_DIR "" CACHE PATH
    "Directory that holds xsimd/xsimd.hpp; empty: ask the installed xsimd package")

# Targets that find_package makes are visible in the directory that asked. As a subproject we ask in
# our own directory while the parent links our target, so they must be visible everywhere.
function(_deltanet_make_global)
  foreach(target IN LISTS ARGN)
    get_target_property(imported ${target} IMPORTED)
    get_target_property(global ${target} IMPORTED_GLOBAL)
    if(imported AND NOT global)
      set_target_properties(${target} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
  endforeach()
endfunction()

# deltanet::xsimd carries the include directory and nothing else: the target `xsimd` of Debian's
# package also links `xtl`, which is not there (cannot find -lxtl).
function(_deltanet_find_xsimd out)
  set(${out} "" PARENT_SCOPE)
  if(TARGET deltanet::xsimd)
    return()
  endif()
  set(include_dir "${DELTANET_XSIMD_INCLUDE_DIR}")
  if(NOT include_dir)
    # Without a version: the package's rule is SameMajorVersion, and any from 8.1 on will do.
    find_package(xsimd CONFIG QUIET)
    if(TARGET xsimd)
      get_target_property(include_dir xsimd INTERFACE_INCLUDE_DIRECTORIES)
    elseif(TARGET xsimd::xsimd) # the name of a subproject's or a build tree's target, since 14.2
      get_target_property(include_dir xsimd::xsimd INTERFACE_INCLUDE_DIRECTORIES)
    endif()
  endif()
  if(NOT include_dir)
    set(${out} "xsimd >= 8.1 was not found; install it (Debian: libxsimd-dev), or set xsimd_DIR or DELTANET_XSIMD_INCLUDE_DIR" PARENT_SCOPE)
    return()
  endif()
  # The version as its own header states it; a generator expression (subproject) has no path to read.
  set(config "${include_dir}/xsimd/config/xsimd_config.hpp")
  if(NOT include_dir MATCHES "[$]<")
    if(NOT EXISTS "${config}")
      set(${out} "no xsimd/config/xsimd_config.hpp in '${include_dir}'" PARENT_SCOPE)
      return()
    endif()
    file(STRINGS "${config}" lines REGEX "^#define XSIMD_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
    list(TRANSFORM lines REPLACE "^.* ([0-9]+).*" "\\1")
    list(JOIN lines "." version)
    if(version VERSION_LESS 8.1)
      set(${out} "xsimd >= 8.1 is needed, '${include_dir}' holds ${version}" PARENT_SCOPE)
      return()
    endif()
    if(NOT deltanet_FIND_QUIETLY)
      message(STATUS "deltanet: xsimd ${version} in ${include_dir}")
    endif()
  endif()
  add_library(deltanet::xsimd INTERFACE IMPORTED GLOBAL)
  set_target_properties(deltanet::xsimd PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${include_dir}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${include_dir}")
endfunction()

function(deltanet_find_dependencies out)
  set(${out} "" PARENT_SCOPE)
  if(NOT TARGET Eigen3::Eigen)
    # Without a version: 3.4 and 5.x are both wanted, and each refuses the other's number.
    find_package(Eigen3 CONFIG QUIET)
    if(NOT TARGET Eigen3::Eigen)
      set(${out} "Eigen >= 3.4 was not found; install it (Debian: libeigen3-dev) or set Eigen3_DIR" PARENT_SCOPE)
      return()
    endif()
    if(Eigen3_VERSION VERSION_LESS 3.4)
      set(${out} "Eigen >= 3.4 is needed, '${Eigen3_DIR}' holds ${Eigen3_VERSION}" PARENT_SCOPE)
      return()
    endif()
    _deltanet_make_global(Eigen3::Eigen)
  endif()
  _deltanet_find_xsimd(reason)
  set(${out} "${reason}" PARENT_SCOPE)
endfunction()

function(deltanet_find_mpi_dependencies out)
  set(${out} "" PARENT_SCOPE)
  if(NOT TARGET MPI::MPI_CXX)
    set(MPI_CXX_SKIP_MPICXX ON) # the C interface alone
    find_package(MPI QUIET COMPONENTS CXX)
    if(NOT TARGET MPI::MPI_CXX)
      set(${out} "deltanet::mpi needs MPI, which was not found; install it (Debian: libopenmpi-dev openmpi-bin) or set MPI_HOME" PARENT_SCOPE)
      return()
    endif()
    _deltanet_make_global(MPI::MPI_CXX)
  endif()
endfunction()

# The runtime alone, and cuBLASLt where it is there: users of deltanet::cuda need no nvcc.
function(deltanet_find_cuda_dependencies out)
  set(${out} "" PARENT_SCOPE)
  if(TARGET CUDA::cudart)
    return()
  endif()
  find_package(CUDAToolkit QUIET)
  if(NOT TARGET CUDA::cudart)
    set(${out} "deltanet::cuda needs the CUDA toolkit, which was not found; install it or set CUDAToolkit_ROOT" PARENT_SCOPE)
    return()
  endif()
  _deltanet_make_global(CUDA::toolkit CUDA::cudart)
  if(TARGET CUDA::cublasLt)
    _deltanet_make_global(CUDA::cublasLt)
  endif()
endfunction()

function(deltanet_find_io_dependencies out)
  set(${out} "" PARENT_SCOPE)
  if(NOT TARGET nlohmann_json::nlohmann_json)
    find_package(nlohmann_json 3.9 CONFIG QUIET)
    if(NOT TARGET nlohmann_json::nlohmann_json)
      set(${out} "deltanet::io needs nlohmann_json >= 3.9, which was not found; install it (Debian: nlohmann-json3-dev) or set nlohmann_json_DIR" PARENT_SCOPE)
      return()
    endif()
    _deltanet_make_global(nlohmann_json::nlohmann_json)
  endif()
endfunction()

# deltanet::dnnl is oneDNN's header and library alone, and what they were built with says of threads: the
# package of Debian also wants OpenCL's headers, which nothing here includes. DNNL_ROOT may name its place.
function(deltanet_find_onednn_dependencies out)
  set(${out} "" PARENT_SCOPE)
  if(TARGET deltanet::dnnl)
    return()
  endif()
  find_path(DELTANET_DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp HINTS "${DNNL_ROOT}" PATH_SUFFIXES include)
  find_library(DELTANET_DNNL_LIBRARY dnnl HINTS "${DNNL_ROOT}" PATH_SUFFIXES lib)
  mark_as_advanced(DELTANET_DNNL_INCLUDE_DIR DELTANET_DNNL_LIBRARY)
  if(NOT DELTANET_DNNL_INCLUDE_DIR OR NOT DELTANET_DNNL_LIBRARY)
    set(${out} "deltanet::onednn needs oneDNN >= 2.6, which was not found; install it (Debian: libdnnl-dev) or set DNNL_ROOT" PARENT_SCOPE)
    return()
  endif()
  file(STRINGS "${DELTANET_DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h" lines
       REGEX "^#define DNNL_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
  list(TRANSFORM lines REPLACE "^.* ([0-9]+).*" "\\1")
  list(JOIN lines "." version)
  if(version VERSION_LESS 2.6)
    set(${out} "deltanet::onednn needs oneDNN >= 2.6, '${DELTANET_DNNL_INCLUDE_DIR}' holds ${version}" PARENT_SCOPE)
    return()
  endif()
  file(STRINGS "${DELTANET_DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_config.h" threads
       REGEX "^#define DNNL_CPU_THREADING_RUNTIME ")
  set(libraries "${CMAKE_DL_LIBS}")
  if(threads MATCHES "DNNL_RUNTIME_TBB")
    find_package(TBB CONFIG QUIET COMPONENTS tbb)
    if(NOT TARGET TBB::tbb)
      set(${out} "deltanet::onednn needs TBB, as '${DELTANET_DNNL_LIBRARY}' was built for it; install it (Debian: libtbb-dev) or set TBB_DIR" PARENT_SCOPE)
      return()
    endif()
    _deltanet_make_global(TBB::tbb)
    list(APPEND libraries TBB::tbb)
  elseif(NOT threads MATCHES "DNNL_RUNTIME_(OMP|SEQ)")
    set(${out} "deltanet::onednn needs a oneDNN built for OpenMP, for TBB or without threads, not '${DELTANET_DNNL_LIBRARY}'" PARENT_SCOPE)
    return()
  endif()
  if(NOT deltanet_FIND_QUIETLY)
    message(STATUS "deltanet: oneDNN ${version} in ${DELTANET_DNNL_LIBRARY}")
  endif()
  add_library(deltanet::dnnl UNKNOWN IMPORTED GLOBAL)
  set_target_properties(deltanet::dnnl PROPERTIES
    IMPORTED_LOCATION "${DELTANET_DNNL_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${DELTANET_DNNL_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${libraries}")
endfunction()
