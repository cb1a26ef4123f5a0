// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Every mistake that the ops besides conv1d and delta_rule refuse, with the whole message, from
/// both backends, and nothing written.
#include "unit/op_problems.hpp"

#include <functional>
#include <vector>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// Applies every mistake to arguments of its own and expects each to be refused.
template <class Args, class Call>
void check(const Arena& arena, const Args& valid, const std::vector<Mistake<Args>>& mistakes,
           Call&& call) {
    for (const Mistake<Args>& mistake : mistakes) {
        Args args = valid;
        mistake.spoil(args);
        check_refused(arena, mistake.message, [&](auto& backend) { call(backend, args); });
    }
}

std::string sharing(const std::string& where, const std::string& shape,
                    const std::string& strides) {
    return where + ": expected strides under which no two indices share an element, found shape " +
           shape + " with strides " + strides;
}

}  // namespace

TEST_CASE("l2norm: mistakes", "[errors][l2norm]") {
    using Args = L2NormArgs<float>;
    Arena arena(41);
    const View<float, 3> input = arena.take<3>({4, 2, 5});
    const View<float, 3> output = arena.take<3>({4, 2, 5});
    const Args valid{.input = input, .output = output};
    const auto call = [](auto& backend, const Args& args) { l2norm(backend, args); };
    check_accepted(arena, [&](auto& backend) { call(backend, valid); });
    check_accepted(arena,
                   [&](auto& backend) { call(backend, Args{.input = input, .output = input}); });
    check<Args>(arena, valid,
                {
                    {[](Args& a) { a.input = without_data(a.input); },
                     "l2norm: input: expected data for shape [4, 2, 5], found a null pointer"},
                    {[](Args& a) {
                         a.input = restrided(a.input, {10, 1, 2});
                     },
                     "l2norm: input: expected innermost stride 1, found strides [10, 1, 2]"},
                    {[](Args& a) { a.output = a.output.slice(2, 0, 4); },
                     "l2norm: output: expected shape [4, 2, 5], found shape [4, 2, 4]"},
                    {[](Args& a) { a.output = without_data(a.output); },
                     "l2norm: output: expected data for shape [4, 2, 5], found a null pointer"},
                    {[](Args& a) {
                         a.output = restrided(a.output, {10, 1, 2});
                     },
                     "l2norm: output: expected innermost stride 1, found strides [10, 1, 2]"},
                    {[](Args& a) {
                         a.output = restrided(a.output, {10, 4, 1});
                     },
                     sharing("l2norm: output", "[4, 2, 5]", "[10, 4, 1]")},
                },
                call);
}

TEST_CASE("rmsnorm: mistakes", "[errors][rmsnorm]") {
    using Args = RmsNormArgs<float>;
    Arena arena(42);
    const View<float, 2> input = arena.take<2>({4, 5});
    const View<float, 1> weight = arena.take<1>({10});
    const View<float, 2> output = arena.take<2>({4, 5});
    const Args valid{.input = input, .weight = weight.slice(0, 0, 5), .output = output};
    const auto call = [](auto& backend, const Args& args) { rmsnorm(backend, args); };
    check_accepted(arena, [&](auto& backend) { call(backend, valid); });
    check<Args>(arena, valid,
                {
                    {[](Args& a) { a.input = without_data(a.input); },
                     "rmsnorm: input: expected data for shape [4, 5], found a null pointer"},
                    {[](Args& a) {
                         a.input = restrided(a.input, {1, 4});
                     },
                     "rmsnorm: input: expected innermost stride 1, found strides [1, 4]"},
                    {[&](Args& a) { a.weight = weight.slice(0, 0, 4); },
                     "rmsnorm: weight: expected shape [5], found shape [4]"},
                    {[](Args& a) { a.weight = without_data(a.weight); },
                     "rmsnorm: weight: expected data for shape [5], found a null pointer"},
                    {[](Args& a) { a.weight = restrided(a.weight, {2}); },
                     "rmsnorm: weight: expected innermost stride 1, found strides [2]"},
                    {[](Args& a) { a.output = a.output.slice(0, 0, 3); },
                     "rmsnorm: output: expected shape [4, 5], found shape [3, 5]"},
                    {[](Args& a) { a.output = without_data(a.output); },
                     "rmsnorm: output: expected data for shape [4, 5], found a null pointer"},
                    {[](Args& a) {
                         a.output = restrided(a.output, {1, 4});
                     },
                     "rmsnorm: output: expected innermost stride 1, found strides [1, 4]"},
                    {[](Args& a) {
                         a.output = restrided(a.output, {4, 1});
                     },
                     sharing("rmsnorm: output", "[4, 5]", "[4, 1]")},
                },
                call);
}

TEST_CASE("gates: mistakes", "[errors][gates]") {
    using Args = GatesArgs<float>;
    Arena arena(43);
    const View<float, 3> a_view = arena.take<3>({4, 2, 3});
    const View<float, 3> b_view = arena.take<3>({4, 2, 3});
    const View<float, 1> A_log = arena.take<1>({6});
    const View<float, 1> dt_bias = arena.take<1>({6});
    const View<float, 2> decay_log = arena.take<2>({4, 6});
    const View<float, 2> beta = arena.take<2>({4, 6});
    const Args valid{.a = a_view,
                     .b = b_view,
                     .A_log = A_log,
                     .dt_bias = dt_bias,
                     .decay_log = decay_log,
                     .beta = beta};
    const auto call = [](auto& backend, const Args& args) { gates(backend, args); };
    check_accepted(arena, [&](auto& backend) { call(backend, valid); });
    check_accepted(arena, [&](auto& backend) {
        Args args = valid;  // any strides on the inputs
        args.a = restrided(args.a, {1, 12, 4});
        args.b = restrided(args.b, {0, 0, 0});
        args.A_log = restrided(args.A_log, {0});
        call(backend, args);
    });
    check<Args>(arena, valid,
                {
                    {[](Args& a) { a.beta = a.decay_log; },
                     "gates: beta: expected memory apart from that of decay_log, found memory "
                     "that overlaps it"},
                    {[](Args& a) {
                         a.a = {a.beta.data(), {4, 2, 3}};
                     },
                     "gates: beta: expected memory apart from that of a, found memory that "
                     "overlaps it"},
                    {[](Args& a) { a.a = without_data(a.a); },
                     "gates: a: expected data for shape [4, 2, 3], found a null pointer"},
                    {[](Args& a) { a.b = a.b.slice(1, 0, 1); },
                     "gates: b: expected shape [4, 2, 3], found shape [4, 1, 3]"},
                    {[](Args& a) { a.b = without_data(a.b); },
                     "gates: b: expected data for shape [4, 2, 3], found a null pointer"},
                    {[](Args& a) { a.A_log = a.A_log.slice(0, 0, 2); },
                     "gates: A_log: expected shape [6], found shape [2]"},
                    {[](Args& a) { a.A_log = without_data(a.A_log); },
                     "gates: A_log: expected data for shape [6], found a null pointer"},
                    {[](Args& a) { a.dt_bias = a.dt_bias.slice(0, 0, 5); },
                     "gates: dt_bias: expected shape [6], found shape [5]"},
                    {[](Args& a) { a.dt_bias = without_data(a.dt_bias); },
                     "gates: dt_bias: expected data for shape [6], found a null pointer"},
                    {[](Args& a) { a.decay_log = a.decay_log.slice(0, 0, 3); },
                     "gates: decay_log: expected shape [4, 6], found shape [3, 6]"},
                    {[](Args& a) { a.decay_log = without_data(a.decay_log); },
                     "gates: decay_log: expected data for shape [4, 6], found a null pointer"},
                    {[](Args& a) {
                         a.decay_log = restrided(a.decay_log, {1, 4});
                     },
                     "gates: decay_log: expected innermost stride 1, found strides [1, 4]"},
                    {[](Args& a) {
                         a.decay_log = restrided(a.decay_log, {5, 1});
                     },
                     sharing("gates: decay_log", "[4, 6]", "[5, 1]")},
                    {[](Args& a) { a.beta = a.beta.slice(1, 0, 3); },
                     "gates: beta: expected shape [4, 6], found shape [4, 3]"},
                    {[](Args& a) { a.beta = without_data(a.beta); },
                     "gates: beta: expected data for shape [4, 6], found a null pointer"},
                    {[](Args& a) {
                         a.beta = restrided(a.beta, {1, 4});
                     },
                     "gates: beta: expected innermost stride 1, found strides [1, 4]"},
                    {[](Args& a) {
                         a.beta = restrided(a.beta, {0, 1});
                     },
                     sharing("gates: beta", "[4, 6]", "[0, 1]")},
                },
                call);
}

TEST_CASE("gated_rmsnorm: mistakes", "[errors][gated_rmsnorm]") {
    using Args = GatedRmsNormArgs<float>;
    Arena arena(44);
    const View<float, 3> input = arena.take<3>({4, 6, 5});
    const View<float, 4> z = arena.take<4>({4, 2, 3, 5});
    const View<float, 1> weight = arena.take<1>({10});
    const View<float, 3> output = arena.take<3>({4, 6, 5});
    const std::vector<index_t> high{0, 1, 4};
    const std::vector<index_t> low{-1, 1, 2};
    const std::vector<index_t> two{3, 3};
    const Args valid{
        .input = input, .z = z, .weight = weight.slice(0, 0, 5), .output = output, .rows = {}};
    const auto call = [](auto& backend, const Args& args) { gated_rmsnorm(backend, args); };
    check_accepted(arena, [&](auto& backend) { call(backend, valid); });
    check_accepted(arena, [&](auto& backend) {
        Args args = valid;
        args.gate = OutputGate::none;  // z is not looked at
        args.z = View<const float, 4>(nullptr, {1, 7, 1, 1});
        call(backend, args);
    });
    const std::string overlap = ", found memory that overlaps it";
    check<Args>(
        arena, valid,
        {
            {[](Args& a) { a.input = without_data(a.input); },
             "gated_rmsnorm: input: expected data for shape [4, 6, 5], found a null pointer"},
            {[](Args& a) {
                 a.input = restrided(a.input, {30, 1, 6});
             },
             "gated_rmsnorm: input: expected innermost stride 1, found strides [30, 1, 6]"},
            {[&](Args& a) { a.weight = weight.slice(0, 0, 6); },
             "gated_rmsnorm: weight: expected shape [5], found shape [6]"},
            {[](Args& a) { a.weight = without_data(a.weight); },
             "gated_rmsnorm: weight: expected data for shape [5], found a null pointer"},
            {[](Args& a) { a.weight = restrided(a.weight, {2}); },
             "gated_rmsnorm: weight: expected innermost stride 1, found strides [2]"},
            {[](Args& a) { a.z = {}; },
             "gated_rmsnorm: z: expected groups that divide H_v = 6, found 0 groups"},
            {[&](Args& a) {
                 a.z = View<const float, 4>(z.data(), {4, 4, 1, 5});
             },
             "gated_rmsnorm: z: expected groups that divide H_v = 6, found 4 groups"},
            {[&](Args& a) {
                 a.z = View<const float, 4>(z.data(), {4, 3, 3, 5});
             },
             "gated_rmsnorm: z: expected shape [4, 3, 2, 5], found shape [4, 3, 3, 5]"},
            {[](Args& a) { a.z = without_data(a.z); },
             "gated_rmsnorm: z: expected data for shape [4, 2, 3, 5], found a null pointer"},
            {[](Args& a) {
                 a.z = restrided(a.z, {30, 15, 1, 3});
             },
             "gated_rmsnorm: z: expected innermost stride 1, found strides [30, 15, 1, 3]"},
            {[&](Args& a) { a.rows = high; }, "gated_rmsnorm: rows[2]: expected 0 to 3, found 4"},
            {[&](Args& a) { a.rows = low; }, "gated_rmsnorm: rows[0]: expected 0 to 3, found -1"},
            {[&](Args& a) { a.rows = two; },
             "gated_rmsnorm: output: expected shape [2, 6, 5], found shape [4, 6, 5]"},
            {[](Args& a) { a.output = a.output.slice(0, 0, 3); },
             "gated_rmsnorm: output: expected shape [4, 6, 5], found shape [3, 6, 5]"},
            {[](Args& a) { a.output = without_data(a.output); },
             "gated_rmsnorm: output: expected data for shape [4, 6, 5], found a null pointer"},
            {[](Args& a) {
                 a.output = restrided(a.output, {30, 1, 6});
             },
             "gated_rmsnorm: output: expected innermost stride 1, found strides [30, 1, 6]"},
            {[](Args& a) {
                 a.output = restrided(a.output, {29, 5, 1});
             },
             sharing("gated_rmsnorm: output", "[4, 6, 5]", "[29, 5, 1]")},
            {[&](Args& a) { a.output = input; },
             "gated_rmsnorm: output: expected memory apart from that of input" + overlap},
            {[&](Args& a) {
                 a.output = {z.data() + 119, {4, 6, 5}};
             },
             "gated_rmsnorm: output: expected memory apart from that of z" + overlap},
        },
        call);
}

TEST_CASE("gather_rows and add_rows: mistakes", "[errors][rows]") {
    using Args = RowsArgs<float>;
    Arena arena(45);
    const View<float, 2> input = arena.take<2>({4, 5});
    const View<float, 2> output = arena.take<2>({4, 5});
    const std::vector<index_t> high{0, 1, 2, 4};
    const std::vector<index_t> low{0, 1, -1, 2};
    const std::vector<index_t> two{3, 3};
    const Args valid{.input = input, .output = output, .rows = {}};
    for (const bool add : {false, true}) {
        const std::string where = add ? "add_rows" : "gather_rows";
        const auto call = [add](auto& backend, const Args& args) {
            add ? add_rows(backend, args) : gather_rows(backend, args);
        };
        check_accepted(arena, [&](auto& backend) { call(backend, valid); });
        check<Args>(
            arena, valid,
            {
                {[](Args& a) { a.input = without_data(a.input); },
                 where + ": input: expected data for shape [4, 5], found a null pointer"},
                {[](Args& a) {
                     a.input = restrided(a.input, {1, 4});
                 },
                 where + ": input: expected innermost stride 1, found strides [1, 4]"},
                {[](Args& a) { a.output = a.output.slice(1, 0, 4); },
                 where + ": output: expected shape [4, 5], found shape [4, 4]"},
                {[](Args& a) { a.output = without_data(a.output); },
                 where + ": output: expected data for shape [4, 5], found a null pointer"},
                {[](Args& a) {
                     a.output = restrided(a.output, {1, 4});
                 },
                 where + ": output: expected innermost stride 1, found strides [1, 4]"},
                {[](Args& a) {
                     a.output = restrided(a.output, {4, 1});
                 },
                 sharing(where + ": output", "[4, 5]", "[4, 1]")},
                {[&](Args& a) { a.rows = two; },
                 where + ": output: expected shape [2, 5], found shape [4, 5]"},
                {[&](Args& a) { a.rows = high; }, where + ": rows[3]: expected 0 to 3, found 4"},
                {[&](Args& a) { a.rows = low; }, where + ": rows[2]: expected 0 to 3, found -1"},
                {[&](Args& a) {
                     a.output = {input.data() + 19, {4, 5}};
                 },
                 where + ": output: expected memory apart from that of input, found memory that "
                         "overlaps it"},
            },
            call);
    }
}
