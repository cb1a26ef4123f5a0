# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# deltanet_add_test(<suite> SOURCES <files> [LINK <targets>] [OPTIONS <flags>] [LABEL <label>]
#                   [LAUNCHER <command>] [ONE_CTEST_TEST])
#   One executable deltanet_<suite>_tests; each of its Catch2 cases is a ctest test "<suite>.<case>"
#   with the label <suite>, unless another is given.
# deltanet_add_arch_test(<suite> TABLE <table> SOURCES <files> [LINK <targets>])
#   The same sources once per row of an arch table (DeltanetArchs.cmake), as suites "<suite>_<arch>", all of them with
#   the label <suite>; a case whose arch this CPU lacks is reported as skipped.

include(DeltanetArchs)
set(DELTANET_TEST_ARCHES "all" CACHE STRING
    "Arches of the cpu tests: all, or a list of names such as baseline;avx2")

set(DELTANET_SKIPPED 77) # exit status of a test that cannot run on this machine

function(deltanet_add_test suite)
  cmake_parse_arguments(arg "ONE_CTEST_TEST" "LABEL" "SOURCES;LINK;OPTIONS;LAUNCHER" ${ARGN})
  if(NOT arg_SOURCES)
    return() # a folder without tests yet; a run without any test at all fails in tests/run.sh
  endif()
  if(NOT arg_LABEL)
    set(arg_LABEL ${suite})
  endif()
  set(target deltanet_${suite}_tests)
  set(properties LABELS ${arg_LABEL} TIMEOUT 600 SKIP_RETURN_CODE ${DELTANET_SKIPPED})
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE deltanet::deltanet deltanet_test_support ${arg_LINK})
  target_compile_options(${target} PRIVATE ${arg_OPTIONS})
  deltanet_private_flags(${target})
  if(arg_ONE_CTEST_TEST) # because listing the cases would run a program that cannot run here
    add_test(NAME ${suite} COMMAND ${arg_LAUNCHER} $<TARGET_FILE:${target}>)
    set_tests_properties(${suite} PROPERTIES ${properties})
  else()
    if(arg_LAUNCHER) # what catch_discover_tests puts in front of the program
      set_target_properties(${target} PROPERTIES CROSSCOMPILING_EMULATOR "${arg_LAUNCHER}")
    endif()
    catch_discover_tests(${target} TEST_PREFIX "${suite}." PROPERTIES ${properties})
  endif()
endfunction()

function(deltanet_add_arch_test suite)
  cmake_parse_arguments(arg "" "TABLE" "SOURCES;LINK" ${ARGN})
  # deltanet_arch_run FEATURES COMMAND...: runs the command if the CPU has the features, else exits
  # with 77. A program of its own, because one built for AVX-512 may trap before it reaches main().
  set(launcher_source "${PROJECT_SOURCE_DIR}/tests/support/arch_run.cpp")
  set(CMAKE_CXX_STANDARD 20) # for the launcher, which does not link deltanet::deltanet
  if(NOT TARGET deltanet_${suite}_tests)
    add_custom_target(deltanet_${suite}_tests) # all arches at once
  endif()
  foreach(row IN LISTS ${arg_TABLE})
    deltanet_read_arch("${row}" arch flags features)
    if(NOT arg_SOURCES OR NOT (DELTANET_TEST_ARCHES STREQUAL "all" OR arch IN_LIST DELTANET_TEST_ARCHES))
      continue()
    endif()
    set(arguments ${suite}_${arch} LABEL ${suite} SOURCES ${arg_SOURCES} LINK ${arg_LINK})
    if(flags)
      if(NOT TARGET deltanet_arch_run)
        add_executable(deltanet_arch_run "${launcher_source}")
        target_include_directories(deltanet_arch_run PRIVATE "${PROJECT_SOURCE_DIR}/include")
      endif()
      list(APPEND arguments OPTIONS ${flags} LAUNCHER $<TARGET_FILE:deltanet_arch_run> ${features})
      try_run(status compiled "${PROJECT_BINARY_DIR}/arch_run/${arch}" "${launcher_source}"
              CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${PROJECT_SOURCE_DIR}/include" ARGS ${features})
      if(status EQUAL DELTANET_SKIPPED)
        list(APPEND arguments ONE_CTEST_TEST)
      elseif(NOT status EQUAL 0)
        message(FATAL_ERROR "deltanet: ${launcher_source} ${features}: ${status}")
      endif()
    endif()
    deltanet_add_test(${arguments})
    if(flags)
      add_dependencies(deltanet_${suite}_${arch}_tests deltanet_arch_run)
    endif()
    add_dependencies(deltanet_${suite}_tests deltanet_${suite}_${arch}_tests)
  endforeach()
endfunction()
