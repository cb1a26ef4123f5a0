// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Programs of everything that can happen to slots (slot_programs.hpp) run on an arena, and a model
/// to check it with: for each slot the list of tokens that it should have read.
#pragma once

#include "slot_programs.hpp"
#include "support/compare.hpp"
#include "support/random_layer.hpp"
#include <deltanet/state_blob.hpp>
#include <deltanet/state_exchange.hpp>

#include <random>
#include <utility>

namespace deltanet::test {

/// What a slot should have read, and where the calls that it came in ended.
struct Seen {
    std::vector<int> tokens;
    std::vector<index_t> ends;

    [[nodiscard]] index_t n() const { return static_cast<index_t>(tokens.size()); }
    void append(std::span<const int> more) {
        tokens.insert(tokens.end(), more.begin(), more.end());
        if (!more.empty()) ends.push_back(n());
    }
    void cut_to(index_t n_tokens) {
        tokens.resize(static_cast<std::size_t>(n_tokens));
        while (!ends.empty() && ends.back() > n_tokens) ends.pop_back();
        if (n_tokens > 0 && (ends.empty() || ends.back() != n_tokens)) ends.push_back(n_tokens);
    }
};

/// Slots of two layers with what they should have read, in the memory of the backend.
template <class B, class L>
class ProgramRunnerOf {
  public:
    static constexpr index_t n_slots = 3, n_layers = 2;

    ProgramRunnerOf(const LayerConfig& config, const LayerWeights<L>& weights,
                    const StateSlotsOptions& options, B backend)
        : config_(config),
          slots_(config_, in_memory(options, backend)),
          replayed_(config_, in_memory({.slots = 1, .layers = n_layers}, backend)),
          same_replayed_(
              config_,
              in_memory({.slots = 1, .layers = n_layers, .state = options.state}, backend)) {
        for (index_t l = 0; l < n_layers; ++l) layers_.emplace_back(config_, weights, backend);
    }
    ProgramRunnerOf(const RandomLayer& weights, const StateSlotsOptions& options)
        : ProgramRunnerOf(weights.config, weights.split<L>(), options, B{}) {}

    void run(const Program& program) {
        for (const Operation& o : program) apply(o);
    }

    /// Largest relative difference of a slot's state from a replay of the surviving tokens, or a
    /// quarter of that of the output of one more token: the RMSNorm behind the delta rule enlarges
    /// the error of an output that is small.
    double worst_difference() {
        double worst = 0.0;
        for (index_t slot = 0; slot < n_slots; ++slot) {
            Seen& seen = seen_[at(slot)];
            const index_t n = seen.n();
            if (slots_.position(slot) != n) return 1e9;
            const std::vector<float> all = rows(seen.tokens);
            for (index_t l = 0; l < n_layers; ++l) {
                static_cast<void>(test::run(layers_[at(l)], one(n), all, replayed_, l));
                const std::vector<double> expected = logical(replayed_, 0, l);
                const double difference = relative_rms(logical(slots_, slot, l), expected);
                if (n > 0) worst = std::max(worst, difference);
                std::vector<float> next = rows({next_token_});
                const std::vector<float> y =
                    test::run(layers_[at(l)], one(1, Start::resume, slot), next, slots_, l);
                const std::vector<float> y_replayed =
                    test::run(layers_[at(l)], one(1, Start::resume), next, replayed_, l);
                worst = std::max(worst, relative_rms(y, y_replayed) / 4);
            }
            seen.append(std::vector<int>{next_token_++});
        }
        return worst;
    }

    /// Whether every slot has the bits of a replay, and gives one more token's, through the same
    /// calls, and for a deterministic layer also cut at all multiples of 64. Without rollback.
    bool is_bit_equal_to_replay() {
        for (index_t slot = 0; slot < n_slots; ++slot) {
            Seen& seen = seen_[at(slot)];
            const std::vector<float> all = rows(seen.tokens);
            for (index_t l = 0; l < n_layers; ++l) {
                static_cast<void>(test::run(layers_[at(l)], one(0), {}, same_replayed_, l));
                for_each_call(seen, [&](index_t first, index_t end) {
                    static_cast<void>(test::run(layers_[at(l)], one(end - first, Start::resume),
                                                rows_of(all, config_.hidden, first, end - first),
                                                same_replayed_, l));
                });
                if (!bit_equal(logical(slots_, slot, l), logical(same_replayed_, 0, l)))
                    return false;
                const std::vector<float> next = rows({next_token_});
                if (!bit_equal(
                        test::run(layers_[at(l)], one(1, Start::resume, slot), next, slots_, l),
                        test::run(layers_[at(l)], one(1, Start::resume), next, same_replayed_, l)))
                    return false;
            }
            seen.append(std::vector<int>{next_token_++});
        }
        return true;
    }

    /// All slots, as bytes.
    [[nodiscard]] std::vector<std::vector<std::byte>> saved() const {
        std::vector<std::vector<std::byte>> blobs;
        for (index_t slot = 0; slot < n_slots; ++slot) blobs.push_back(save_slot(slots_, slot));
        return blobs;
    }

  private:
    using Layer = DeltaNetLayer<B, L>;
    [[nodiscard]] static StateSlotsOptions in_memory(StateSlotsOptions options, B& backend) {
        options.memory = &backend.memory();
        return options;
    }
    static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

    /// The input of tokens: the same for a number, always.
    [[nodiscard]] std::vector<float> rows(const std::vector<int>& tokens) const {
        std::vector<float> x;
        for (const int token : tokens) {
            std::mt19937 generator(static_cast<std::uint32_t>(token));
            for (index_t i = 0; i < config_.hidden; ++i)
                x.push_back(static_cast<float>(generator() % 2001) / 1000.0F - 1.0F);
        }
        return x;
    }

    [[nodiscard]] std::vector<double> logical(const StateSlots& slots, index_t slot,
                                              index_t layer) const {
        std::vector<float> conv(at(config_.conv_dim() * config_.conv_taps()));
        std::vector<float> state(at(config_.n_heads_v * config_.d_k * config_.d_v));
        export_conv(slots, slot, layer, {conv.data(), {config_.conv_dim(), config_.conv_taps()}});
        export_recurrent(slots, slot, layer,
                         {state.data(), {config_.n_heads_v, config_.d_k, config_.d_v}},
                         StateOrder::k_first);
        std::vector<double> all(conv.begin(), conv.end());
        all.insert(all.end(), state.begin(), state.end());
        return all;
    }

    /// f(first token, end) of the calls of a replay.
    template <class F>
    void for_each_call(const Seen& seen, F&& f) const {
        index_t first = 0;
        for (const index_t end : seen.ends) {
            while (config_.deterministic && first / kGridTokens < (end - 1) / kGridTokens) {
                const index_t grid = (first / kGridTokens + 1) * kGridTokens;
                f(first, grid);
                first = grid;
            }
            f(first, end);
            first = end;
        }
    }

    /// Tokens that nobody has seen before.
    std::vector<int> new_tokens(index_t n) {
        std::vector<int> tokens;
        for (index_t i = 0; i < n; ++i) tokens.push_back(next_token_++);
        return tokens;
    }

    struct Part {
        index_t slot;
        std::vector<int> tokens;
        Start start = Start::resume;
        std::vector<index_t> parents{};
        std::span<const Snapshot> snapshots{};
    };
    /// One step of all layers.
    void step(const std::vector<Part>& parts) {
        Batch batch;
        std::vector<int> all;
        for (const Part& p : parts) {
            // Without names: nvcc loses them inside a template.
            batch.add(BatchSequence{p.slot, static_cast<index_t>(p.tokens.size()), p.start,
                                    p.parents, p.snapshots});
            all.insert(all.end(), p.tokens.begin(), p.tokens.end());
            Seen& seen = seen_[at(p.slot)];
            if (p.start == Start::fresh) seen = {};
            if (!p.parents.empty()) continue;
            index_t first = 0;
            for (const Snapshot& s : p.snapshots) {
                seen.append(std::span(p.tokens).first(at(s.n_tokens)).subspan(at(first)));
                first = s.n_tokens;
            }
            seen.append(std::span(p.tokens).subspan(at(first)));
        }
        const std::vector<float> x = rows(all);
        for (index_t l = 0; l < n_layers; ++l)
            static_cast<void>(test::run(layers_[at(l)], batch, x, slots_, l));
    }

    void rollback(index_t slot, index_t m) {
        slots_.rollback(slot, m);
        seen_[at(slot)].cut_to(seen_[at(slot)].n() - m);
    }

    void tree(index_t slot, index_t n, std::mt19937& random) {
        std::vector<index_t> parents;
        for (index_t t = 0; t < n; ++t)
            parents.push_back(static_cast<index_t>(random() % static_cast<std::uint32_t>(t + 1)) -
                              1);
        const std::vector<int> drafts = new_tokens(n);
        step({{slot, drafts, Start::resume, parents}});
        if (random() % 5 == 0) return slots_.rollback(slot, n);
        std::vector<index_t> path;
        for (auto node = static_cast<index_t>(random() % static_cast<std::uint32_t>(n)); node >= 0;
             node = parents[at(node)])
            path.push_back(node);
        std::reverse(path.begin(), path.end());
        if (random() % 3 == 0) path.pop_back();  // up to an inner node, or none at all
        slots_.accept(slot, path);
        for (const index_t node : path) seen_[at(slot)].append(std::span(&drafts[at(node)], 1));
    }

    void apply(const Operation& o) {
        const auto slot = static_cast<index_t>(o.slot % n_slots);
        const auto other = static_cast<index_t>(o.other % n_slots);
        const auto count = static_cast<index_t>(o.count);
        const index_t R = slots_.max_rollback();
        std::mt19937 random(o.random);
        switch (o.action) {
            case Action::append:
                return step({{slot, new_tokens(count + 1)}});
            case Action::fresh:
                return step({{slot, new_tokens(count), Start::fresh}});
            case Action::verify: {
                if (R == 0) return;
                const index_t n = count % R + 1;
                step({{slot, new_tokens(n)}});
                return rollback(slot,
                                static_cast<index_t>(random() % static_cast<std::uint32_t>(n + 1)));
            }
            case Action::tree:
                return R == 0 ? void() : tree(slot, count % R + 1, random);
            case Action::rollback:
                return rollback(slot, count % (slots_.pending(slot) + 1));
            case Action::copy:
                slots_.copy(slot, other);
                seen_[at(other)] = Seen(seen_[at(slot)]);
                return;
            case Action::fork: {
                const index_t to[] = {(slot + 1) % n_slots, (slot + 2) % n_slots};
                slots_.fork(slot, to);
                for (const index_t copy : to) seen_[at(copy)] = Seen(seen_[at(slot)]);
                return;
            }
            case Action::swap:
                slots_.swap(slot, other);
                std::swap(seen_[at(slot)], seen_[at(other)]);
                return;
            case Action::save:  // and load as another
                load_slot(slots_, other, save_slot(slots_, slot, 7), 7);
                seen_[at(other)] = Seen(seen_[at(slot)]);
                return;
            case Action::snapshot: {
                if (slot == other) return;
                const std::vector<int> tokens = new_tokens(count + 1);
                const index_t kept = static_cast<index_t>(random() % (o.count + 1)) + 1;
                Seen copied = seen_[at(slot)];
                copied.append(std::span(tokens).first(at(kept)));
                const Snapshot snapshots[] = {{kept, other}};
                step({{slot, tokens, Start::resume, {}, snapshots}});
                seen_[at(other)] = copied;
                return;
            }
            case Action::reset:
                slots_.reset(slot);
                seen_[at(slot)] = {};
                return;
            case Action::flush:
                return slots_.flush(slot);
            case Action::mixed:  // prefill, decode and something short at once
                return step({{slot, new_tokens(count + 1)},
                             {(slot + 1) % n_slots, new_tokens(1)},
                             {(slot + 2) % n_slots, new_tokens(count % 5)}});
        }
    }

    LayerConfig config_;
    std::vector<Layer> layers_;
    StateSlots slots_;
    StateSlots replayed_;
    StateSlots same_replayed_;  ///< stored as the slots are
    Seen seen_[n_slots];
    int next_token_ = 1;
};

}  // namespace deltanet::test
