// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// DenseLinear around its tiles, parts and blocks of tokens. Not even a token alone has other bits.
#include "linear_promises.hpp"
#include <deltanet/linear/dense.hpp>

using namespace deltanet;
using namespace deltanet::test;

/// Tiles have 4 or 6 rows and 2 or 4 tokens, steps up to 32 elements, parts 512, tasks 48 rows.
static const std::vector<Sizes> kSizes{{1, 1},   {1, 300},  {3, 512}, {4, 31},    {5, 513},
                                       {6, 544}, {7, 1023}, {12, 96}, {48, 1024}, {50, 1100}};

TEST_CASE("DenseLinear<> equals the oracle for sizes around its blocks", "[linear][dense]") {
    check_equals_oracle<DenseLinear<>>(kSizes);
}

TEST_CASE("DenseLinear<>: a token's outputs do not depend on how many there are",
          "[linear][dense]") {
    check_token_counts<DenseLinear<>>(1, {{97, 257}, {5, 300}, {13, 1056}, {2, 512}});
}

TEST_CASE("DenseLinear<>: a row gives the same bits wherever it stands in a matrix",
          "[linear][dense]") {
    check_places_of_rows<DenseLinear<>>();
}

TEST_CASE("DenseLinear<>: strides of x and y and alignment change no bit", "[linear][dense]") {
    check_strides<DenseLinear<>>();
}

TEST_CASE("DenseLinear<>: workers have scratch of their own and change no bit", "[linear][dense]") {
    check_workers<DenseLinear<>>();
}

TEST_CASE("DenseLinear<>: no tokens are nothing to do, no weights are a mistake",
          "[linear][dense]") {
    check_nothing<DenseLinear<>>();
}
