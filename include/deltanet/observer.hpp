// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A look at the intermediates of a forward call, by the names that inference engines already give
/// them. The observer is a template parameter of `forward`: with the null observer nothing is left
/// of it.
#pragma once

#include <deltanet/views.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace deltanet {

/// In the order in which they are seen. Shapes are `[outermost, ..., innermost]`; H_k d_k etc. as
/// in LayerConfig.
enum class Stage : std::uint8_t {
    qkv_mixed,  ///< input projections, in three parts "q", "k", "v": [n_tokens, H_k, d_k or r d_v]
    z,          ///< gate projection [n_tokens, H_k, r, d_v]
    beta,       ///< after the sigmoid, linear [n_tokens, H_v]
    gate,       ///< log decay [n_tokens, H_v]
    conv_output_silu,  ///< [n_tokens, conv_dim]
    q_conv_normed,     ///< [n_tokens, H_k, d_k]
    k_conv_normed,     ///< [n_tokens, H_k, d_k]
    state_predelta,    ///< per sequence, before its first token [H_v, d_k, d_v]; all strides 0 for
                       ///< zeros
    attn_output,       ///< output of the delta rule [n_tokens, H_v, d_v]
    new_state,         ///< per sequence, after its last token [H_v, d_k, d_v]
    attn_out_norm,     ///< input of the output projection [n_outputs, H_v, d_v]
    linear_attn_out,   ///< before the residual is added [n_outputs, hidden]
};

[[nodiscard]] constexpr std::string_view name_of(Stage stage) noexcept {
    constexpr std::string_view kNames[] = {"qkv_mixed",
                                           "z",
                                           "beta",
                                           "gate",
                                           "conv_output_silu",
                                           "q_conv_normed",
                                           "k_conv_normed",
                                           "state_predelta",
                                           "attn_output",
                                           "new_state",
                                           "attn_out_norm",
                                           "linear_attn_out"};
    return kNames[static_cast<std::size_t>(stage)];
}

/// One intermediate, valid during the call only. Tensors of fewer than 4 dimensions have leading
/// ones.
struct Observation {
    Stage stage;
    std::string_view part;  ///< "q", "k" or "v" for the parts of qkv_mixed, else empty
    index_t slot;           ///< of the sequence that a state belongs to, else -1
    View<const float, 4> tensor;
};

/// Anything callable with an observation. Rows are in the batch's token order (sequence by
/// sequence). With a member `bool wants(Stage)` it is shown those stages only, and what the others
/// cost is saved: copies of states, copies from a device, a pass between convolution and norm.
template <class O>
concept Observer = requires(O& observer, const Observation& observation) {
    observer(observation);
};

/// Sees nothing and costs nothing.
struct NullObserver {
    constexpr void operator()(const Observation&) const noexcept {}
};

namespace detail {

template <class O>
[[nodiscard]] constexpr bool wants([[maybe_unused]] O& observer, [[maybe_unused]] Stage stage) {
    if constexpr (std::is_same_v<std::remove_cv_t<O>, NullObserver>) {
        return false;
    } else if constexpr (requires { observer.wants(stage); }) {
        return observer.wants(stage);
    } else {
        return true;
    }
}

template <class T, int Rank>
[[nodiscard]] constexpr View<const float, 4> as_rank4(View<T, Rank> view) noexcept {
    Shape<4> shape{1, 1, 1, 1};
    Shape<4> strides{0, 0, 0, 0};
    for (int d = 0; d < Rank; ++d) {
        shape[static_cast<std::size_t>(4 - Rank + d)] = view.size(d);
        strides[static_cast<std::size_t>(4 - Rank + d)] = view.stride(d);
    }
    return {view.data(), shape, strides};
}

}  // namespace detail
}  // namespace deltanet
