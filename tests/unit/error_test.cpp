// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The one exception type and the one message format.
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include <deltanet/error.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

using namespace deltanet;
using namespace deltanet::test;

TEST_CASE("Error is a std::invalid_argument that carries its message", "[error]") {
    bool caught = false;
    try {
        detail::raise("what happened");
    } catch (const std::invalid_argument& error) {
        caught = true;
        CHECK(std::string(error.what()) == "what happened");
        CHECK(dynamic_cast<const Error*>(&error) != nullptr);
    }
    CHECK(caught);
    static_assert(std::is_base_of_v<std::invalid_argument, Error>);
    static_assert(std::is_nothrow_copy_constructible_v<Error>,
                  "exceptions are copied while unwinding");
}

TEST_CASE("fail names function and argument and what was expected and found", "[error]") {
    CHECK(message_of([] { detail::fail("gates", "A_log", "shape [4]", "shape [5]"); }) ==
          "gates: A_log: expected shape [4], found shape [5]");
    CHECK(message_of([] { detail::fail("", "", "", ""); }) == ": : expected , found ");
}

TEST_CASE("concat joins strings of every kind and numbers of every kind", "[error]") {
    const std::string string = "string";
    const std::string_view view = "view and more";
    CHECK(detail::concat() == "");
    CHECK(detail::concat("literal ", string, " ", view.substr(0, 4)) == "literal string view");
    CHECK(detail::concat(-1, " ", index_t{1} << 40, " ", std::size_t{7}, " ", std::uint8_t{200}) ==
          "-1 1099511627776 7 200");
    CHECK(detail::concat(index_t{-9'223'372'036'854'775'807}) == "-9223372036854775807");
    CHECK(detail::concat(0.5, " ", 0.25F) == "0.5 0.25");
}

TEST_CASE("numbers in messages keep their size", "[error]") {
    CHECK(detail::concat(-1e-9, " ", 0.5F, " ", 12345678901234L) == "-1e-09 0.5 12345678901234");
}
