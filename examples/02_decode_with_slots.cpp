// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: streaming decode of several sequences whose states live in slots. A prompt is
/// read once, its state is copied to fork a second continuation, a third sequence joins in a slot
/// that held another one before, and a reset slot is as good as a fresh start.
#include "small_layer.hpp"

#include <cstdio>

using namespace deltanet;
using namespace example;

int main() {
    const SmallLayer small;
    const index_t hidden = small.config.hidden;
    DeltaNetLayer<CpuBackend<>> layer(small.config, small.weights());
    StateSlots slots(small.config, {.slots = 4});

    // A prompt of 20 tokens into slot 0. Start::fresh ignores what the slot held.
    std::vector<float> prompt = numbers(20 * hidden, 1.0F, 10), prompt_y(prompt.size());
    Batch batch;
    batch.add({.slot = 0, .n_tokens = 20, .start = Start::fresh});
    layer.forward(batch, rows(prompt, hidden), rows(prompt_y, hidden), slots);

    slots.copy(0, 1);  // a fork: slot 1 now has read the same prompt

    // Five steps, each one token for the sequences in slots 0, 1 and 2. Slot 2 starts at step 2.
    std::vector<float> x = numbers(3 * 5 * hidden, 1.0F, 11), y(x.size());
    index_t row = 0;
    for (int step = 0; step < 5; ++step) {
        batch.clear();  // keeps its memory: no allocation from step to step
        batch.add({.slot = 0}).add({.slot = 1});  // n_tokens = 1, Start::resume
        if (step >= 2) batch.add({.slot = 2, .start = step == 2 ? Start::fresh : Start::resume});
        const index_t n = batch.n_tokens();
        layer.forward(batch, rows(x, hidden, row, n), rows(y, hidden, row, n), slots);
        std::printf("step %d: %td sequences, y[0] =", step, n);
        for (index_t i = 0; i < n; ++i)
            std::printf(" %7.3f", static_cast<double>(rows(y, hidden)(row + i, 0)));
        std::printf("\n");
        row += n;
    }

    // The fork again, alone and from the beginning, in slot 3: the prompt, then its rows of x.
    const auto row_floats = static_cast<std::size_t>(hidden);
    std::vector<float> again_y(row_floats), fork_y(row_floats);
    batch.clear();
    batch.add({.slot = 3, .n_tokens = 20, .start = Start::fresh});
    layer.forward(batch, rows(prompt, hidden), rows(prompt_y, hidden), slots);
    batch.clear();
    batch.add({.slot = 3});
    const index_t fork_rows[] = {1, 3, 5, 8, 11};
    for (const index_t r : fork_rows) {
        layer.forward(batch, rows(x, hidden, r, 1), rows(again_y, hidden), slots);
    }
    std::copy_n(rows(y, hidden).ptr(11), hidden, fork_y.begin());
    const bool same = relative_error(again_y, fork_y) < 1e-5;

    // reset makes zeros, which is what a fresh start begins with.
    std::vector<float> reset_y(row_floats), fresh_y(row_floats);
    slots.reset(3);
    layer.forward(batch, rows(x, hidden, 0, 1), rows(reset_y, hidden), slots);
    batch.clear();
    batch.add({.slot = 3, .start = Start::fresh});
    layer.forward(batch, rows(x, hidden, 0, 1), rows(fresh_y, hidden), slots);
    std::printf("fork equals a run of its own: %s; reset equals fresh: %s\n", same ? "yes" : "no",
                reset_y == fresh_y ? "yes" : "no");
    return same && reset_y == fresh_y ? 0 : 1;
}

// Expected output:
// step 0: 2 sequences, y[0] =   0.221  -0.002
// step 1: 2 sequences, y[0] =   0.173  -0.048
// step 2: 3 sequences, y[0] =  -0.020   0.050  -0.016
// step 3: 3 sequences, y[0] =  -0.184  -0.254  -0.315
// step 4: 3 sequences, y[0] =   0.064   0.015  -0.039
// fork equals a run of its own: yes; reset equals fresh: yes
