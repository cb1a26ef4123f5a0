// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Pending updates: verification of drafts of which half is rejected, and plain decoding, with
/// states that come from memory. Floor: the bytes of the states, read once, at the bandwidth of a
/// read; the step that writes them now and then counts in the measured time only. Rivals of a
/// verification of T tokens:
///   saved_states  no pending updates; the state is copied away behind every token, head by head
///                 while it is in the cache, so that any of them can be taken back
///   plain_steps   T steps of decoding, of which nothing can be taken back
/// and of decoding with pending updates
///   r0            decoding without
#include "support/bandwidth.hpp"
#include "support/delta_data.hpp"
#include "support/suite.hpp"
#include <deltanet/models.hpp>
#include <deltanet/state_slots.hpp>

#include <cstring>
#include <memory>

namespace deltanet::bench {

namespace {

constexpr index_t kMiB = index_t{1} << 20;
using BenchBackend = CpuBackend<cpu::default_arch, ThreadPoolExecutor>;

/// States of more than 512 MiB in turn, `sequences` at a time, each with room for R updates.
class PendingData {
  public:
    PendingData(const HeadShape& shape, DType dtype, index_t tokens, index_t sequences,
                index_t rollback)
        : shape_(shape),
          sequences_(sequences),
          rollback_(rollback),
          rounds_(640 * kMiB / (shape.state_bytes(dtype) * sequences) + 1),
          data_(shape, tokens, sequences, rounds_ * sequences, dtype),
          k_(n_slots() * rollback * shape.n_heads_k * shape.d_k),
          u_(n_slots() * rollback * shape.n_heads_v * shape.d_v),
          log_(n_slots() * rollback * shape.n_heads_v),
          pending_(static_cast<std::size_t>(n_slots()), 0) {}

    [[nodiscard]] index_t n_slots() const noexcept { return rounds_ * sequences_; }
    [[nodiscard]] index_t sequences() const noexcept { return sequences_; }

    /// The next sequences' step. Spans are good until the next call.
    [[nodiscard]] DeltaRuleArgs<float> next() {
        const index_t first = round_ * sequences_;
        round_ = (round_ + 1) % rounds_;
        DeltaRuleArgs<float> args = data_.args(first);
        spans_.assign(args.sequences.begin(), args.sequences.end());
        for (SequenceSpan& span : spans_) span.pending = pending_of(span);
        args.sequences = spans_;
        args.pending = {
            View<float, 4>(k_.data(), {n_slots(), rollback_, shape_.n_heads_k, shape_.d_k}),
            View<float, 4>(u_.data(), {n_slots(), rollback_, shape_.n_heads_v, shape_.d_v}),
            View<float, 3>(log_.data(), {n_slots(), rollback_, shape_.n_heads_v})};
        return args;
    }
    /// What is pending behind the step, of whose tokens `rejected` are taken back.
    void finish(index_t rejected) {
        for (const SequenceSpan& span : spans_)
            pending_of(span) = pending_step(span, rollback_).after - rejected;
    }

  private:
    [[nodiscard]] index_t& pending_of(const SequenceSpan& span) {
        return pending_[static_cast<std::size_t>(span.slot)];
    }

    HeadShape shape_;
    index_t sequences_, rollback_, rounds_;
    DeltaData data_;
    Buffer k_, u_, log_;
    std::vector<index_t> pending_;
    std::vector<SequenceSpan> spans_;
    index_t round_ = 0;
};

void run(BenchBackend& backend, Workspace& workspace, const DeltaRuleArgs<float>& args) {
    delta_rule(backend, args, workspace.acquire(backend.delta_rule_scratch_bytes(args)));
}

/// Token `t` of every sequence alone.
std::vector<SequenceSpan> one_token(std::span<const SequenceSpan> sequences, index_t t) {
    std::vector<SequenceSpan> spans(sequences.begin(), sequences.end());
    for (SequenceSpan& span : spans) span = {span.first_token + t, 1, span.slot};
    return spans;
}

void plain_steps(BenchBackend& backend, Workspace& workspace, DeltaRuleArgs<float> args) {
    args.pending = {};
    const std::span<const SequenceSpan> sequences = args.sequences;
    for (index_t t = 0; t < sequences[0].n_tokens; ++t) {
        const std::vector<SequenceSpan> spans = one_token(sequences, t);
        args.sequences = spans;
        run(backend, workspace, args);
    }
}

/// Sequence by sequence and key head by key head, so that what is copied is in the cache.
void saved_states(BenchBackend& backend, Workspace& workspace, DeltaRuleArgs<float> args,
                  Buffer& saved) {
    args.pending = {};
    const index_t n_heads_k = args.k.size(1), r = args.v.size(1) / n_heads_k;
    const DeltaRuleArgs<float> all = args;
    all.state.visit([&]<class S>(const View<S, 4>& states) {
        const index_t head_bytes = r * states.stride(1) * index_t{sizeof(S)};
        auto* to = reinterpret_cast<std::byte*>(saved.data());
        for (const SequenceSpan& sequence : all.sequences) {
            for (index_t h = 0; h < n_heads_k; ++h) {
                args.q = all.q.slice(1, h, 1);
                args.k = all.k.slice(1, h, 1);
                args.v = all.v.slice(1, h * r, r);
                args.decay_log = all.decay_log.heads().slice(1, h * r, r);
                args.beta = all.beta.slice(1, h * r, r);
                args.output = all.output.slice(1, h * r, r);
                const View<S, 4> state = states.slice(1, h * r, r);
                args.state = state;
                for (index_t t = 0; t < sequence.n_tokens; ++t) {
                    const SequenceSpan span{sequence.first_token + t, 1, sequence.slot};
                    args.sequences = {&span, 1};
                    backend.delta_rule(args,
                                       workspace.acquire(backend.delta_rule_scratch_bytes(args)));
                    std::memcpy(to, state.ptr(sequence.slot), static_cast<std::size_t>(head_bytes));
                    to += head_bytes;
                }
            }
        }
    });
}

CaseMaker step_case(const HeadShape& shape, DType dtype, index_t tokens, index_t sequences,
                    index_t rollback) {
    const bool verify = tokens > 1;
    const std::string name =
        detail::concat(verify ? "verify_" : "decode_pending_", name_of(dtype), "_", shape.text(),
                       "_T", tokens, "_n", sequences, "_t1");
    return {
        name, [=] {
            const auto data =
                std::make_shared<PendingData>(shape, dtype, tokens, sequences, rollback);
            const auto workspace = std::make_shared<Workspace>();
            const auto read =
                std::make_shared<Bandwidth>(Bandwidth::Kind::read, 640 * kMiB / 4, 16 * kMiB / 4);
            const ThreadPoolExecutor executor = pool(1);
            const index_t bytes = shape.read_bytes(dtype) * sequences;
            const auto saved = std::make_shared<Buffer>(
                verify ? shape.state_bytes(dtype) * sequences * tokens / 4 : 1);
            Case work{.name = name,
                      .tokens = static_cast<double>(tokens * sequences),
                      .units = static_cast<double>(tokens * sequences * shape.n_heads_v),
                      .run =
                          [=] {
                              BenchBackend backend(executor);
                              run(backend, *workspace, data->next());
                              data->finish(tokens / 2);
                          },
                      .floor =
                          [=] {
                              ThreadPoolExecutor same = executor;
                              return static_cast<double>(bytes) / read->sample(same);
                          },
                      .note = detail::concat("rollback=", rollback)};
            work.rivals.push_back({verify ? "plain_steps" : "r0", [=] {
                                       BenchBackend backend(executor);
                                       plain_steps(backend, *workspace, data->next());
                                   }});
            if (verify) {
                work.rivals.push_back({"saved_states", [=] {
                                           BenchBackend backend(executor);
                                           saved_states(backend, *workspace, data->next(), *saved);
                                       }});
            }
            return work;
        }};
}

/// `StateSlots::rollback` of a whole slot: all linear layers of Qwen3-Next.
CaseMaker rollback_case() {
    const std::string name = "rollback_slot_36_layers";
    return {name, [=] {
                LayerConfig config = qwen3_next_80b_a3b();
                const auto slots = std::make_shared<StateSlots>(
                    config, StateSlotsOptions{.slots = 1, .layers = 36, .rollback = 8});
                return Case{
                    .name = name,
                    .tokens = 1.0,
                    .units = 1.0,
                    .run =
                        [=] {
                            for (index_t l = 0; l < 36; ++l)
                                slots->advance(l, {0, 1, 0, Start::resume}, 1);
                            slots->rollback(0, 1);
                        },
                    .floor = [] { return 0.0; },
                    .note = detail::concat("bytes_of_update=",
                                           StateSlots::bytes_per_slot(config, 1, DType::f32, 1) -
                                               StateSlots::bytes_per_slot(config),
                                           " bytes_of_state=", StateSlots::bytes_per_slot(config))};
            }};
}

}  // namespace

Suite state_suite() {
    const HeadShape qwen3_next{128, 128, 16, 32};
    Suite suite;
    for (const index_t tokens : {4, 8}) {
        for (const index_t sequences : {1, 8, 32})
            suite.push_back(step_case(qwen3_next, DType::f32, tokens, sequences, 16));
    }
    for (const DType dtype : {DType::bf16, DType::i8})
        suite.push_back(step_case(qwen3_next, dtype, 4, 32, 16));
    for (const DType dtype : {DType::f32, DType::bf16, DType::i8}) {
        for (const index_t sequences : {1, 32})
            suite.push_back(step_case(qwen3_next, dtype, 1, sequences, 8));
    }
    suite.push_back(rollback_case());
    return suite;
}

}  // namespace deltanet::bench
