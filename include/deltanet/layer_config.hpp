// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What one Gated DeltaNet layer is: its sizes and the choices that differ between model families.
/// Sizes: H_k key heads of d_k, H_v = r H_k value heads of d_v, convolution over
/// conv_dim = 2 H_k d_k + H_v d_v channels. Every epsilon is stated here; none is implied.
#pragma once

#include <deltanet/config.hpp>
#include <deltanet/detail/check.hpp>

#include <cmath>
#include <cstdint>
#include <string_view>

namespace deltanet {

/// Which key head a value head h reads. `grouped`: h / r (Hugging Face, fla, Qwen3-Next
/// everywhere); `tiled`: h mod H_k (GGUF files of Qwen3.5). The same when r = 1.
enum class HeadMap : std::uint8_t { grouped, tiled };

/// How q and k are normalised. `rsqrt`: x / sqrt(sum x^2 + eps) (transformers, fla, newer
/// llama.cpp); `max`: x / max(sqrt(sum x^2), eps) (ik_llama.cpp, older llama.cpp). They differ for
/// tiny vectors.
enum class L2Form : std::uint8_t { rsqrt, max };

/// Activation of the output gate z. `none`: there is no z, the output is only normalised.
enum class OutputGate : std::uint8_t { silu, sigmoid, none };

/// Norm before the projections. `plain`: times w; `one_plus`: times (1 + w), as Qwen stores it.
enum class PreNorm : std::uint8_t { none, plain, one_plus };

/// How the delta rule walks a sequence. Both give the same result up to rounding; `automatic` takes
/// the chunked form for long stretches and the recurrent form for short ones.
enum class ScanMode : std::uint8_t { automatic, recurrent, chunked };

/// In what the chunked form computes its large products; sums, gates, the triangular system and the
/// state between chunks are float32 in any case. `bf16`: operands rounded to bfloat16, multiplied
/// by the CPU's dot-product instruction; on a CPU without one the same as f32, see
/// `CpuBackend::scan_compute`. `bf16_emulated`: bf16 on any CPU, slowly where there is no such
/// instruction, to see what the rounding does to a model. The recurrent form is always f32.
enum class ScanCompute : std::uint8_t { f32, bf16, bf16_emulated };

/// The key head that value head h reads.
[[nodiscard]] constexpr index_t key_head_of(HeadMap map, index_t h, index_t n_heads_k,
                                            index_t n_heads_v) noexcept {
    return map == HeadMap::grouped ? h / (n_heads_v / n_heads_k) : h % n_heads_k;
}

[[nodiscard]] constexpr std::string_view name_of(HeadMap map) noexcept {
    return map == HeadMap::grouped ? "grouped" : "tiled";
}
[[nodiscard]] constexpr std::string_view name_of(ScanCompute compute) noexcept {
    return compute == ScanCompute::f32    ? "f32"
           : compute == ScanCompute::bf16 ? "bf16"
                                          : "bf16_emulated";
}

struct LayerConfig {
    index_t hidden = 0;      ///< width of x and y
    index_t n_heads_k = 0;   ///< H_k
    index_t n_heads_v = 0;   ///< H_v, a multiple of H_k
    index_t d_k = 0;         ///< key and query head size
    index_t d_v = 0;         ///< value head size
    index_t conv_width = 4;  ///< taps of the causal convolution, 2 to 8
    HeadMap head_map = HeadMap::grouped;
    L2Form l2_form = L2Form::rsqrt;
    double l2_eps = 1e-6;    ///< of the norm of q and k
    double norm_eps = 1e-6;  ///< of the gated RMSNorm of the output
    OutputGate gate = OutputGate::silu;
    bool beta_doubled = false;  ///< beta in (0, 2): "allow_neg_eigval"
    double scale = 0.0;         ///< of q; 0 means d_k^(-1/2)
    PreNorm pre_norm = PreNorm::none;
    double pre_norm_eps = 1e-6;
    bool residual = false;  ///< y += x
    ScanMode scan = ScanMode::automatic;
    ScanCompute scan_compute = ScanCompute::f32;
    /// The same bits for a sequence whatever the batch around it, and wherever its tokens were cut
    /// at positions that are multiples of 64. Costs some speed (docs/numerics.md).
    bool deterministic = false;

    [[nodiscard]] constexpr index_t key_dim() const noexcept { return n_heads_k * d_k; }
    [[nodiscard]] constexpr index_t value_dim() const noexcept { return n_heads_v * d_v; }
    [[nodiscard]] constexpr index_t conv_dim() const noexcept {
        return 2 * key_dim() + value_dim();
    }
    [[nodiscard]] constexpr index_t conv_taps() const noexcept { return conv_width - 1; }
    /// Value heads per key head, r.
    [[nodiscard]] constexpr index_t heads_per_group() const noexcept {
        return n_heads_v / n_heads_k;
    }
    [[nodiscard]] constexpr bool has_gate() const noexcept { return gate != OutputGate::none; }
    [[nodiscard]] double query_scale() const noexcept {
        return scale != 0.0 ? scale : 1.0 / std::sqrt(static_cast<double>(d_k));
    }

    /// Throws `Error` naming the field that is wrong.
    void validate() const {
        const std::string_view where = "LayerConfig::validate";
        check_size(where, "hidden", hidden);
        check_size(where, "n_heads_k", n_heads_k);
        check_size(where, "n_heads_v", n_heads_v);
        check_size(where, "d_k", d_k);
        check_size(where, "d_v", d_v);
        if (n_heads_v % n_heads_k != 0) {
            detail::fail(where, "n_heads_v",
                         detail::concat("a multiple of n_heads_k = ", n_heads_k),
                         detail::concat(n_heads_v));
        }
        if (conv_width < 2 || conv_width > 8) {
            detail::fail(where, "conv_width", "2 to 8", detail::concat(conv_width));
        }
        check_epsilon(where, "l2_eps", l2_eps);
        check_epsilon(where, "norm_eps", norm_eps);
        if (pre_norm != PreNorm::none) check_epsilon(where, "pre_norm_eps", pre_norm_eps);
        if (!std::isfinite(scale)) {
            detail::fail(where, "scale", "a finite number, 0 for d_k^(-1/2)",
                         detail::concat(scale));
        }
    }

  private:
    /// Products of three sizes, what a state or a projection has, do not overflow, in bytes either.
    static void check_size(std::string_view where, std::string_view field, index_t value) {
        constexpr index_t most = index_t{1} << 19;
        detail::check_at_least(where, field, value, 1);
        if (value > most)
            detail::fail(where, field, detail::concat("at most ", most), detail::concat(value));
    }
    static void check_epsilon(std::string_view where, std::string_view field, double value) {
        if (!(value >= 0.0) || !std::isfinite(value)) {
            detail::fail(where, field, "a finite number >= 0", detail::concat(value));
        }
    }
};

}  // namespace deltanet
