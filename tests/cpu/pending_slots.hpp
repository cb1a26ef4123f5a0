// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Slots with pending updates at the level of the op, that compare every step with the oracle.
#pragma once

#include "fixtures.hpp"

namespace deltanet::test {

template <class T>
inline constexpr double kBound = std::is_same_v<T, double> ? 1e-10 : 4e-6;

struct Shapes {
    index_t n_heads_k, r, d_k, d_v, capacity;
};

/// Slots with pending updates, and for each slot the tokens that it has seen, from which the oracle
/// can make everything again.
template <class T>
class Slots {
    Shapes shapes_;  // first: the sizes of the others

  public:
    static constexpr index_t n_slots = 3;

    Slots(const Shapes& s, std::uint32_t seed)
        : shapes_(s),
          generator_(seed),
          k_({n_slots, s.capacity, s.n_heads_k, s.d_k}, 3, 1),
          u_({n_slots, s.capacity, s.n_heads_k * s.r, s.d_v}, 3, 1),
          g_({n_slots, s.capacity, s.n_heads_k * s.r}, 3, 1) {
        state.random(generator_, -1, 1);
        first.copy_from(state);
        k_.fill(red_zone<T>());
        u_.fill(red_zone<T>());
        g_.fill(red_zone<T>());
    }

    struct Step {
        index_t slot;
        index_t n_tokens;
        Start start = Start::resume;
        std::vector<index_t> parents{};
    };

    /// One call of the op for all steps, compared with the oracle.
    template <class Backend>
    void run(Backend& backend, const std::vector<Step>& steps, HeadMap map = HeadMap::grouped) {
        index_t n = 0;
        for (const Step& step : steps) n += step.n_tokens;
        DeltaProblem<T> problem(
            {n, shapes_.n_heads_k, shapes_.r, shapes_.d_k, shapes_.d_v, n_slots}, 3, 1);
        problem.random(generator_);
        std::vector<SequenceSpan> spans;
        index_t token = 0;
        for (const Step& step : steps) {
            spans.push_back({token, step.n_tokens, step.slot, step.start,
                             pending[static_cast<std::size_t>(step.slot)], step.parents});
            token += step.n_tokens;
        }
        DeltaRuleArgs<T> args = problem.args(spans, ScanMode::automatic, map);
        args.state = state.view();
        args.pending = {k_.view(), u_.view(), g_.view()};
        run_delta_rule(backend, args);
        for (std::size_t i = 0; i < steps.size(); ++i) {
            check_outputs(problem, spans[i], map);
            pending[at(steps[i].slot)] = pending_step(spans[i], shapes_.capacity).after;
        }
        CHECK(k_.red_zone_intact());
        CHECK(u_.red_zone_intact());
        CHECK(g_.red_zone_intact());
        CHECK(problem.output.red_zone_intact());
    }

    void rollback(index_t slot, index_t m) {
        pending[at(slot)] -= m;
        history_[at(slot)].resize(history_[at(slot)].size() - static_cast<std::size_t>(m));
    }

    /// The state that a slot stands for is what the oracle makes of its tokens.
    void check_state(index_t slot, HeadMap map = HeadMap::grouped) {
        DeltaProblem<double> replay = replayed(slot, history_[at(slot)], map);
        std::vector<double> actual, expected;
        detail::for_each_logical_element(
            StateView<T>(state.view()), PendingUpdates<T>{k_.view(), u_.view(), g_.view()}, map,
            slot, pending[at(slot)], [&](index_t h, index_t i, index_t j, double s) {
                actual.push_back(s);
                expected.push_back(replay.state.view()(0, h, i, j));
            });
        CHECK(relative_rms(actual, expected) <= kBound<T>);
    }

    Tensor<T, 4> state{{n_slots, shapes_.n_heads_k* shapes_.r, shapes_.d_k, shapes_.d_v}, 3, 1};
    Tensor<T, 4> first{{n_slots, shapes_.n_heads_k* shapes_.r, shapes_.d_k, shapes_.d_v}};
    std::vector<index_t> pending = std::vector<index_t>(n_slots, 0);

  private:
    /// What one token brought.
    struct Token {
        std::vector<double> q, k, v, g, beta;
    };
    static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

    Token token_of(DeltaProblem<T>& p, index_t t) const {
        Token token;
        for (index_t h = 0; h < shapes_.n_heads_k; ++h) {
            for (index_t i = 0; i < shapes_.d_k; ++i) {
                token.q.push_back(static_cast<double>(p.q.view()(t, h, i)));
                token.k.push_back(static_cast<double>(p.k.view()(t, h, i)));
            }
        }
        for (index_t h = 0; h < shapes_.n_heads_k * shapes_.r; ++h) {
            for (index_t j = 0; j < shapes_.d_v; ++j)
                token.v.push_back(static_cast<double>(p.v.view()(t, h, j)));
            token.g.push_back(static_cast<double>(p.decay_log.view()(t, h)));
            token.beta.push_back(static_cast<double>(p.beta.view()(t, h)));
        }
        return token;
    }

    /// The oracle's result for these tokens from the slot's first state on.
    DeltaProblem<double> replayed(index_t slot, const std::vector<Token>& tokens, HeadMap map) {
        const auto n = static_cast<index_t>(tokens.size());
        DeltaProblem<double> p({n, shapes_.n_heads_k, shapes_.r, shapes_.d_k, shapes_.d_v, 1});
        std::vector<double> all[5];
        for (const Token& t : tokens) {
            const std::vector<double>* const parts[] = {&t.q, &t.k, &t.v, &t.g, &t.beta};
            for (std::size_t i = 0; i < 5; ++i)
                all[i].insert(all[i].end(), parts[i]->begin(), parts[i]->end());
        }
        const auto fill = [](auto& tensor, const std::vector<double>& from) {
            std::size_t i = 0;
            tensor.for_each([&](double& x) { x = from[i++]; });
        };
        fill(p.q, all[0]);
        fill(p.k, all[1]);
        fill(p.v, all[2]);
        fill(p.decay_log, all[3]);
        fill(p.beta, all[4]);
        for (index_t h = 0; h < shapes_.n_heads_k * shapes_.r; ++h) {
            for (index_t i = 0; i < shapes_.d_k; ++i) {
                for (index_t j = 0; j < shapes_.d_v; ++j)
                    p.state.view()(0, h, i, j) = static_cast<double>(first.view()(slot, h, i, j));
            }
        }
        ReferenceBackend reference;
        const SequenceSpan all_tokens{0, n, 0, Start::resume};
        delta_rule(reference, p.args({&all_tokens, 1}, ScanMode::recurrent, map), {});
        return p;
    }

    void check_outputs(DeltaProblem<T>& problem, const SequenceSpan& span, HeadMap map) {
        std::vector<Token>& history = history_[at(span.slot)];
        if (span.start == Start::fresh) {
            history.clear();
            for (index_t h = 0; h < first.view().size(1); ++h) {
                for (index_t i = 0; i < shapes_.d_k; ++i) {
                    for (index_t j = 0; j < shapes_.d_v; ++j)
                        first.view()(span.slot, h, i, j) = T(0);
                }
            }
        }
        std::vector<double> actual, expected;
        const auto compare_last = [&](index_t t, const std::vector<Token>& path) {
            DeltaProblem<double> replay = replayed(span.slot, path, map);
            const auto last = static_cast<index_t>(path.size()) - 1;
            for (index_t h = 0; h < shapes_.n_heads_k * shapes_.r; ++h) {
                for (index_t j = 0; j < shapes_.d_v; ++j) {
                    actual.push_back(
                        static_cast<double>(problem.output.view()(span.first_token + t, h, j)));
                    expected.push_back(replay.output.view()(last, h, j));
                }
            }
        };
        const std::vector<Token> before = history;
        for (index_t t = 0; t < span.n_tokens; ++t) {
            history.push_back(token_of(problem, span.first_token + t));
            if (span.parents.empty()) {
                compare_last(t, history);
                continue;
            }
            std::vector<index_t> path;
            for (index_t i = t; i >= 0; i = span.parents[at(i)]) path.push_back(i);
            std::reverse(path.begin(), path.end());
            std::vector<Token> tokens = before;
            for (const index_t i : path) tokens.push_back(token_of(problem, span.first_token + i));
            compare_last(t, tokens);
        }
        if (!actual.empty()) CHECK(relative_rms(actual, expected) <= kBound<T>);
    }

    std::mt19937 generator_;
    Tensor<T, 4> k_, u_;
    Tensor<T, 3> g_;
    std::vector<Token> history_[n_slots];
};

}  // namespace deltanet::test
