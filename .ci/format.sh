#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
#
# bash .ci/format.sh [--fix]: every C++ and CUDA file is as .clang-format says, or made so. Version 14,
# Debian 12's: each version formats some things its own way.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v clang-format-14 >/dev/null; then
    echo "clang-format-14 is not installed (Debian, Ubuntu: clang-format-14)"
    exit 1
fi
arguments=(--dry-run -Werror)
[ "${1:-}" != --fix ] || arguments=(-i)
mapfile -d '' files < <(find include kernels_cuda tests bench examples -type f \
    \( -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0)
clang-format-14 "${arguments[@]}" "${files[@]}"
echo "${#files[@]} files formatted"
