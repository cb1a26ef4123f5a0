#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# bash tests/run.sh [CTEST ARGUMENT...]
# Sets up what is missing, builds and runs every test, and ends with the line
#   N passed, N failed[, N skipped]
# and a status that is not 0 unless something passed and nothing failed. Environment: PRESET, a preset
# of CMakePresets.json (release); JOBS (all cores). For example: PRESET=debug bash tests/run.sh -L unit
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PRESET="${PRESET:-release}"

# Until the tests have been counted, whatever stops this script is one failure.
closing_line="0 passed, 1 failed"
trap 'echo "$closing_line"' EXIT

. cmake/setup.sh
headline "set-up"
packages=("${DELTANET_PACKAGES[@]}")
[ "$PRESET" != release ] || packages+=("${DELTANET_ONEDNN_PACKAGES[@]}")
install_packages "${packages[@]}"
configure_and_build "$PRESET"

headline "test: $PRESET"
if [ "$PRESET" = release ]; then
    # So that `ctest` finds the tests in build/ too.
    echo 'subdirs("release")' >build/CTestTestfile.cmake
fi
results="$PWD/build/$PRESET/ctest.xml"
rm -f "$results"
status=0
ctest --preset "$PRESET" --parallel "$JOBS" --output-junit "$results" "$@" || status=$?
closing_line=$(python3 tests/support/count_tests.py "$results") || status=1
exit "$status"
