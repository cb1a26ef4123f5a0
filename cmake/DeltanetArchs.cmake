# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# The instruction sets that tests run and that deltanet::dispatch chooses from, in rising order.

# name|flags. The features that a CPU must have are read off the flags ("-mfma": "fma"), so the flags
# can never ask for more than was tested; hence no -march=x86-64-v3 here. Baseline is whatever the
# compiler does by default, plus the preset's own flags.
set(DELTANET_ARCH_TABLE "baseline|")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  list(APPEND DELTANET_ARCH_TABLE
       "avx2|-mavx2 -mfma -mf16c"
       "avx512|-mavx512f -mavx512cd -mavx512dq -mavx512bw -mfma"
       "avx512bf16|-mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl -mavx512vnni -mavx512bf16 -mfma")
endif()

# The same for instruction sets that change nothing but products with quantised weights. The tests of
# those run with them; deltanet::dispatch does not choose them.
set(DELTANET_PRODUCT_ARCH_TABLE)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  list(APPEND DELTANET_PRODUCT_ARCH_TABLE "avxvnni|-mavx2 -mfma -mf16c -mavxvnni")
endif()

# deltanet_read_arch(<row> <arch> <flags> <features>): name, list of flags, "avx2,fma" of a row.
function(deltanet_read_arch row arch flags features)
  string(REGEX MATCH "^[^|]*" name "${row}")
  string(REGEX REPLACE "^.*[|]" "" flag_list "${row}")
  separate_arguments(flag_list UNIX_COMMAND "${flag_list}")
  list(TRANSFORM flag_list REPLACE "^-m" "" OUTPUT_VARIABLE names)
  list(JOIN names "," names)
  set(${arch} "${name}" PARENT_SCOPE)
  set(${flags} "${flag_list}" PARENT_SCOPE)
  set(${features} "${names}" PARENT_SCOPE)
endfunction()
