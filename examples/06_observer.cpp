// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: every intermediate of a forward call, by name, to compare with another
/// program's or to find where an engine's binding goes wrong. Without an observer nothing of this
/// is compiled in.
#include "small_layer.hpp"

#include <cstdio>
#include <string>

using namespace deltanet;
using namespace example;

namespace {

double rms(View<const float, 4> t) {
    double sum = 0.0;
    for (index_t i = 0; i < t.size(0); ++i) {
        for (index_t j = 0; j < t.size(1); ++j) {
            for (index_t k = 0; k < t.size(2); ++k) {
                for (index_t l = 0; l < t.size(3); ++l)
                    sum += std::pow(static_cast<double>(t(i, j, k, l)), 2);
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
        std::printf("%-17s [%2td, %2td, %2td, %3td]  rms %.3f\n", name.c_str(), o.tensor.size(0),
                    o.tensor.size(1), o.tensor.size(2), o.tensor.size(3), rms(o.tensor));
        ++seen;
    };
    layer.forward(batch, rows(x, hidden), rows(y, hidden), slots, {}, print);

    std::vector<float> unseen(y.size());  // observing changes nothing
    layer.forward(batch, rows(x, hidden), rows(unseen, hidden), slots);
    return seen == 14 && unseen == y ? 0 : 1;
}

// Expected output:
// qkv_mixed.q       [ 1, 12,  2,  16]  rms 0.521
// qkv_mixed.k       [ 1, 12,  2,  16]  rms 0.492
// qkv_mixed.v       [ 1, 12,  2,  64]  rms 0.508
// z                 [12,  2,  2,  32]  rms 0.538
// conv_output_silu  [ 1,  1, 12, 192]  rms 0.136
// q_conv_normed     [ 1, 12,  2,  16]  rms 0.250
// k_conv_normed     [ 1, 12,  2,  16]  rms 0.250
// beta              [ 1,  1, 12,   4]  rms 0.509
// gate              [ 1,  1, 12,   4]  rms 1.157
// state_predelta    [ 1,  4, 16,  32]  rms 0.000
// attn_output       [ 1, 12,  4,  32]  rms 0.006
// new_state         [ 1,  4, 16,  32]  rms 0.022
// attn_out_norm     [ 1, 12,  4,  32]  rms 0.273
// linear_attn_out   [ 1,  1, 12,  64]  rms 0.182
