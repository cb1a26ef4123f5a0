// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// main() of the tests when cross-compiling with Catch2 2.13; otherwise Catch2::Catch2WithMain has
/// it.
#define CATCH_CONFIG_MAIN
#include "support/catch_compat.hpp"
