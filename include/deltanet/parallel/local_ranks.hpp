// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Ranks that are threads of one process, say one for each NUMA node: a meeting place that they
/// share, and the communicator that each of them has.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/parallel/communicator.hpp>

#include <barrier>
#include <cstring>
#include <vector>

namespace deltanet {

/// Outlives the communicators of its ranks.
class LocalRanks {
  public:
    explicit LocalRanks(index_t world)
        : shown_(checked(world)), meeting_(static_cast<std::ptrdiff_t>(world)) {}

    [[nodiscard]] index_t world() const noexcept { return static_cast<index_t>(shown_.size()); }

  private:
    friend class LocalRank;
    using Bytes = std::span<const std::byte>;

    static std::size_t checked(index_t world) {
        detail::check_at_least("LocalRanks", "world", world, 1);
        return static_cast<std::size_t>(world);
    }

    std::vector<Bytes> shown_;  ///< by each rank, while an operation runs
    std::barrier<> meeting_;
};

/// Models Communicator. One thread of the rank at a time.
class LocalRank {
  public:
    LocalRank(LocalRanks& ranks, index_t rank) : ranks_(&ranks), rank_(rank) {
        detail::check_range("LocalRank", "rank", rank, ranks.world());
    }

    [[nodiscard]] index_t rank() const noexcept { return rank_; }
    [[nodiscard]] index_t world() const noexcept { return ranks_->world(); }

    /// Sums in the order of the ranks, of bfloat16 in float.
    void all_reduce(std::span<float> values) { reduce(values, gathered_); }
    void all_reduce(std::span<bf16> values) { reduce(values, gathered_bf16_); }

    /// Throws `Error` on every rank when the ranks' sizes differ.
    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
        ranks_->shown_[static_cast<std::size_t>(rank_)] = mine;
        ranks_->meeting_.arrive_and_wait();  // all are shown
        bool fits = all.size() == mine.size() * ranks_->shown_.size();
        std::size_t other = all.size() / ranks_->shown_.size();
        for (const LocalRanks::Bytes bytes : ranks_->shown_) {
            if (bytes.size() == mine.size()) continue;
            fits = false;
            other = bytes.size();
        }
        if (fits && !mine.empty()) {
            std::byte* to = all.data();
            for (const LocalRanks::Bytes bytes : ranks_->shown_) {
                std::memcpy(to, bytes.data(), bytes.size());
                to += bytes.size();
            }
        }
        ranks_->meeting_.arrive_and_wait();  // all are read
        if (!fits) {
            detail::fail("LocalRank::all_gather", "mine",
                         detail::concat("the same size on every rank, ", mine.size(), " bytes"),
                         detail::concat(other));
        }
    }

  private:
    template <class T>
    void reduce(std::span<T> values, std::vector<T>& gathered) {
        gathered.resize(values.size() * ranks_->shown_.size());
        all_gather(std::as_bytes(values), std::as_writable_bytes(std::span<T>(gathered)));
        const std::size_t n = values.size();
        for (std::size_t i = 0; i < n; ++i) {
            float sum = to_float(gathered[i]);
            for (std::size_t r = 1; r < ranks_->shown_.size(); ++r)
                sum += to_float(gathered[r * n + i]);
            values[i] = from_float<T>(sum);
        }
    }

    LocalRanks* ranks_;
    index_t rank_;
    std::vector<float> gathered_;
    std::vector<bf16> gathered_bf16_;
};

static_assert(Bf16Communicator<LocalRank>);

}  // namespace deltanet
