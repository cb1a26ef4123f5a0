// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "all_headers.hpp"

int version_of_second();

int main() { return version_of_second() == DELTANET_VERSION_MAJOR ? 0 : 1; }
