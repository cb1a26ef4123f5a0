#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# pkg_config.sh COMPILER PC_DIR SOURCE OUTPUT: the user who has no CMake.
set -eu
PKG_CONFIG_PATH="$2${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export PKG_CONFIG_PATH
# The flags are several words.
# shellcheck disable=SC2046
"$1" -std=c++20 $(pkg-config --cflags deltanet) "$3" -o "$4"
"$4"
