# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# Install rules, the CMake package for the install and the build tree, and the pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/deltanet") # share/: nothing here depends on the machine

# Each component is an export set of its own, because its targets name what a user of deltanet::deltanet alone need not
# have.
set(export_sets "deltanet-targets")
install(TARGETS deltanet EXPORT deltanet-targets FILE_SET HEADERS FILE_SET adapters)
foreach(component IN ITEMS io onednn mpi cuda dispatch)
  if(NOT TARGET deltanet_${component})
    continue()
  endif()
  list(APPEND export_sets "deltanet-${component}-targets")
  get_target_property(header_sets deltanet_${component} INTERFACE_HEADER_SETS)
  if(header_sets)
    install(TARGETS deltanet_${component} EXPORT deltanet-${component}-targets FILE_SET HEADERS)
  else()
    install(TARGETS deltanet_${component} EXPORT deltanet-${component}-targets)
  endif()
endforeach()
foreach(set IN LISTS export_sets)
  install(EXPORT ${set} NAMESPACE deltanet:: DESTINATION "${package_dir}")
  export(EXPORT ${set} NAMESPACE deltanet:: FILE "${PROJECT_BINARY_DIR}/${set}.cmake")
endforeach()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/deltanet-config.cmake.in"
                              "${PROJECT_BINARY_DIR}/deltanet-config.cmake"
                              INSTALL_DESTINATION "${package_dir}")
# While the version is 0.x a minor version may break users.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/deltanet-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
# Beside the config also in the build tree, so that deltanet_DIR may point there.
configure_file("${CMAKE_CURRENT_LIST_DIR}/DeltanetDependencies.cmake"
               "${PROJECT_BINARY_DIR}/DeltanetDependencies.cmake" COPYONLY)

# Eigen's and xsimd's own .pc files know their directories, unless xsimd was given by hand.
set(deltanet_pc_requires "eigen3 >= 3.4")
if(DELTANET_XSIMD_INCLUDE_DIR)
  set(deltanet_pc_cflags "-I${DELTANET_XSIMD_INCLUDE_DIR}")
else()
  string(APPEND deltanet_pc_requires ", xsimd >= 8.1")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/deltanet.pc.in" "${PROJECT_BINARY_DIR}/deltanet.pc" @ONLY)

install(FILES "${PROJECT_BINARY_DIR}/deltanet-config.cmake"
              "${PROJECT_BINARY_DIR}/deltanet-config-version.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/DeltanetDependencies.cmake"
        DESTINATION "${package_dir}")
install(FILES "${PROJECT_BINARY_DIR}/deltanet.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/deltanet")
