#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# bash examples/run.sh [ARGUMENT OF generate...]
# Sets up what is missing, builds the examples for this machine and runs the main one, `generate`.
# Environment: JOBS (all cores).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

. cmake/setup.sh
headline "set-up"
install_packages "${DELTANET_PACKAGES[@]}"
configure_and_build native --target deltanet_examples # built and run on the same machine

program=build/native/examples/generate
headline "$program $*"
"$program" "$@"
if [ $# = 0 ]; then
    printf '\nnext: bash examples/run.sh --check, which compares with transformers; --help for the rest; docs/quickstart.md\n'
fi
