# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# Registers, shared memory and instructions of each kernel, by architecture.
find_package(Python3 3.8 REQUIRED COMPONENTS Interpreter)
if(CMAKE_CUDA_COMPILER)
  add_executable(deltanet_cuda_occupancy "${CMAKE_CURRENT_LIST_DIR}/occupancy.cpp")
  target_include_directories(deltanet_cuda_occupancy SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  target_compile_features(deltanet_cuda_occupancy PRIVATE cxx_std_20)
  deltanet_private_flags(deltanet_cuda_occupancy)
endif()
foreach(arch IN ITEMS 80 90 100 120)
  if(CMAKE_CUDA_COMPILER)
    add_test(NAME cuda.gates.sm_${arch}
             COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/check_gates.py" ${arch}
                     --nvcc "${CMAKE_CUDA_COMPILER}" --occupancy "$<TARGET_FILE:deltanet_cuda_occupancy>"
                     --work "${CMAKE_CURRENT_BINARY_DIR}/gates")
  else()
    add_test(NAME cuda.gates.sm_${arch} COMMAND ${CMAKE_COMMAND} -E echo "skipped: nvcc was not found")
  endif()
  set_tests_properties(cuda.gates.sm_${arch} PROPERTIES LABELS cuda TIMEOUT 1500 SKIP_REGULAR_EXPRESSION "^skipped: ")
endforeach()

# Every kernel of the table is launched by some test.
get_property(programs GLOBAL PROPERTY DELTANET_CUDA_plain_TESTS)
list(TRANSFORM programs REPLACE "(.+)" "$<TARGET_FILE:\\1>")
add_test(NAME cuda.gates.launches
         COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/check_launches.py" ${programs}
                 --work "${CMAKE_CURRENT_BINARY_DIR}/gates")
set_tests_properties(cuda.gates.launches PROPERTIES LABELS cuda TIMEOUT 1500)
