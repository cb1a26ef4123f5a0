// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// cp.async: copies from global to shared memory that a thread starts and waits for later.
#pragma once

#include "location.hpp"

namespace simt {

/// `bytes` is 4, 8 or 16; of them `source_bytes` are read and the rest is filled with zeros.
void cp_async(void* shared, const void* global, unsigned bytes, unsigned source_bytes,
              const Location& at);

void cp_async_commit();

/// Returns when all but the newest `n_left` groups of this thread have landed.
void cp_async_wait(unsigned n_left);

/// At the exit of a thread: a finding if something is still under way.
void finish_async_copies();

}  // namespace simt
