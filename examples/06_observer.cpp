// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: every intermediate of a forward call, by name, to compare with another program's or
/// to find where an engine's binding goes wrong. Without an observer nothing of this is compiled in.
#include <cstdio>
#include <string>

#include "small_layer.hpp"

using namespace deltanet;
using namespace example;

namespace {

double rms(View<const float, 4> t) {
    double sum = 0.0;
    for (index_t i = 0; i < t.size(0); ++i) {
        for (index_t j = 0; j < t.size(1); ++j) {
            for (index_t k = 0; k < t.size(2); ++k) {
                for (index_t l = 0; l < t.size(3); ++l) sum += double{t(i, j, k, l)} * double{t(i, j, k, l)};
            }
        }
    }
    return std::sqrt(sum / static_cast<double>(t.count()));
}

}  // namespace

int main() {
    const SmallLayer small;
    const index_t hidden = small.config.hidden;
    DeltaNetLayer<CpuBackend<>> layer(small.config, small.weights());
    StateSlots slots(small.config, {.slots = 1});
    Batch batch;
    batch.add({.slot = 0, .n_tokens = 12, .start = Start::fresh});
    std::vector<float> x = numbers(12 * hidden, 1.0F, 10), y(x.size());

    int seen = 0;
    const auto print = [&seen](const Observation& o) {
        std::string name(name_of(o.stage));
        if (!o.part.empty()) name += "." + std::string(o.part);
        std::printf("%-17s [%2td, %2td, %2td, %3td]  rms %.3f\n", name.c_str(), o.tensor.size(0), o.tensor.size(1),
                    o.tensor.size(2), o.tensor.size(3), rms(o.tensor));
        ++seen;
    };
    layer.forward(batch, rows(x, hidden), rows(y, hidden), slots, {}, print);

    std::vector<float> unseen(y.size());  // observing changes nothing
    layer.forward(batch, rows(x, hidden), rows(unseen, hidden), slots);
    return seen == 14 && unseen == y ? 0 : 1;
}

// Expected output:
