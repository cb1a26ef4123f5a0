// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The chunked form of the delta rule on the device, for whole sequences; delta_rule.cu decides
/// which sequences take it. Products have operands in bfloat16 and sums in float32; gates, the
/// triangular system and the state are float32.
#pragma once

#include <deltanet/ops/delta_rule.hpp>

#include <cstddef>
#include <cuda_runtime.h>
#include <span>

namespace deltanet::cuda {

/// Whether there is a kernel for a call: d_k 64, 96 or 128, d_v a multiple of 32, one decay per
/// head, and rows of q, k, v and output aligned to 16 bytes.
[[nodiscard]] bool chunked_delta_rule_fits(const DeltaRuleArgs<float>& args) noexcept;

/// Scratch for the sequences of a call. Some bytes less are also taken, down to
/// chunked_least_scratch_bytes: the tokens are then done in more and shorter windows, with the same
/// bits as result.
[[nodiscard]] index_t chunked_scratch_bytes(const DeltaRuleArgs<float>& args,
                                            std::span<const SequenceSpan> sequences) noexcept;
/// Bound over every batch of calls with such heads.
[[nodiscard]] index_t chunked_scratch_bytes(index_t d_k, index_t d_v,
                                            index_t heads_per_group) noexcept;
/// What a window of one chunk of one key head takes.
[[nodiscard]] index_t chunked_least_scratch_bytes(index_t d_k, index_t d_v,
                                                  index_t heads_per_group) noexcept;

/// Runs every sequence, in chunks of 64 tokens from its first, and leaves its slot's state after
/// its last token, rounded to the state's type once. Padding sequences are left out; what is
/// pending in a slot is not looked at. `args.sequences` is not either. `scratch` is device memory
/// aligned to 64. Throws Error where a launch fails.
void chunked_delta_rule(const DeltaRuleArgs<float>& args, std::span<const SequenceSpan> sequences,
                        std::span<std::byte> scratch, cudaStream_t stream);

}  // namespace deltanet::cuda
