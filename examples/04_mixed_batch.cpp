// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: one call for whatever the scheduler has. Tokens of a prefill and of two decodes
/// stand in any order in x, each with the number of its sequence and its position; y holds only the
/// rows that are wanted, here the last one of each sequence.
#include "small_layer.hpp"

#include <cstdio>

using namespace deltanet;
using namespace example;

int main() {
    const SmallLayer small;
    const index_t hidden = small.config.hidden;
    DeltaNetLayer<CpuBackend<>> layer(small.config, small.weights());
    StateSlots slots(small.config, {.slots = 6});

    // Sequences 0 and 1 have read 30 and 10 tokens before. Slots 3 and 4 are copies for the check
    // below.
    std::vector<float> history = numbers(40 * hidden, 1.0F, 20), ignored(history.size());
    Batch before;
    before.add({.slot = 0, .n_tokens = 30, .start = Start::fresh});
    before.add({.slot = 1, .n_tokens = 10, .start = Start::fresh});
    layer.forward(before, rows(history, hidden), rows(ignored, hidden), slots);
    slots.copy(0, 3);
    slots.copy(1, 4);

    // Row by row: one token each of 0 and 1 between the first six of sequence 2. Position 0 starts
    // afresh.
    const std::vector<int> ids{2, 2, 0, 2, 2, 1, 2, 2};
    const std::vector<int> positions{0, 1, 30, 2, 3, 10, 4, 5};
    Batch batch = Batch::from_tokens(ids, positions);
    const std::vector<index_t> last{2, 5, 7};  // rows of x whose outputs the engine wants
    batch.select_outputs(last);

    std::vector<float> x = numbers(8 * hidden, 1.0F, 21);
    std::vector<float> y(static_cast<std::size_t>(batch.n_outputs() * hidden));
    layer.forward(batch, rows(x, hidden), rows(y, hidden), slots);

    // The same sequences one call each.
    std::vector<float> alone(y.size()), prompt, prompt_y(static_cast<std::size_t>(6 * hidden));
    for (const index_t row : {0, 1, 3, 4, 6, 7}) {
        prompt.insert(prompt.end(), x.begin() + row * hidden, x.begin() + (row + 1) * hidden);
    }
    layer.forward(Batch().add({.slot = 3}), rows(x, hidden, 2, 1), rows(alone, hidden, 0, 1),
                  slots);
    layer.forward(Batch().add({.slot = 4}), rows(x, hidden, 5, 1), rows(alone, hidden, 1, 1),
                  slots);
    layer.forward(Batch().add({.slot = 5, .n_tokens = 6, .start = Start::fresh}),
                  rows(prompt, hidden), rows(prompt_y, hidden), slots);
    std::copy_n(prompt_y.end() - hidden, hidden, alone.begin() + 2 * hidden);

    for (const SequenceSpan& sequence : batch.sequences()) {
        std::printf("sequence %td: %td tokens, %s\n", sequence.slot, sequence.n_tokens,
                    sequence.start == Start::fresh ? "fresh" : "resume");
    }
    for (index_t j = 0; j < batch.n_outputs(); ++j) {
        std::printf("row %td of x: y[0] = %6.3f, alone %6.3f\n", last[static_cast<std::size_t>(j)],
                    static_cast<double>(rows(y, hidden)(j, 0)),
                    static_cast<double>(rows(alone, hidden)(j, 0)));
    }
    return relative_error(y, alone) < 1e-5 ? 0 : 1;
}

// Expected output:
// sequence 2: 6 tokens, fresh
// sequence 0: 1 tokens, resume
// sequence 1: 1 tokens, resume
// row 2 of x: y[0] = -0.139, alone -0.139
// row 5 of x: y[0] = -0.043, alone -0.043
// row 7 of x: y[0] = -0.228, alone -0.228
