# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# Installs BUILD into an empty STAGE and compares: the installed headers are those in the tree.
file(REMOVE_RECURSE "${STAGE}")
execute_process(COMMAND ${CMAKE_COMMAND} --install "${BUILD}" --prefix "${STAGE}"
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(GLOB_RECURSE wanted RELATIVE "${INCLUDE}" "${INCLUDE}/*")
file(GLOB_RECURSE installed RELATIVE "${STAGE}/${INCLUDEDIR}" "${STAGE}/${INCLUDEDIR}/*")
if(NOT WITH_IO)
  list(FILTER wanted EXCLUDE REGEX "^deltanet/io/")
endif()
if(NOT WITH_ONEDNN)
  list(FILTER wanted EXCLUDE REGEX "^deltanet/linear/onednn")
endif()
if(NOT WITH_CUDA)
  list(FILTER wanted EXCLUDE REGEX "^deltanet/cuda/")
endif()
set(absent ${wanted})
list(REMOVE_ITEM absent ${installed})
list(REMOVE_ITEM installed ${wanted})
if(absent OR installed)
  message(FATAL_ERROR "not installed: '${absent}'; installed but not in include/: '${installed}'")
endif()
