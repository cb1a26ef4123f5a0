// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What this shows: projections of your own. The layer multiplies by anything that models
/// `LinearOperator`: here a matrix quantised to 8 bits with one scale per row, whose rows are tasks
/// for the backend's threads. (A function that multiplies needs no type: see `CallableLinear`.)
#include "small_layer.hpp"

#include <cstdio>

using namespace deltanet;
using namespace example;

class Int8Linear {
  public:
    Int8Linear() = default;
    explicit Int8Linear(View<const float, 2> w) : in_(w.size(1)), out_(w.size(0)) {
        for (index_t o = 0; o < out_; ++o) {
            float largest = 0.0F;
            for (index_t i = 0; i < in_; ++i) largest = std::max(largest, std::abs(w(o, i)));
            scales_.push_back(largest / 127.0F);
            for (index_t i = 0; i < in_; ++i) {
                bytes_.push_back(static_cast<std::int8_t>(std::lround(w(o, i) / scales_.back())));
            }
        }
    }

    // What LinearOperator asks for: two sizes, the scratch of a call, and the call.
    [[nodiscard]] index_t in_features() const { return in_; }
    [[nodiscard]] index_t out_features() const { return out_; }
    [[nodiscard]] index_t scratch_bytes(index_t /*n_tokens*/, index_t /*workers*/) const {
        return 0;
    }

    template <Executor E>
    void operator()(View<const float, 2> x, View<float, 2> y, std::span<std::byte>,
                    E& executor) const {
        executor.parallel_for(out_, [&](index_t o, index_t /*worker*/) {
            const std::int8_t* const w = bytes_.data() + o * in_;
            for (index_t t = 0; t < x.size(0); ++t) {  // x, y may be columns of wider buffers
                float sum = 0.0F;
                for (index_t i = 0; i < in_; ++i) sum += static_cast<float>(w[i]) * x(t, i);
                y(t, o) = scales_[static_cast<std::size_t>(o)] * sum;
            }
        });
    }

  private:
    index_t in_ = 0, out_ = 0;
    std::vector<std::int8_t> bytes_;
    std::vector<float> scales_;
};
static_assert(LinearOperator<Int8Linear>);

/// One forward of 40 tokens.
template <class L>
std::vector<float> run(const LayerConfig& config, const LayerWeights<L>& weights) {
    DeltaNetLayer<CpuBackend<>, L> layer(config, weights);
    StateSlots slots(config, {});
    Batch batch;
    batch.add({.slot = 0, .n_tokens = 40, .start = Start::fresh});
    std::vector<float> x = numbers(40 * config.hidden, 1.0F, 10), y(x.size());
    layer.forward(batch, rows(x, config.hidden), rows(y, config.hidden), slots);
    return y;
}

int main() {
    const SmallLayer small;
    const std::vector<float> exact = run(small.config, small.weights<EigenLinear>());
    const std::vector<float> quantised = run(small.config, small.weights<Int8Linear>());

    const double error = relative_error(quantised, exact);
    std::printf("8-bit weights: relative error %.1f %%\n", 100.0 * error);
    return error > 0.001 && error < 0.05 ? 0 : 1;
}

// Expected output:
// 8-bit weights: relative error 1.2 %
