// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Stands in for NVIDIA's header of this name where tests are built by a C++ compiler: the few
/// names that the library uses, over an executor on the host. For tests alone.
#pragma once

#define DELTANET_SIMT 1

#include "async_copy.hpp"
#include "cuda_device.hpp"
#include "cuda_types.hpp"
#include "runtime_api.hpp"
#include "tensor_core.hpp"
