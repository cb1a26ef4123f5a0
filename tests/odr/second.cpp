// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "all_headers.hpp"

int version_of_second();
int version_of_second() { return DELTANET_VERSION_MAJOR; }
