// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the kernels of the delta rule are templates on, or told: whether all rows of a state decay
/// alike (Gated DeltaNet), or each with the decay of its key channel (Kimi Delta Attention).
#pragma once

#include <cstdint>

namespace deltanet::cpu::kernels {

enum class GateKind : std::uint8_t { per_head, per_channel };

}  // namespace deltanet::cpu::kernels
