#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# bash bench/run.sh [SUITE] [GOOGLE BENCHMARK OPTION...]
# Sets up what is missing, builds the benchmarks for this machine and runs a suite: scan, decode, fused,
# linear, layer, state or all (the default). Prints one line for each case,
#   case=<name> us=<median> spread=<x> cycles=<x> floor_ratio=<x> plain_us=<median>
# and leaves the same as JSON and as a plot in build/native/bench/<suite>.json and .svg. What the numbers
# mean: docs/performance.md. Environment: JOBS (all cores).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suite=all
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
    suite=$1
    shift
fi
case $suite in
    scan | decode | fused | linear | layer | state | all) ;;
    *)
        echo "bench/run.sh: SUITE: expected scan, decode, fused, linear, layer, state or all, found $suite" >&2
        exit 2
        ;;
esac

. cmake/setup.sh
headline "set-up"
install_packages "${DELTANET_PACKAGES[@]}" "${DELTANET_ONEDNN_PACKAGES[@]}"
configure_and_build native --target deltanet_bench # built and run on the same machine

results=build/native/bench/$suite
headline "deltanet_bench $suite"
build/native/bench/deltanet_bench "$suite" --benchmark_out="$results.json" --benchmark_out_format=json "$@"
python3 bench/plot.py "$results.json" "$results.svg"
echo "# $results.json, $results.svg"
