// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Launches of the convolution, with and without the gates.
#include "conv1d.cuh"
#include "launch.cuh"
#include <deltanet/cuda/ops.hpp>

#include <array>

namespace deltanet::cuda {
namespace {

[[nodiscard]] index_t blocks_of(index_t n, index_t per_block) {
    return (n + per_block - 1) / per_block;
}

[[nodiscard]] GateInput gate_input(const View<const float, 3>& view) {
    return {view.data(), view.stride(0), view.stride(1), view.stride(2)};
}

[[nodiscard]] GatesKernelArgs gates_args(const GatesArgs<float>& args) {
    return {.a = gate_input(args.a),
            .b = gate_input(args.b),
            .A_log = args.A_log.data(),
            .A_stride = args.A_log.stride(0),
            .dt_bias = args.dt_bias.data(),
            .dt_stride = args.dt_bias.stride(0),
            .decay_log = args.decay_log.data(),
            .decay_token = args.decay_log.stride(0),
            .beta = args.beta.data(),
            .beta_token = args.beta.stride(0),
            .n_tokens = args.a.size(0),
            .heads = static_cast<std::int32_t>(args.a.size(1) * args.a.size(2)),
            .per_group = static_cast<std::int32_t>(args.a.size(2)),
            .beta_factor = args.beta_doubled ? 2.0F : 1.0F};
}

/// A convolution as kernels take it. Norms of heads longer than a warp's turn are passes of their
/// own.
class ConvLaunch {
  public:
    /// What all parts share.
    ConvLaunch(const View<const float, 2>& weight, const View<const float, 1>& bias,
               const View<float, 3>& state, const View<float, 2>& output,
               const std::optional<HeadNorm>& norm, bool silu) {
        args_.weight = weight.data();
        args_.weight_channel = weight.stride(0);
        args_.weight_tap = weight.stride(1);
        args_.bias = bias.data();
        args_.bias_stride = bias.stride(0);
        args_.state = state.data();
        args_.state_slot = state.stride(0);
        args_.state_row = state.stride(1);
        args_.output = output.data();
        args_.output_token = output.stride(0);
        args_.silu = silu;
        if (norm) args_.norm = length_norm(norm->form, norm->eps);
        args_.vector = fits_vectors(state.data(), state.stride(0), state.stride(1)) &&
                       fits_vectors(output.data(), output.stride(0));
        args_.weight_vector =
            weight.stride(1) == 1 && fits_vectors(weight.data(), weight.stride(0));
        width_ = weight.size(1);
    }

    void add(const View<const float, 3>& input, const std::optional<HeadNorm>& norm) {
        const index_t channels = input.size(1) * input.size(2);
        if (channels == 0) return;
        ConvPart& part = args_.parts[args_.n_parts++];
        part.input = input.data();
        part.token = input.stride(0);
        part.group = input.stride(1);
        part.group_size = static_cast<std::int32_t>(input.size(2));
        part.channels = static_cast<std::int32_t>(channels);
        part.first_channel = channels_;
        part.first_block = args_.strip_blocks;
        part.normed = norm && norm->d <= kTurnElements;
        part.unit = RowLanes::of(part.normed ? norm->d : kTurnElements);
        const index_t units = blocks_of(channels, part.unit.size);
        args_.strip_blocks +=
            static_cast<std::int32_t>(blocks_of(units, kConvWarps * part.unit.rows_per_warp()));
        args_.vector = args_.vector && channels % kLaneElements == 0 &&
                       part.unit.size % kLaneElements == 0 &&
                       fits_vectors(input.data(), input.stride(0), input.stride(1), input.size(2));
        channels_ += part.channels;
    }

    /// gates: null for none.
    void run(std::span<const SequenceSpan> sequences, index_t rollback,
             const GatesKernelArgs* gates, cudaStream_t stream) const {
        switch (width_) {
            case 2:
                return run<2>(sequences, rollback, gates, stream);
            case 3:
                return run<3>(sequences, rollback, gates, stream);
            case 4:
                return run<4>(sequences, rollback, gates, stream);
            case 5:
                return run<5>(sequences, rollback, gates, stream);
            case 6:
                return run<6>(sequences, rollback, gates, stream);
            case 7:
                return run<7>(sequences, rollback, gates, stream);
            case 8:
                return run<8>(sequences, rollback, gates, stream);
            default:
                return;  // checked by the op
        }
    }

  private:
    /// Strips of a sequence; a fresh start without tokens only clears the state.
    [[nodiscard]] static index_t strips_of(const SequenceSpan& s, bool trees) {
        if (s.parents.empty() == trees) return 0;
        if (s.n_tokens == 0) return s.start == Start::fresh && !is_padding(s) ? 1 : 0;
        return blocks_of(s.n_tokens, kStripTokens);
    }

    template <int kWidth>
    void run(std::span<const SequenceSpan> sequences, index_t rollback,
             const GatesKernelArgs* gates, cudaStream_t stream) const {
        constexpr unsigned threads = kConvWarps * lanes_per_warp;
        const index_t gate_blocks = gates == nullptr ? 0 : blocks_of(gates->n_tokens, kGateWarps);
        bool with_gates = gate_blocks > 0;  // still to be done
        const auto chains = [&](const SequenceTable& table) {
            const index_t blocks = static_cast<index_t>(table.n_items) * args_.strip_blocks +
                                   (with_gates ? gate_blocks : 0);
            launch(conv_gates_kernel<kWidth>, dim3(static_cast<unsigned>(blocks)), dim3(threads), 0,
                   stream, table, args_, with_gates ? *gates : GatesKernelArgs{});
            with_gates = false;
        };
        for_each_table(
            sequences, rollback, [](const SequenceSpan& s) { return strips_of(s, false); },
            [&](const SequenceTable& table, auto&&) { chains(table); });
        if (with_gates) chains(SequenceTable{});
        for_each_table(
            sequences, rollback, [](const SequenceSpan& s) { return strips_of(s, true); },
            [&](const SequenceTable& table, std::span<const SequenceSpan* const> members) {
                const index_t blocks = static_cast<index_t>(table.n_items) * args_.strip_blocks;
                launch(conv_trees_kernel<kWidth>, dim3(static_cast<unsigned>(blocks)),
                       dim3(threads), 0, stream, table, trees_of(members), args_);
            });
    }

    ConvKernelArgs args_;
    index_t width_ = 0;
    std::int32_t channels_ = 0;
};

/// The norm of heads that the convolution's kernel does not take along, of rows that sequences
/// name.
void norm_long_heads(const Conv1dArgs<float>& args, cudaStream_t stream) {
    if (!args.norm || args.norm->d <= kTurnElements) return;
    const index_t d = args.norm->d;
    for (const SequenceSpan& s : args.sequences) {
        if (is_padding(s)) continue;
        const View<float, 2> rows = args.output.slice(0, s.first_token, s.n_tokens);
        const View<float, 3> heads(rows.data(), {rows.size(0), rows.size(1) / d, d},
                                   {rows.stride(0), d, 1});
        l2norm({heads, heads, args.norm->form, args.norm->eps}, stream);
    }
}

}  // namespace

void gates(const GatesArgs<float>& args, cudaStream_t stream) {
    const GatesKernelArgs kernel_args = gates_args(args);
    if (kernel_args.n_tokens == 0 || kernel_args.heads == 0) return;
    launch(gates_kernel, dim3(static_cast<unsigned>(blocks_of(kernel_args.n_tokens, kGateWarps))),
           dim3(kGateWarps * lanes_per_warp), 0, stream, kernel_args);
}

void conv1d(const Conv1dArgs<float>& args, cudaStream_t stream) {
    ConvLaunch conv(args.weight, args.bias, args.state, args.output, args.norm, args.silu);
    conv.add(args.input, args.norm);
    conv.run(args.sequences, args.rollback, nullptr, stream);
    norm_long_heads(args, stream);
}

void conv_gates(const ConvGatesArgs<float>& args, cudaStream_t stream) {
    ConvLaunch conv(args.weight, args.bias, args.state, args.output, args.norm, true);
    conv.add(args.q, args.norm);
    conv.add(args.k, args.norm);
    conv.add(args.v, std::nullopt);
    const GatesKernelArgs gates = gates_args(args.gates);
    conv.run(args.sequences, args.rollback, &gates, stream);
    for (const Conv1dArgs<float>& part : args.convolutions()) norm_long_heads(part, stream);
}

}  // namespace deltanet::cuda
