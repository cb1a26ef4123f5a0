// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Every mistake that delta_rule refuses, with the whole message, from both backends, and nothing
/// written.
#include "unit/op_problems.hpp"

#include <functional>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

using Args = DeltaRuleArgs<float>;

/// 5 tokens, 2 key heads of 3, 4 value heads of 4, 3 slots; two sequences.
struct Problem {
    Arena arena{32};
    View<float, 3> q = arena.take<3>({5, 2, 3});
    View<float, 3> k = arena.take<3>({5, 2, 3});
    View<float, 3> v = arena.take<3>({5, 4, 4});
    View<float, 2> decay_log = arena.take<2>({5, 4});
    View<float, 3> channels = arena.take<3>({5, 4, 3});
    View<float, 2> beta = arena.take<2>({5, 4});
    View<float, 4> state = arena.take<4>({3, 4, 3, 4});
    View<float, 3> output = arena.take<3>({5, 4, 4});
    std::vector<SequenceSpan> sequences{{0, 3, 2, Start::resume}, {3, 2, 0, Start::fresh}};

    Problem() {
        for (float& g : elements_of(decay_log)) g = -std::abs(g);
        for (index_t i = 0; i < channels.count(); ++i)
            channels.data()[i] = -std::abs(channels.data()[i]);
    }
    [[nodiscard]] Args args() {
        return {.q = q,
                .k = k,
                .v = v,
                .decay_log = decay_log,
                .beta = beta,
                .state = state,
                .output = output,
                .sequences = sequences};
    }
    static std::span<float> elements_of(const View<float, 2>& view) {
        return {view.data(), static_cast<std::size_t>(view.count())};
    }
};

View<float, 4> floats_of(const StateView<float>& state) {
    return {static_cast<float*>(state.data()), state.shape()};
}

/// With as much scratch as the CPU backend wants for these sizes.
template <class Backend>
void call(Backend& backend, const Args& args) {
    Workspace workspace;
    CpuBackend<> cpu;
    delta_rule(backend, args, workspace.acquire(cpu.delta_rule_scratch_bytes<float>(16, 16, 2)));
}

void check(const std::vector<Mistake<Args>>& mistakes) {
    Problem problem;
    for (const Mistake<Args>& mistake : mistakes) {
        for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked}) {
            Args args = problem.args();
            args.mode = mode;
            mistake.spoil(args);
            check_refused(problem.arena, mistake.message,
                          [&](auto& backend) { call(backend, args); });
        }
    }
}

/// Wants 128 bytes and counts how often it is asked to run.
struct NeedyBackend {
    int runs = 0;
    [[nodiscard]] static index_t delta_rule_scratch_bytes(const Args&) { return 128; }
    void delta_rule(const Args&, std::span<std::byte>) { ++runs; }
};

}  // namespace

TEST_CASE("delta_rule: the problem that the mistakes are made in is fine", "[errors][delta_rule]") {
    Problem problem;
    for (const ScanMode mode : {ScanMode::recurrent, ScanMode::chunked, ScanMode::automatic}) {
        Args args = problem.args();
        args.mode = mode;
        check_accepted(problem.arena, [&](auto& backend) { call(backend, args); });
        args.decay_log = restrided(args.decay_log.heads(), {1, 5});  // any strides
        args.beta = restrided(args.beta, {0, 0});
        check_accepted(problem.arena, [&](auto& backend) { call(backend, args); });
        args.decay_log = problem.channels;
        check_accepted(problem.arena, [&](auto& backend) { call(backend, args); });
    }
}

TEST_CASE("delta_rule: bad keys and queries", "[errors][delta_rule]") {
    check({
        {[](Args& a) {
             a.k = restrided(a.k, {6, 1, 2});
         },
         "delta_rule: k: expected innermost stride 1, found strides [6, 1, 2]"},
        {[](Args& a) { a.k = without_data(a.k); },
         "delta_rule: k: expected data for shape [5, 2, 3], found a null pointer"},
        {[](Args& a) { a.k = a.k.slice(2, 0, 0); },
         "delta_rule: k: expected d_k of at least 1, found shape [5, 2, 0]"},
        {[](Args& a) { a.q = a.q.slice(0, 0, 4); },
         "delta_rule: q: expected shape [5, 2, 3], found shape [4, 2, 3]"},
        {[](Args& a) { a.q = a.q.slice(2, 0, 2); },
         "delta_rule: q: expected shape [5, 2, 3], found shape [5, 2, 2]"},
        {[](Args& a) {
             a.q = restrided(a.q, {6, 1, 2});
         },
         "delta_rule: q: expected innermost stride 1, found strides [6, 1, 2]"},
        {[](Args& a) { a.q = without_data(a.q); },
         "delta_rule: q: expected data for shape [5, 2, 3], found a null pointer"},
        {[](Args& a) { a.k = a.k.slice(1, 0, 1); },  // q is measured by k
         "delta_rule: q: expected shape [5, 1, 3], found shape [5, 2, 3]"},
    });
}

TEST_CASE("delta_rule: bad values", "[errors][delta_rule]") {
    check({
        {[](Args& a) { a.v = a.v.slice(0, 0, 4); },
         "delta_rule: v: expected shape [5, 4, 4], found shape [4, 4, 4]"},
        {[](Args& a) { a.v = without_data(a.v); },
         "delta_rule: v: expected data for shape [5, 4, 4], found a null pointer"},
        {[](Args& a) {
             a.v = restrided(a.v, {16, 1, 4});
         },
         "delta_rule: v: expected innermost stride 1, found strides [16, 1, 4]"},
        {[](Args& a) { a.v = a.v.slice(1, 0, 3); },
         "delta_rule: v: expected a multiple of H_k = 2 heads (from k), found 3 heads"},
        {[](Args& a) {
             a.q = a.q.slice(1, 0, 0);
             a.k = a.k.slice(1, 0, 0);
         },
         "delta_rule: v: expected a multiple of H_k = 0 heads (from k), found 4 heads"},
        {[](Args& a) { a.v = a.v.slice(1, 0, 2); },  // the others are measured by v
         "delta_rule: decay_log: expected shape [5, 2], found shape [5, 4]"},
    });
}

TEST_CASE("delta_rule: bad gates", "[errors][delta_rule]") {
    const std::vector<float> numbers(60, -1.0F);
    const View<const float, 3> channels(numbers.data(), {5, 4, 3});
    check({
        {[](Args& a) { a.decay_log = a.decay_log.heads().slice(0, 0, 4); },
         "delta_rule: decay_log: expected shape [5, 4], found shape [4, 4]"},
        {[](Args& a) { a.decay_log = without_data(a.decay_log.heads()); },
         "delta_rule: decay_log: expected data for shape [5, 4], found a null pointer"},
        {[&](Args& a) { a.decay_log = channels.slice(2, 0, 2); },
         "delta_rule: decay_log: expected shape [5, 4, 3], found shape [5, 4, 2]"},
        {[&](Args& a) { a.decay_log = without_data(channels); },
         "delta_rule: decay_log: expected data for shape [5, 4, 3], found a null pointer"},
        {[&](Args& a) {
             a.decay_log = restrided(channels, {1, 5, 20});
         },
         "delta_rule: decay_log: expected innermost stride 1, found strides [1, 5, 20]"},
        {[](Args& a) { a.beta = a.beta.slice(1, 0, 2); },
         "delta_rule: beta: expected shape [5, 4], found shape [5, 2]"},
        {[](Args& a) { a.beta = without_data(a.beta); },
         "delta_rule: beta: expected data for shape [5, 4], found a null pointer"},
    });
}

TEST_CASE("delta_rule: bad state and output", "[errors][delta_rule]") {
    check({
        {[](Args& a) {
             a.state = View<float, 4>(floats_of(a.state).data(), {3, 4, 4, 3});
         },  // d_k and d_v exchanged
         "delta_rule: state: expected shape [3, 4, 3, 4], found shape [3, 4, 4, 3]"},
        {[](Args& a) { a.state = without_data(floats_of(a.state)); },
         "delta_rule: state: expected data for shape [3, 4, 3, 4], found a null pointer"},
        {[](Args& a) {
             a.state = restrided(floats_of(a.state), {48, 12, 1, 3});
         },
         "delta_rule: state: expected innermost stride 1, found strides [48, 12, 1, 3]"},
        {[](Args& a) {
             a.state = restrided(floats_of(a.state), {47, 12, 4, 1});
         },
         "delta_rule: state: expected strides under which no two indices share an element, found "
         "shape [3, 4, 3, 4] "
         "with strides [47, 12, 4, 1]"},
        {[](Args& a) { a.output = a.output.slice(1, 0, 2); },
         "delta_rule: output: expected shape [5, 4, 4], found shape [5, 2, 4]"},
        {[](Args& a) { a.output = without_data(a.output); },
         "delta_rule: output: expected data for shape [5, 4, 4], found a null pointer"},
        {[](Args& a) {
             a.output = restrided(a.output, {16, 1, 4});
         },
         "delta_rule: output: expected innermost stride 1, found strides [16, 1, 4]"},
        {[](Args& a) {
             a.output = restrided(a.output, {0, 4, 1});
         },
         "delta_rule: output: expected strides under which no two indices share an element, found "
         "shape [5, 4, 4] with "
         "strides [0, 4, 1]"},
    });
}

TEST_CASE("delta_rule: bad states in 16 bits", "[errors][delta_rule]") {
    std::vector<bf16> states(3 * 4 * 3 * 4);
    bf16* const p = states.data();
    check({
        {[=](Args& a) {
             a.state = View<bf16, 4>(p, {3, 4, 4, 3});
         },
         "delta_rule: state: expected shape [3, 4, 3, 4], found shape [3, 4, 4, 3]"},
        {[](Args& a) {
             a.state = View<bf16, 4>(nullptr, {3, 4, 3, 4});
         },
         "delta_rule: state: expected data for shape [3, 4, 3, 4], found a null pointer"},
        {[=](Args& a) {
             a.state = View<bf16, 4>(p, {3, 4, 3, 4}, {48, 12, 1, 3});
         },
         "delta_rule: state: expected innermost stride 1, found strides [48, 12, 1, 3]"},
    });
    Problem problem;
    Args args = problem.args();
    void* const memory = problem.output.data();
    args.state = View<f16, 4>(static_cast<f16*>(memory), {3, 4, 3, 4});
    check_refused(problem.arena,
                  "delta_rule: state: expected memory apart from that of output, found memory that "
                  "overlaps it",
                  [&](auto& backend) { call(backend, args); });
}

TEST_CASE("delta_rule: overlapping memory", "[errors][delta_rule]") {
    Problem problem;
    const auto refused = [&](const std::function<void(Args&)>& spoil, const std::string& message) {
        Args args = problem.args();
        spoil(args);
        check_refused(problem.arena, message, [&](auto& backend) { call(backend, args); });
    };
    const std::string found = ", found memory that overlaps it";
    refused([&](Args& a) { a.output = problem.v; },
            "delta_rule: output: expected memory apart from that of v" + found);
    refused(
        [&](Args& a) {
            a.output = {problem.q.data() - 79, {5, 4, 4}};
        },
        "delta_rule: output: expected memory apart from that of q" + found);
    refused(
        [&](Args& a) {
            a.output = {problem.k.data() + 29, {5, 4, 4}};
            a.v = {problem.state.data(), {5, 4, 4}};
        },
        "delta_rule: output: expected memory apart from that of k" + found);
    refused(
        [&](Args& a) {
            a.output = {problem.state.data() + 143, {5, 4, 4}};
        },
        "delta_rule: state: expected memory apart from that of output" + found);
    refused(
        [&](Args& a) {
            a.v = {problem.state.data() + 20, {5, 4, 4}};
        },
        "delta_rule: state: expected memory apart from that of v" + found);
    refused(
        [&](Args& a) {
            a.beta = {problem.state.data() + 20, {5, 4}};
        },
        "delta_rule: state: expected memory apart from that of beta" + found);
    refused(
        [&](Args& a) {
            a.decay_log = {a.output.data() + 20, {5, 4}};
        },
        "delta_rule: output: expected memory apart from that of decay_log" + found);
}

TEST_CASE("delta_rule: bad sequences", "[errors][delta_rule]") {
    Problem problem;
    const auto refused = [&](std::vector<SequenceSpan> spans, const std::string& message) {
        problem.sequences = std::move(spans);
        check_refused(problem.arena, message,
                      [&](auto& backend) { call(backend, problem.args()); });
    };
    refused({{0, 1, 0}, {1, 1, 3}}, "delta_rule: sequences[1].slot: expected 0 to 2, found 3");
    refused({{0, 1, 1}, {1, 1, 1}},
            "delta_rule: sequences[1].slot: expected a slot used once in a batch, found slot 1, "
            "also of sequences[0]");
    refused({{3, 3, 1}},
            "delta_rule: sequences[0]: expected tokens inside [0, 5), found 3 tokens from 3 on");
    refused({{-1, 3, 1}},
            "delta_rule: sequences[0]: expected tokens inside [0, 5), found 3 tokens from -1 on");
    refused({{2, -1, 1}},
            "delta_rule: sequences[0]: expected tokens inside [0, 5), found -1 tokens from 2 on");
    refused({{2, 3, 1}, {0, 3, 0}},
            "delta_rule: sequences[1]: expected tokens that no other sequence has, found tokens "
            "[0, 3), which overlap "
            "those of sequences[0]");
}

TEST_CASE("delta_rule: scratch too small or not aligned", "[errors][delta_rule]") {
    Problem problem;
    Workspace workspace;
    const std::span<std::byte> block = workspace.acquire(1024);
    NeedyBackend backend;
    const auto message = [&](std::span<std::byte> scratch) {
        return message_of([&] { delta_rule(backend, problem.args(), scratch); });
    };
    const std::string few = "delta_rule: scratch: expected at least 128 bytes, found ";
    CHECK(message({}) == few + "0 bytes");
    CHECK(message(block.first(127)) == few + "127 bytes");
    CHECK(message(block.subspan(32, 256)) ==
          "delta_rule: scratch: expected an address aligned to 64, found one that is not");
    CHECK(backend.runs == 0);
    CHECK(message(block.first(128)) == "nothing was thrown");
    CHECK(message(block.subspan(64)) == "nothing was thrown");
    CHECK(backend.runs == 2);
}

TEST_CASE("delta_rule: the CPU backend's own scratch is checked before anything is written",
          "[errors][delta_rule]") {
    Problem problem;
    CpuBackend<> backend;
    Args args = problem.args();
    args.mode = ScanMode::chunked;
    const index_t needed = backend.delta_rule_scratch_bytes(args);
    REQUIRE(needed > 0);
    Workspace workspace;
    const std::span<std::byte> block = workspace.acquire(needed + 64);
    const std::vector<float> before = problem.arena.floats;
    const auto n = static_cast<std::size_t>(needed);
    CHECK(message_of([&] { delta_rule(backend, args, block.first(n - 1)); }) ==
          detail::concat("delta_rule: scratch: expected at least ", needed, " bytes, found ",
                         needed - 1, " bytes"));
    CHECK(message_of([&] { delta_rule(backend, args, block.subspan(4, n)); }) ==
          "delta_rule: scratch: expected an address aligned to 64, found one that is not");
    CHECK(bit_equal(problem.arena.floats, before));
    ReferenceBackend reference;  // wants none and does not care
    CHECK(message_of([&] { delta_rule(reference, args, block.subspan(4, 0)); }) ==
          "nothing was thrown");
}
