// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: a sequence's state in the layouts of other programs, out of a slot and back
/// into another one, after which both sequences go on in step.
#include "small_layer.hpp"

#include <cstdio>

using namespace deltanet;
using namespace example;

int main() {
    const SmallLayer small;
    const LayerConfig& c = small.config;
    DeltaNetLayer<CpuBackend<>> layer(c, small.weights());
    StateSlots slots(c, {.slots = 2});
    std::vector<float> x = numbers(30 * c.hidden, 1.0F, 10), y(x.size());
    layer.forward(Batch().add({.slot = 0, .n_tokens = 30, .start = Start::fresh}),
                  rows(x, c.hidden), rows(y, c.hidden), slots);

    struct Layout {
        const char* program;
        index_t
            conv_columns;  // W, or W - 1 where the oldest input, which no one reads, is not kept
        StateOrder order;
    };
    const Layout layouts[] = {{"transformers", c.conv_width, StateOrder::k_first},
                              {"llama.cpp", c.conv_width - 1, StateOrder::v_first},
                              {"ik_llama.cpp", c.conv_width - 1, StateOrder::k_first}};
    bool right = true;
    for (const Layout& layout : layouts) {
        const bool k_first = layout.order == StateOrder::k_first;
        const Shape<3> shape{c.n_heads_v, k_first ? c.d_k : c.d_v, k_first ? c.d_v : c.d_k};
        std::vector<float> conv(static_cast<std::size_t>(c.conv_dim() * layout.conv_columns));
        std::vector<float> recurrent(static_cast<std::size_t>(c.n_heads_v * c.d_k * c.d_v));
        export_conv(slots, 0, 0, rows(conv, layout.conv_columns));
        export_recurrent(slots, 0, 0, View<float, 3>(recurrent.data(), shape), layout.order);
        std::printf("%-12s conv [%td, %td], recurrent [%td, %td, %td], %zu bytes\n", layout.program,
                    c.conv_dim(), layout.conv_columns, shape[0], shape[1], shape[2],
                    4 * (conv.size() + recurrent.size()));

        slots.reset(1);
        import_conv(slots, 1, 0, rows(conv, layout.conv_columns));
        import_recurrent(slots, 1, 0, View<float, 3>(recurrent.data(), shape), layout.order);

        // One more token for both: the same input row, hence the same output row.
        std::vector<float> next(x.begin(), x.begin() + c.hidden),
            next_y(static_cast<std::size_t>(2 * c.hidden));
        next.insert(next.end(), x.begin(), x.begin() + c.hidden);
        layer.forward(Batch().add({.slot = 0}).add({.slot = 1}), rows(next, c.hidden),
                      rows(next_y, c.hidden), slots);
        right = right &&
                std::equal(next_y.begin(), next_y.begin() + c.hidden, next_y.begin() + c.hidden);
    }
    std::printf("both go on with %s\n", right ? "the same bits" : "other bits");
    return right ? 0 : 1;
}

// Expected output:
// transformers conv [192, 4], recurrent [4, 16, 32], 11264 bytes
// llama.cpp    conv [192, 3], recurrent [4, 32, 16], 10496 bytes
// ik_llama.cpp conv [192, 3], recurrent [4, 16, 32], 10496 bytes
// both go on with the same bits
