# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# deltanet_private_flags(<target>): ISO C++, warnings and sanitizers for our own programs. They are PRIVATE;
# the library's INTERFACE never carries a warning or an optimisation flag into a user's build.
set(DELTANET_WARNINGS
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
    -Wdouble-promotion -Wundef -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align
    -Wnull-dereference)

function(deltanet_private_flags target)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE ${DELTANET_WARNINGS})
  if(DELTANET_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(DELTANET_SANITIZE)
    set(flags -fsanitize=${DELTANET_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(${target} PRIVATE ${flags})
    target_link_options(${target} PRIVATE ${flags})
  endif()
endfunction()
