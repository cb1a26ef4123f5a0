# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
# shellcheck shell=bash
#
# Sourced by tests/run.sh, examples/run.sh and .ci/run from the project's root: what a fresh Debian 12
# or Ubuntu 24.04 needs before anything can be built.

# shellcheck disable=SC2034 # used by those that source this file
DELTANET_PACKAGES=(g++ cmake ninja-build pkg-config python3 ca-certificates
    libeigen3-dev libxsimd-dev nlohmann-json3-dev catch2 libbenchmark-dev)
# For the optional deltanet::onednn, which the presets `release` and `native` build where it is found.
# shellcheck disable=SC2034
DELTANET_ONEDNN_PACKAGES=(libdnnl-dev)

headline() { printf '\n== %s\n' "$*"; }

# install_packages PACKAGE...: those that are missing, through apt-get. Where that cannot be done it says
# what to install and goes on: the tools may be here from another source.
install_packages() {
    local package missing=() as_root=()
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "no apt-get here; needed are the equivalents of: $*"
        return 0
    fi
    for package in "$@"; do
        case "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" in
            ?i*) ;;
            *) missing+=("$package") ;;
        esac
    done
    if [ ${#missing[@]} = 0 ]; then
        echo "packages: all $# installed"
        return 0
    fi
    echo "packages to install: ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo)
        [ -t 0 ] || as_root+=(-n) # nobody there to type a password
        if ! command -v sudo >/dev/null || ! "${as_root[@]}" true; then
            echo "this user may not install them; ask for: apt-get install ${missing[*]}"
            echo "going on with what is here"
            return 0
        fi
    fi
    # env, as sudo drops the variables of its caller
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"
}

# configure_and_build PRESET [BUILD ARGUMENT...]; JOBS compilations at a time.
configure_and_build() {
    local preset=$1
    shift
    if command -v ccache >/dev/null; then
        export CMAKE_CXX_COMPILER_LAUNCHER="${CMAKE_CXX_COMPILER_LAUNCHER:-ccache}"
    fi
    headline "configure: $preset"
    cmake --preset "$preset"
    headline "build: $preset, $JOBS jobs"
    cmake --build --preset "$preset" --parallel "$JOBS" "$@"
}

JOBS="${JOBS:-$(nproc)}"
