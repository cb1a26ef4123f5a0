// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Everything but `deltanet/io/`, which needs a JSON library.
#pragma once

#include <deltanet/batch.hpp>
#include <deltanet/concepts.hpp>
#include <deltanet/config.hpp>
#include <deltanet/cpu/backend.hpp>
#include <deltanet/dtype.hpp>
#include <deltanet/error.hpp>
#include <deltanet/executor.hpp>
#include <deltanet/layer.hpp>
#include <deltanet/layer_config.hpp>
#include <deltanet/linear/callable.hpp>
#include <deltanet/linear/eigen.hpp>
#include <deltanet/linear/lora.hpp>
#include <deltanet/linear/reference.hpp>
#include <deltanet/linear_operator.hpp>
#include <deltanet/memory_space.hpp>
#include <deltanet/models.hpp>
#include <deltanet/observer.hpp>
#include <deltanet/reference/backend.hpp>
#include <deltanet/state_blob.hpp>
#include <deltanet/state_describe.hpp>
#include <deltanet/state_exchange.hpp>
#include <deltanet/state_slots.hpp>
#include <deltanet/thread_pool.hpp>
#include <deltanet/version.hpp>
#include <deltanet/views.hpp>
#include <deltanet/weights.hpp>
#include <deltanet/workspace.hpp>
