// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Random layers (random_layer.hpp) on the CPU backend.
#pragma once

#include "support/layer_backend.hpp"
#include "support/random_layer.hpp"
#include <deltanet/deltanet.hpp>
