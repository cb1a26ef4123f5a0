// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Inputs of the delta rule as the layer hands them over: q, k and v as columns of the
/// convolution's output, rows of one token side by side.
#pragma once

#include "bandwidth.hpp"
#include <deltanet/cpu/backend.hpp>
#include <deltanet/workspace.hpp>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace deltanet::bench {

struct HeadShape {
    index_t d_k, d_v, n_heads_k, n_heads_v;
    bool per_channel = false;  ///< a decay for each key channel, as in Kimi Delta Attention

    /// d128_16x32, d96x192_30x30, d128_32x32_kda
    [[nodiscard]] std::string text() const {
        using detail::concat;
        return concat("d", d_k, d_v == d_k ? std::string() : concat("x", d_v), "_", n_heads_k, "x",
                      n_heads_v, per_channel ? "_kda" : "");
    }
    [[nodiscard]] index_t decays() const noexcept { return n_heads_v * (per_channel ? d_k : 1); }
    [[nodiscard]] index_t state_bytes(DType dtype) const noexcept {
        return n_heads_v * state_head_bytes(dtype, d_k, d_v);
    }
    /// What a step reads that does not write the state.
    [[nodiscard]] index_t read_bytes(DType dtype) const noexcept {
        const index_t scales = dtype == DType::i8 ? n_heads_v * d_v * index_t{sizeof(float)} : 0;
        return n_heads_v * d_k * d_v * size_of(dtype) + scales;
    }
};

inline void fill_random(std::mt19937& random, float* to, index_t n, float low, float high) {
    std::uniform_real_distribution<float> uniform(low, high);
    for (index_t i = 0; i < n; ++i) to[i] = uniform(random);
}

/// `slots` states stored as `state`, and `sequences` sequences of `tokens` tokens that use
/// `sequences` of them at a time.
class DeltaData {
  public:
    DeltaData(const HeadShape& shape, index_t tokens, index_t sequences, index_t slots,
              DType state = DType::f32)
        : shape_(shape),
          state_(state),
          slots_(slots),
          n_(tokens * sequences),
          conv_(n_ * row_stride()),
          decay_log_(n_ * shape.decays()),
          beta_(n_ * shape.n_heads_v),
          states_(slots * shape.state_bytes(state) / 4, 0.0F),
          output_(n_ * shape.n_heads_v * shape.d_v) {
        std::mt19937 random(1);
        // Unit length on average, as after the L2 norm.
        const float key = std::sqrt(3.0F / static_cast<float>(shape.d_k));
        const index_t key_dim = shape.n_heads_k * shape.d_k;
        for (index_t t = 0; t < n_; ++t) {
            float* const row = conv_.data() + t * row_stride();
            fill_random(random, row, 2 * key_dim, -key, key);
            fill_random(random, row + 2 * key_dim, conv_dim() - 2 * key_dim, -1.0F, 1.0F);
        }
        fill_random(random, decay_log_.data(), decay_log_.size(), -0.1F, 0.0F);
        fill_random(random, beta_.data(), beta_.size(), 0.0F, 1.0F);
        for (index_t s = 0; s < sequences; ++s)
            spans_.push_back({s * tokens, tokens, s, Start::resume});
    }

    /// The arguments for slots [first_slot, first_slot + sequences).
    [[nodiscard]] DeltaRuleArgs<float> args(index_t first_slot = 0) {
        for (std::size_t s = 0; s < spans_.size(); ++s)
            spans_[s].slot = first_slot + static_cast<index_t>(s);
        const index_t key_dim = shape_.n_heads_k * shape_.d_k;
        const auto heads = [&](index_t column, index_t count, index_t d) {
            return View<const float, 3>(conv_.data() + column, {n_, count, d},
                                        {row_stride(), d, 1});
        };
        DeltaRuleArgs<float> args;
        args.q = heads(0, shape_.n_heads_k, shape_.d_k);
        args.k = heads(key_dim, shape_.n_heads_k, shape_.d_k);
        args.v = heads(2 * key_dim, shape_.n_heads_v, shape_.d_v);
        const index_t n_heads_v = shape_.n_heads_v;
        if (shape_.per_channel) {
            args.decay_log = View<const float, 3>(decay_log_.data(), {n_, n_heads_v, shape_.d_k});
        } else {
            args.decay_log = {decay_log_.data(), {n_, n_heads_v}};
        }
        args.beta = {beta_.data(), {n_, shape_.n_heads_v}};
        args.state = state_ == DType::f32    ? StateView<float>(states<float>())
                     : state_ == DType::bf16 ? StateView<float>(states<bf16>())
                     : state_ == DType::f16  ? StateView<float>(states<f16>())
                                             : StateView<float>(states<i8>());
        args.output = {output_.data(), {n_, shape_.n_heads_v, shape_.d_v}};
        args.sequences = spans_;
        return args;
    }

  private:
    [[nodiscard]] index_t conv_dim() const noexcept {
        return 2 * shape_.n_heads_k * shape_.d_k + shape_.n_heads_v * shape_.d_v;
    }

    template <class S>
    [[nodiscard]] View<S, 4> states() const noexcept {
        void* const memory = states_.data();
        const index_t head = state_head_bytes(state_, shape_.d_k, shape_.d_v) / index_t{sizeof(S)};
        return {static_cast<S*>(memory),
                {slots_, shape_.n_heads_v, shape_.d_k, shape_.d_v},
                {shape_.n_heads_v * head, head, shape_.d_v, 1}};
    }

    /// As the layer lays its buffers out.
    [[nodiscard]] index_t row_stride() const noexcept { return conv_dim() + 16; }

    HeadShape shape_;
    DType state_;
    index_t slots_;
    index_t n_;
    Buffer conv_, decay_log_, beta_, states_, output_;
    std::vector<SequenceSpan> spans_;
};

}  // namespace deltanet::bench
