// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include <deltanet/deltanet.hpp>

#include <cstdio>

int main() {
    std::printf("deltanet %d.%d.%d\n", DELTANET_VERSION_MAJOR, DELTANET_VERSION_MINOR,
                DELTANET_VERSION_PATCH);
    return 0;
}
