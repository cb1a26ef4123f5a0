// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What the executor found wrong with a kernel.
#pragma once

#include <string>
#include <vector>

namespace simt {

/// Counts one finding. `what` is a string literal: its address is the kind. `pc` is a return
/// address inside the kernel, or null. Cheap when repeated: text is made by `take_findings` alone.
void finding(const char* what, const void* pc);

/// A finding with text of its own, for what happens once.
void finding(std::string text);

/// All findings since the last call: text, "at file:line < file:line" (innermost inlined call
/// first), and how often. Empty: nothing was wrong.
[[nodiscard]] std::vector<std::string> take_findings();

[[nodiscard]] bool has_findings();

}  // namespace simt
