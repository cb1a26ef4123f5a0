// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The steps of `DeltaNetLayer`, for what runs them in another order: x -> projections ->
/// convolution and gates -> delta rule -> y.
#pragma once

#include <deltanet/layer.hpp>

namespace deltanet::detail {

struct LayerAccess {
    /// Memory for a call, and the projections of x in it.
    template <class Layer>
    [[nodiscard]] static LayerBuffers project(Layer& layer, const Batch& batch,
                                              View<const float, 2> x,
                                              const ForwardOptions& options) {
        const LayerBuffers buffers = layer.buffers_for(batch, options);
        layer.project(layer.normed_input(batch, x, buffers), buffers);
        return buffers;
    }
    /// Convolution, L2 norms and gates, on any state [n, W - 1, conv_dim].
    template <class Layer>
    static void convolve(Layer& layer, View<float, 3> state, const SequenceSpan& sequence,
                         const LayerBuffers& buffers) {
        layer.convolve(state, {&sequence, 1}, buffers, true);
    }
    /// What the layer's delta rule is called with, on any state.
    template <class Layer>
    [[nodiscard]] static DeltaRuleArgs<float> rule(const Layer& layer,
                                                   const StateView<float>& state,
                                                   const SequenceSpan& sequence,
                                                   const LayerBuffers& buffers) {
        return layer.rule(state, {}, {&sequence, 1}, buffers);
    }
    /// From the output of the delta rule to y.
    template <class Layer>
    static void finish(Layer& layer, const Batch& batch, View<const float, 2> x, View<float, 2> y,
                       const LayerBuffers& buffers) {
        NullObserver nobody;
        layer.finish(batch, x, y, buffers, nobody);
    }
};

}  // namespace deltanet::detail
