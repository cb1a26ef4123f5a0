// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Whatever was done to a slot, it is what a fresh replay of the tokens that survived would be.
/// (What users of other engines met instead: states mixed between sequences, state of the last
/// owner of a slot, a convolution that was not rolled back, rollback across several sequences.)
#include "state_programs.hpp"

#include "support/catch_compat.hpp"
#include "support/layer_fixture.hpp"

using namespace deltanet;
using namespace deltanet::test;

namespace {

using ProgramRunner = ProgramRunnerOf<LayerBackend<>, ReferenceLinear>;

// Of outputs and states: a chunked scan is at most 5e-6 from the exact result (numerics), and so is
// the replay. A narrow state is rounded once a fold or call; four roundings in a row is what decays
// leave of more. Of int8 the steps between two folds read integers, half a 127th of a column off.
double bound_of(DType state) {
    switch (state) {
        case DType::f32:
            return 1e-5;
        case DType::bf16:
            return 4 * 0x1p-8;
        case DType::f16:
            return 4 * 0x1p-11;
        case DType::i8:
            return 4 * 0.5 / 127;
    }
    return 0.0;
}

/// How programs are judged: by the difference to a replay, or bit for bit.
enum class Judge : std::uint8_t { bound, bits };

/// Runs programs and reports the shortest that fails.
void check_programs(const RandomLayer& weights, const StateSlotsOptions& options, int n_programs,
                    std::uint32_t seed, Judge judge = Judge::bound) {
    const double bound = judge == Judge::bits ? 0.0 : bound_of(options.state);
    const auto difference = [&](const Program& program) {
        ProgramRunner runner(weights, options);
        runner.run(program);
        if (judge == Judge::bits) return runner.is_bit_equal_to_replay() ? 0.0 : 1.0;
        return runner.worst_difference();
    };
    std::mt19937 generator(seed);
    double worst = 0.0;
    for (int i = 0; i < n_programs; ++i) {
        const Program program = random_program(generator, 2 + generator() % 12);
        const double found = difference(program);
        worst = std::max(worst, found);
        if (found <= bound) continue;
        const Program shortest =
            shrink(program, [&](const Program& p) { return difference(p) > bound; });
        FAIL("rollback " << options.rollback << ", " << name_of(options.state) << ": difference "
                         << difference(shortest) << " > " << bound << " by\n"
                         << text_of(shortest));
    }
    INFO("worst difference " << worst);
    CHECK(worst <= bound);
}

StateSlotsOptions with(index_t rollback, DType state) {
    return {.slots = ProgramRunner::n_slots,
            .layers = ProgramRunner::n_layers,
            .state = state,
            .rollback = rollback};
}

}  // namespace

// Field rows 30, 33, 34, 39: rollback, what is pending, mixed batches.
TEST_CASE("programs of slot operations are a replay of the tokens that survive") {
    const index_t rollback = GENERATE(0, 1, 3, 8, 32);
    const RandomLayer weights(small_config(1, 2, 8, 12, 6), 5);
    check_programs(weights, with(rollback, DType::f32), 400,
                   static_cast<std::uint32_t>(140 + rollback));
}

TEST_CASE("programs of slot operations on narrow states") {
    const DType state = GENERATE(DType::bf16, DType::f16, DType::i8);
    const index_t rollback = GENERATE(0, 4, 16);
    const RandomLayer weights(small_config(1, 2, 8, 12, 6), 6);
    check_programs(weights, with(rollback, state), 150, static_cast<std::uint32_t>(150 + rollback));
}

TEST_CASE("without rollback and in determinism mode programs are a replay bit for bit") {
    const DType state = GENERATE(DType::f32, DType::bf16, DType::i8);
    const auto scan = GENERATE(ScanMode::automatic, ScanMode::recurrent);
    LayerConfig config = small_config(1, 2, 8, 12, 6);
    config.scan = scan;
    config.deterministic = GENERATE(false, true);
    CAPTURE(name_of(state), static_cast<int>(scan), config.deterministic);
    check_programs(RandomLayer(config, 8), with(0, state), 100, 170, Judge::bits);
}

TEST_CASE("programs of slot operations with other shapes") {
    LayerConfig config = small_config(2, 6, 7, 5, 9);
    config.conv_width = GENERATE(2, 3, 8);
    config.head_map = config.conv_width == 3 ? HeadMap::tiled : HeadMap::grouped;
    check_programs(RandomLayer(config, 7), with(5, DType::f32), 100, 160);
}
