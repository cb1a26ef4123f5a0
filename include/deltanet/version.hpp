// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The version of the library, in the one place that states it: CMake, the package manifests and
/// the changelog are compared with these three numbers by a test.
#pragma once

#define DELTANET_VERSION_MAJOR 0
#define DELTANET_VERSION_MINOR 1
#define DELTANET_VERSION_PATCH 0

/// True in the preprocessor when the library is at least version `major.minor`.
#define DELTANET_VERSION_GE(major, minor) \
    (DELTANET_VERSION_MAJOR > (major) ||  \
     (DELTANET_VERSION_MAJOR == (major) && DELTANET_VERSION_MINOR >= (minor)))
