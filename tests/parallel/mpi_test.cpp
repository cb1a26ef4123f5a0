// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Ranks that are processes: mpirun starts this program several times, and every process runs all
/// cases in the same order. A rank whose check fails goes on, so that the others need not wait.
#include "generate/model_files.hpp"
#include "parallel/rank_runs.hpp"
#include "support/catch_compat.hpp"
#include <deltanet/parallel/mpi.hpp>

using namespace deltanet;
using namespace deltanet::test;

namespace {

/// MPI from the first case to the end of the program.
struct MpiSession {
    MpiSession() { MPI_Init(nullptr, nullptr); }
    ~MpiSession() { MPI_Finalize(); }
};

MpiCommunicator world_communicator() {
    static const MpiSession session;
    return MpiCommunicator();
}

/// The ranks of this one's pair.
MpiCommunicator pair_communicator(MpiCommunicator& world) {
    MPI_Comm pair = MPI_COMM_NULL;
    const auto rank = static_cast<int>(world.rank());
    MPI_Comm_split(MPI_COMM_WORLD, rank / 2, rank, &pair);
    MpiCommunicator communicator(pair);
    MPI_Comm_free(&pair);
    return communicator;
}

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

/// The layers of the example model, one after the other, on the embedding of a text.
class ExampleModel {
  public:
    ExampleModel() : files_(DELTANET_TEST_DATA_DIR "/../examples/generate/model") {
        for (index_t i = 0; i < files_.n_layers(); ++i)
            bound_.push_back(files_.bind<EigenLinear>(config(), i));
        const std::string text =
            "It is a truth universally acknowledged, that a single man in possession of a good "
            "fortune, must be in want of a wife. However little known the feelings or views of "
            "such "
            "a man may be on his first entering a neighbourhood, this truth is so well fixed ...";
        const WeightMatrix embedding = files_.matrix("embed_tokens.weight");
        x_.resize(text.size() * at(config().hidden));
        for (std::size_t t = 0; t < text.size(); ++t) {
            embedding.load(static_cast<unsigned char>(text[t]), 0, config().hidden,
                           x_.data() + t * at(config().hidden));
        }
    }

    [[nodiscard]] const LayerConfig& config() const { return files_.layer(); }
    [[nodiscard]] index_t n_layers() const { return files_.n_layers(); }
    [[nodiscard]] index_t n_tokens() const {
        return static_cast<index_t>(x_.size()) / config().hidden;
    }
    [[nodiscard]] const LayerWeights<EigenLinear>& weights(index_t i) const {
        return bound_[at(i)].weights;
    }
    /// Of what comes out of the last layer: each adds its own to what it was given.
    [[nodiscard]] double rounding() const { return static_cast<double>(n_layers()) * kRounding; }
    /// Inputs of the first layer.
    [[nodiscard]] const std::vector<float>& x() const { return x_; }

    /// Outputs of the last layer; forward(i, x) is what layer i makes of x.
    template <class F>
    [[nodiscard]] std::vector<float> through_layers(std::vector<float> x, const F& forward) const {
        for (index_t i = 0; i < n_layers(); ++i) x = forward(i, x);
        return x;
    }
    [[nodiscard]] std::vector<float> whole(StateSlots& slots) const {
        return through_layers(x_, [&](index_t i, const std::vector<float>& x) {
            WholeLayer<> layer(config(), weights(i));
            return run_as(layer, config(), one(n_tokens()), x, slots, i);
        });
    }
    [[nodiscard]] std::vector<float> states(const StateSlots& slots) const {
        std::vector<float> all;
        for (index_t i = 0; i < n_layers(); ++i) {
            const std::vector<float> state = state_of(slots, 0, i);
            all.insert(all.end(), state.begin(), state.end());
        }
        return all;
    }

  private:
    generate::ModelFiles files_;
    std::vector<BoundLayer<>> bound_;
    std::vector<float> x_;
};

}  // namespace

TEST_CASE("MPI adds and gathers") {
    MpiCommunicator ranks = world_communicator();
    REQUIRE(ranks.world() > 1);
    const auto n = static_cast<float>(ranks.world()), mine = static_cast<float>(ranks.rank());
    std::vector<float> values{1.0F, mine, 0.5F * mine};
    ranks.all_reduce(values);
    const float sum = n * (n - 1.0F) / 2.0F;
    CHECK(values == std::vector<float>{n, sum, 0.5F * sum});
    std::vector<bf16> halves{to_bf16(1.0F), to_bf16(-mine)};
    ranks.all_reduce(std::span(halves));
    CHECK(to_float(halves[0]) == n);
    CHECK(to_float(halves[1]) == -sum);
    const std::vector<float> pair{mine, -mine};
    std::vector<float> all(2 * at(ranks.world()));
    ranks.all_gather(std::as_bytes(std::span(pair)), std::as_writable_bytes(std::span(all)));
    for (index_t r = 0; r < ranks.world(); ++r) {
        CHECK(all[at(2 * r)] == static_cast<float>(r));
        CHECK(all[at(2 * r + 1)] == -static_cast<float>(r));
    }
    CHECK(message_of([&] {
              ranks.all_gather(std::as_bytes(std::span(pair)),
                               std::as_writable_bytes(std::span(all).first(1)));
          }).starts_with("MpiCommunicator::all_gather: all: expected 8 bytes for each of "));
}

TEST_CASE("MPI: tensor parallel and sequence parallel are one process") {
    MpiCommunicator ranks = world_communicator();
    for (const index_t r : {1, 2, 3, 4}) {
        const RandomLayer random = long_memory(small_config(4, 4 * r, 16, 24, 20));
        CAPTURE(r, ranks.rank());
        CHECK(tensor_parallel_difference(ranks, random.config, random.packed()) < kRounding);
        CHECK(tensor_parallel_difference(ranks, random.config, random.split(),
                                         {.bf16_above_rows = 3}) < 0x1p-8);
        for (std::vector<index_t> pieces : {std::vector<index_t>{70, 90, 80, 30}, {2, 1, 0, 60}}) {
            pieces.resize(at(ranks.world()));
            const double difference = sequence_parallel_difference(
                ranks, random.config, random.split(), {.before = 20, .pieces = pieces});
            CHECK(difference >= 0.0);
            CHECK(difference < kRounding);
        }
    }
}

TEST_CASE("MPI: the example model, its heads over two ranks") {
    MpiCommunicator all = world_communicator();
    MpiCommunicator ranks = pair_communicator(all);  // it has two key heads
    REQUIRE(ranks.world() == 2);
    const ExampleModel model;
    StateSlots whole_slots(model.config(), {.layers = model.n_layers()});
    const std::vector<float> expected = model.whole(whole_slots);
    const LayerConfig mine = shard(model.config(), model.weights(0), ranks.rank(), 2).config;
    StateSlots slots(mine, {.layers = model.n_layers()});
    const auto y = model.through_layers(model.x(), [&](index_t i, const std::vector<float>& x) {
        const auto part = shard(model.config(), model.weights(i), ranks.rank(), ranks.world());
        LayerOfRank<> layer(part.config, part.weights);
        TensorParallel parallel(layer, ranks);
        return run_as(parallel, model.config(), one(model.n_tokens()), x, slots, i);
    });
    CHECK(relative_rms(y, expected) < model.rounding());
}

TEST_CASE("MPI: the example model, a prompt over all ranks") {
    MpiCommunicator ranks = world_communicator();
    const ExampleModel model;
    const index_t hidden = model.config().hidden;
    StateSlots whole_slots(model.config(), {.layers = model.n_layers()});
    const std::vector<float> expected = model.whole(whole_slots);
    StateSlots slots(model.config(), {.layers = model.n_layers()});
    const SequencePiece piece = sequence_piece(model.n_tokens(), ranks.rank(), ranks.world());
    CHECK(piece.n_tokens > 0);
    const auto y = model.through_layers(
        rows_of(model.x(), hidden, piece.first_token, piece.n_tokens),
        [&](index_t i, const std::vector<float>& x) {
            WholeLayer<> layer(model.config(), model.weights(i));
            SequenceParallel parallel(layer, ranks);
            return run_as(parallel, model.config(), one(piece.n_tokens), x, slots, i);
        });
    CHECK(relative_rms(y, rows_of(expected, hidden, piece.first_token, piece.n_tokens)) <
          model.rounding());
    CHECK(relative_rms(model.states(slots), model.states(whole_slots)) < model.rounding());
    CHECK(slots.position(0) == model.n_tokens());
}

TEST_CASE("MPI: a mistake of one rank is an error on all of them") {
    MpiCommunicator ranks = world_communicator();
    const auto check = [&](const std::string& function, const auto& after) {
        for (const Mistake mistake :
             {Mistake::batch, Mistake::hidden, Mistake::y, Mistake::slot, Mistake::in_proj,
              Mistake::out_proj, Mistake::other_function, Mistake::none}) {
            const WhatWasThrown thrown = after(mistake);
            CAPTURE(function, static_cast<int>(mistake), ranks.rank(), thrown.message);
            const bool is_none = mistake == Mistake::none;
            CHECK((thrown.message == "nothing was thrown") == is_none);
            if (ranks.rank() == 1 || is_none) continue;
            CHECK(thrown.message.starts_with(function + "::forward: "));
            CHECK(thrown.message.find("rank 1") != std::string::npos);
        }
    };
    check("TensorParallel", [&](Mistake mistake) {
        return after_mistake<TensorParallel, SequenceParallel>(ranks, mistake);
    });
    check("SequenceParallel", [&](Mistake mistake) {
        return after_mistake<SequenceParallel, TensorParallel>(ranks, mistake);
    });
}
