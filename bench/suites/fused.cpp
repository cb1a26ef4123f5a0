// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The passes around the delta rule. Floor: bytes read and written once, at the bandwidth of a copy
/// with a working set of the same size.
#include "support/suite.hpp"

namespace deltanet::bench {

Suite fused_suite() { return {}; }

}  // namespace deltanet::bench
