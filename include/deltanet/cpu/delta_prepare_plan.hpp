// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Plan of the preparation of a window: a task is a few chunks of one key head of one sequence.
#pragma once

#include <deltanet/cpu/delta_call.hpp>

namespace deltanet::cpu {

template <class Arch, class T>
class Plan<Arch, DeltaPrepareArgs<T>> : DeltaCall<Arch, T> {
    using Call = DeltaCall<Arch, T>;

  public:
    Plan(const DeltaPrepareArgs<T>& args, index_t workers) noexcept
        : Call(args.rule),
          window_(args.window),
          worker_bytes_(Call::sizes(args.rule, workers).worker_bytes) {
        for (const SequenceSpan& sequence : args_.sequences) n_chunked_ += takes_chunks(sequence);
        const index_t chunk = choose_products([]<class S>(S) noexcept { return S::chunk; });
        blocks_ = (Call::window_chunks(window_, chunk) + tuning::prepared_chunks - 1) /
                  tuning::prepared_chunks;
    }

    [[nodiscard]] index_t n_tasks() const noexcept { return n_chunked_ * blocks_ * n_heads_k_; }
    [[nodiscard]] index_t scratch_bytes() const noexcept { return worker_bytes_; }

    void run(index_t task, T* memory) const noexcept {
        choose_products([&]<class ChunkScratch>(ChunkScratch scratch) noexcept {
            scratch.carve(memory, gate_, d_k_, 0);
            prepare(task / n_heads_k_ / blocks_, task / n_heads_k_ % blocks_, task % n_heads_k_,
                    scratch);
        });
    }

  private:
    using Call::args_, Call::gate_, Call::n_heads_k_, Call::d_k_, Call::heads_per_group_;
    using Call::takes_chunks, Call::choose_products;

    template <class ChunkScratch>
    void prepare(index_t ordinal, index_t block, index_t key_head,
                 ChunkScratch& scratch) const noexcept {
        constexpr index_t chunk = ChunkScratch::chunk;
        const SequenceSpan& sequence = chunked_sequence(ordinal);
        const index_t first = block * tuning::prepared_chunks;
        const index_t last =
            std::min(first + tuning::prepared_chunks, Call::window_chunks(window_, chunk));
        for (index_t c = first; c < last; ++c) {
            const index_t done = window_.first + c * chunk;
            if (done >= sequence.n_tokens) return;
            const index_t n_tokens = std::min(chunk, sequence.n_tokens - done);
            const index_t t = sequence.first_token + done;
            const auto record = this->template record<ChunkScratch>(window_, ordinal, c, key_head);
            scratch.use(record.keys(0));
            Call::prepare_keys(t, n_tokens, key_head, scratch);
            for (index_t head = 0; head < heads_per_group_; ++head) {
                if (gate_ == kernels::GateKind::per_channel) scratch.use(record.keys(head));
                scratch.use(record.gates(head));
                Call::prepare_gates(t, n_tokens, key_head, Call::value_head(key_head, head),
                                    scratch);
            }
        }
    }

    [[nodiscard]] const SequenceSpan& chunked_sequence(index_t ordinal) const noexcept {
        std::size_t i = 0;
        for (;; ++i) {
            if (takes_chunks(args_.sequences[i]) && ordinal-- == 0) return args_.sequences[i];
        }
    }

    DeltaWindow<T> window_;
    index_t worker_bytes_;
    index_t n_chunked_ = 0;
    index_t blocks_ = 0;
};

}  // namespace deltanet::cpu
