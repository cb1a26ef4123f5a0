// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Throws bytes at `load_slot`, as they are and with the length and checksum set right, so that
/// what lies behind these is reached: the slot becomes what a blob holds, or `Error` is thrown and
/// the arena is as it was. Two programs from one file:
///   libFuzzer   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -DDELTANET_LIBFUZZER
///                   -I include -I tests -isystem /usr/include/eigen3
///                   tests/layer/state_blob_fuzz.cpp
///   standalone  any compiler, without -DDELTANET_LIBFUZZER: see support/fuzz_driver.hpp
#include "support/fuzz_driver.hpp"
#include "support/layer_fixture.hpp"
#include <deltanet/deltanet.hpp>
#include <deltanet/state_blob.hpp>

#include <array>
#include <cstring>
#include <memory>

namespace {

using namespace deltanet;
using deltanet::test::require;
using Outcomes = deltanet::test::FuzzOutcomes;

LayerConfig config() { return test::small_config(1, 2, 3, 2, 4); }

StateSlots arena(DType state, index_t rollback) {
    return StateSlots(config(), {.slots = 2, .layers = 2, .state = state, .rollback = rollback});
}

/// Arenas to load into; slot 0 holds something, slot 1 is loaded.
std::vector<StateSlots>& targets() {
    static std::vector<StateSlots> all = [] {
        std::vector<StateSlots> list;
        list.push_back(arena(DType::f32, 4));
        list.push_back(arena(DType::bf16, 0));
        list.push_back(arena(DType::i8, 2));
        return list;
    }();
    return all;
}

void load(std::string_view input, Outcomes& outcomes) {
    // Alone on the heap, where a sanitizer guards both its ends.
    const auto memory = std::make_unique<std::byte[]>(input.size());
    if (!input.empty()) std::memcpy(memory.get(), input.data(), input.size());
    const std::span<const std::byte> blob(memory.get(), input.size());
    for (StateSlots& slots : targets()) {
        const std::vector<std::byte> other = save_slot(slots, 0);
        const std::vector<std::byte> before = save_slot(slots, 1);
        try {
            load_slot(slots, 1, blob);
            ++outcomes.accepted;
            require(inspect_saved_slot(blob).position == slots.position(1), "positions agree");
            require(slots.pending(1) <= slots.max_rollback(), "what is pending has room");
            const std::vector<std::byte> again = save_slot(slots, 1);
            load_slot(slots, 1, again);
            require(save_slot(slots, 1) == again, "what was loaded can be saved and loaded");
        } catch (const Error& error) {
            ++outcomes.refused;
            require(std::string_view(error.what()).find(": expected ") != std::string_view::npos,
                    "messages say what was expected");
            require(save_slot(slots, 1) == before, "a slot that is refused is as it was");
        }
        require(save_slot(slots, 0) == other, "no other slot is touched");
    }
}

/// With its own length and checksum in the header.
std::string sealed(std::string text) {
    using Header = detail::BlobHeader;
    if (text.size() < 8 * Header::n_words) return text;
    const auto set = [&](index_t word, std::uint64_t value) {
        std::memcpy(text.data() + 8 * word, &value, 8);
    };
    set(Header::bytes, text.size());
    set(Header::checksum,
        detail::blob_checksum(std::as_bytes(std::span(text.data(), text.size()))));
    return text;
}

void run_all(std::string_view input, std::array<Outcomes, 2>& outcomes) {
    load(input, outcomes[0]);
    load(sealed(std::string(input)), outcomes[1]);
}

}  // namespace

#if defined(DELTANET_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::array<Outcomes, 2> outcomes;
    run_all({reinterpret_cast<const char*>(data), size}, outcomes);
    return 0;
}

#else

namespace {

/// Slots at several moments, of every storage type.
std::vector<std::string> seeds() {
    const test::RandomLayer random(config());
    DeltaNetLayer<test::LayerBackend<>> layer(config(), random.split());
    std::vector<std::string> blobs;
    const auto step = [&](StateSlots& slots, index_t n, Start start,
                          std::span<const index_t> parents = {}) {
        Batch batch;
        batch.add({.slot = 0, .n_tokens = n, .start = start, .parents = parents});
        const std::vector<float> x = test::Random(3).normals(n * config().hidden);
        for (index_t l = 0; l < 2; ++l) static_cast<void>(test::run(layer, batch, x, slots, l));
        const std::vector<std::byte> blob = save_slot(slots, 0);
        blobs.emplace_back(reinterpret_cast<const char*>(blob.data()), blob.size());
    };
    const std::array<index_t, 2> tree{-1, 0};
    for (const DType state : {DType::f32, DType::bf16, DType::f16, DType::i8}) {
        for (const index_t rollback : {0, 3}) {
            StateSlots slots = arena(state, rollback);
            step(slots, 5, Start::fresh);
            step(slots, 2, Start::resume);
            if (rollback > 0 && state == DType::f32) step(slots, 2, Start::resume, tree);
        }
    }
    return blobs;
}

constexpr std::array<std::string_view, 7> pieces{
    std::string_view("\0\0\0\0\0\0\0\0", 8),   std::string_view("\1\0\0\0\0\0\0\0", 8),
    std::string_view("\2\0\0\0\0\0\0\0", 8),   std::string_view("\4\0\0\0\0\0\0\0", 8),
    std::string_view("\xff\xff\xff\xff", 4),   std::string_view("\0\0\x80\x7f", 4),
    std::string_view("\0\0\0\0\0\0\0\x80", 8),
};

}  // namespace

int main(int argc, char** argv) {
    std::array<Outcomes, 2> outcomes;
    return deltanet::test::fuzz_main(
        std::span(argv, static_cast<std::size_t>(argc)), seeds(), pieces,
        [&](const std::string& input) { run_all(input, outcomes); },
        [&] {
            for (const Outcomes& outcome : outcomes) {
                require(outcome.accepted + outcome.refused == 17 * 3 && outcome.refused == 1,
                        "every seed can be loaded, but a tree nowhere without rollback");
            }
        },
        [&](std::uint64_t iterations) {
            deltanet::test::print_outcomes("as it is", outcomes[0]);
            deltanet::test::print_outcomes("sealed", outcomes[1]);
            require(iterations < 1000 || outcomes[1].accepted > 100, "some mutations stay valid");
        });
}

#endif
