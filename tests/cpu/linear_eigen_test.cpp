// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// EigenLinear around its panel and block sizes. A token alone is summed in another order than one
/// of several.
#include "linear_promises.hpp"
#include <deltanet/linear/eigen.hpp>

using namespace deltanet;
using namespace deltanet::test;

/// Panels have 96 rows and 256 columns, blocks 128 tokens, calls 512; Eigen takes 8 rows of a
/// vector product at a time.
static const std::vector<Sizes> kSizes{{1, 1},    {1, 300},  {7, 5},    {8, 255},  {9, 256},
                                       {95, 257}, {96, 520}, {97, 256}, {192, 33}, {193, 257}};

TEST_CASE("EigenLinear equals the oracle for sizes around its blocks", "[linear][eigen]") {
    check_equals_oracle<EigenLinear>(kSizes);
}

TEST_CASE("EigenLinear: a token's outputs do not depend on how many there are", "[linear][eigen]") {
    check_token_counts<EigenLinear>(2, {{97, 257}, {5, 300}, {96, 64}});
}

TEST_CASE("EigenLinear: a row gives the same bits wherever it stands in a matrix",
          "[linear][eigen]") {
    check_places_of_rows<EigenLinear>();
}

TEST_CASE("EigenLinear: strides of x and y and alignment change no bit", "[linear][eigen]") {
    check_strides<EigenLinear>();
}

TEST_CASE("EigenLinear: workers have scratch of their own and change no bit", "[linear][eigen]") {
    check_workers<EigenLinear>();
}

TEST_CASE("EigenLinear: no tokens are nothing to do, no weights are a mistake", "[linear][eigen]") {
    check_nothing<EigenLinear>();
}
