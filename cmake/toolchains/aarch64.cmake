# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# 64-bit Arm from an x86-64 Debian or Ubuntu: packages g++-aarch64-linux-gnu and qemu-user-static. What
# we depend on is headers, so the host's own packages serve, found through the host's CMake files.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L /usr/aarch64-linux-gnu)
