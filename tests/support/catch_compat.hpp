// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The one include for tests: Catch2 2.13 (Debian 12) and 3.x name their headers differently. Of
/// the two take only what both have: TEST_CASE, TEMPLATE_TEST_CASE, SECTION, GENERATE, CHECK,
/// REQUIRE, INFO, CAPTURE. `Approx` moved between them; compare with a bound instead.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
