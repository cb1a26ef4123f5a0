# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors

# Stops for what a component cannot be built without, or with AUTO says so.
function(_deltanet_leave_out name option missing)
  if(NOT "${${option}}" STREQUAL "AUTO")
    message(FATAL_ERROR "deltanet: ${missing}; or leave it out with -D${option}=OFF")
  endif()
  message(STATUS "deltanet: without deltanet::${name}: ${missing}")
endfunction()

# deltanet_add_component(<name> <option> LINK <targets> [HEADERS <files>] [SOURCES <files>])
#   deltanet::<name>, which needs what deltanet_find_<name>_dependencies finds and goes with the package as
#   COMPONENTS <name>. Header-only, or with sources a static library. <option> is OFF, ON, or AUTO: where its
#   dependencies are found.
function(deltanet_add_component name option)
  cmake_parse_arguments(arg "" "" "LINK;HEADERS;SOURCES" ${ARGN})
  if(NOT ${option})
    return()
  endif()
  cmake_language(CALL deltanet_find_${name}_dependencies missing)
  if(missing)
    _deltanet_leave_out(${name} ${option} "${missing}")
    return()
  endif()
  set(target deltanet_${name})
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(deltanet::${name} ALIAS ${target})
  if(arg_HEADERS)
    target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS include FILES ${arg_HEADERS})
  endif()
  target_link_libraries(${target} ${scope} deltanet ${arg_LINK})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ON)
endfunction()
