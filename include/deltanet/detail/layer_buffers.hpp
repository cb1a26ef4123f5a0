// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The tensors between the ops of one forward call of a layer, in its workspace. Lists are always
/// in host memory: backends read them there.
#pragma once

#include <deltanet/batch.hpp>
#include <deltanet/layer_config.hpp>
#include <deltanet/workspace.hpp>

#include <algorithm>
#include <array>
#include <span>

namespace deltanet::detail {

/// Columns of a buffer as heads [n_tokens, n_heads, d].
[[nodiscard]] inline View<float, 3> heads(View<float, 2> buffer, index_t column, index_t n_heads,
                                          index_t d) {
    return {buffer.data() + column, {buffer.size(0), n_heads, d}, {buffer.stride(0), d, 1}};
}

/// Rows [n, width] one cache line further apart than they are wide: in models they would lie a
/// multiple of 4 KiB apart, and a head's rows fight for the same few sets of every cache.
[[nodiscard]] inline View<float, 2> padded_rows(Carver& carver, index_t n, index_t width) {
    constexpr index_t line = 64 / sizeof(float);
    const index_t stride = (width + line - 1) / line * line + line;
    return carver.take<float, 2>({n, stride}).slice(1, 0, width);
}

struct LayerBuffers {
    View<float, 2> input;        ///< [n_tokens, hidden]: normed or reordered x; unused otherwise
    View<float, 2> projected;    ///< [n_tokens, projected_width]
    View<float, 2> conv;         ///< [n_tokens, conv_dim], padded rows
    View<float, 2> decay_log;    ///< [n_tokens, H_v]
    View<float, 2> beta;         ///< [n_tokens, H_v]
    View<float, 3> attention;    ///< [n_tokens, H_v, d_v], padded rows
    View<float, 3> normed;       ///< [n_outputs, H_v, d_v]
    View<float, 2> two_inputs;   ///< of a deterministic layer: a row alone, twice
    View<float, 2> two_outputs;  ///< and what a projection makes of it
    std::span<SequenceSpan> sequences;  ///< of the round at hand
    std::span<std::byte> scratch;

    LayerBuffers(const LayerConfig& c, index_t projected_width, index_t n_tokens, index_t n_outputs,
                 index_t n_sequences, index_t scratch_bytes, Carver& carver, Carver& lists)
        : input(carver.take<float, 2>({n_tokens, c.hidden})),
          projected(carver.take<float, 2>({n_tokens, projected_width})),
          conv(padded_rows(carver, n_tokens, c.conv_dim())),
          decay_log(carver.take<float, 2>({n_tokens, c.n_heads_v})),
          beta(carver.take<float, 2>({n_tokens, c.n_heads_v})),
          attention(heads(padded_rows(carver, n_tokens, c.value_dim()), 0, c.n_heads_v, c.d_v)),
          normed(carver.take<float, 3>({n_outputs, c.n_heads_v, c.d_v})),
          two_inputs(
              carver.take<float, 2>({c.deterministic ? 2 : 0, std::max(c.hidden, c.value_dim())})),
          two_outputs(carver.take<float, 2>(
              {c.deterministic ? 2 : 0, std::max(c.hidden, projected_width)})),
          sequences(lists.take_span<SequenceSpan>(std::max(n_tokens, n_sequences))),
          scratch(carver.take_bytes(scratch_bytes), static_cast<std::size_t>(scratch_bytes)) {
        if (!sequences.empty()) sequences = sequences.first(static_cast<std::size_t>(n_sequences));
    }
};

/// Zeros in rows of y that belong to padding: what x held there may have been anything.
template <class B>
void clear_padding(B& backend, const Batch& batch, View<float, 2> y) {
    std::array<index_t, 64> rows;  // of y, as many at a time
    std::size_t n = 0;
    const auto clear = [&] {
        if (n > 0) backend.clear_rows(y, std::span<const index_t>(rows.data(), n));
        n = 0;
    };
    for (const SequenceSpan& sequence : batch.sequences()) {
        if (!is_padding(sequence)) continue;
        for (index_t j = 0; j < y.size(0); ++j) {
            const auto at = static_cast<std::size_t>(j);
            const index_t token = batch.output_tokens() ? (*batch.output_tokens())[at] : j;
            const index_t t = token - sequence.first_token;
            if (t < 0 || t >= sequence.n_tokens) continue;
            rows[n++] = j;
            if (n == rows.size()) clear();
        }
    }
    clear();
}

}  // namespace deltanet::detail
