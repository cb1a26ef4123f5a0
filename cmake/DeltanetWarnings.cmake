# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# deltanet_private_flags(<target>): ISO C++, warnings and sanitizers for our own programs. They are PRIVATE;
# the library's INTERFACE never carries a warning or an optimisation flag into a user's build.
set(DELTANET_WARNINGS
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
    -Wdouble-promotion -Wundef -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align
    -Wnull-dereference)

# False alarms of GCC 12 that come and go with what it inlines: it calls the placeholders inside its own
# AVX-512 intrinsics uninitialised (GCC bug 105593), and "text" + std::string overlapping (105651).
include(CheckCXXSourceCompiles)
check_cxx_source_compiles("#ifndef __AVX512F__\n#error\n#endif\nint main() {}" DELTANET_AVX512_BY_DEFAULT)

# Call it after the target's own options have been set.
function(deltanet_private_flags target)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE ${DELTANET_WARNINGS})
  get_target_property(options ${target} COMPILE_OPTIONS)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)
    if(DELTANET_AVX512_BY_DEFAULT OR options MATCHES "-mavx512")
      target_compile_options(${target} PRIVATE -Wno-uninitialized -Wno-maybe-uninitialized)
    endif()
  endif()
  if(DELTANET_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(DELTANET_SANITIZE)
    set(flags -fsanitize=${DELTANET_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    if(DELTANET_SANITIZE MATCHES "address") # in unrolled kernels this check alone takes most of the time
      list(APPEND flags -fno-sanitize-address-use-after-scope)
    endif()
    target_compile_options(${target} PRIVATE ${flags})
    target_link_options(${target} PRIVATE ${flags})
  endif()
endfunction()
