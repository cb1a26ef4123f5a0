// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The whole layer.
#include "support/suite.hpp"

namespace deltanet::bench {

Suite layer_suite() { return {}; }

}  // namespace deltanet::bench
