// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Memory bandwidth of the process's threads, in bytes read plus bytes written a second, over
/// working sets of a given size.
#pragma once

#include "peak.hpp"
#include <deltanet/executor.hpp>
#include <deltanet/huge_pages.hpp>

#include <cstdlib>
#include <memory>
#include <span>

namespace deltanet::bench {

/// Floats at the start of a huge page, on huge pages where the system gives them, all touched.
class Buffer {
  public:
    explicit Buffer(index_t n, float value = 0.5F) : n_(n) {
        constexpr std::size_t page = 2 << 20;
        const auto bytes = static_cast<std::size_t>(n) * sizeof(float);
        data_.reset(
            static_cast<float*>(std::aligned_alloc(page, (bytes + page - 1) / page * page)));
        advise_huge_pages(data_.get(), static_cast<index_t>(bytes));
        std::fill_n(data_.get(), n, value);
    }
    [[nodiscard]] float* data() const noexcept { return data_.get(); }
    [[nodiscard]] index_t size() const noexcept { return n_; }

  private:
    struct Free {
        void operator()(float* p) const noexcept { std::free(p); }
    };
    std::unique_ptr<float, Free> data_;
    index_t n_;
};

/// Streams that a walk through memory runs along side by side: with one, the hardware fetches less
/// far ahead than memory could serve.
inline constexpr index_t kStreams = 4;

/// to[i] = from[i] * factor. The same array twice: update in place; two arrays: copy. n is a
/// multiple of kStreams cache lines.
template <class Arch = cpu::default_arch>
inline void scale(const float* from, float* to, index_t n, float factor) {
    using Batch = xsimd::batch<float, Arch>;
    constexpr index_t size = static_cast<index_t>(Batch::size);
    const index_t stream = n / kStreams;
    const Batch f(factor);
    for (index_t i = 0; i < stream; i += 16) {
        for (index_t s = 0; s < n; s += stream) {
            for (index_t b = 0; b < 16; b += size)
                (Batch::load_unaligned(from + s + i + b) * f).store_unaligned(to + s + i + b);
        }
    }
}

/// The sum of all elements, of little use but that they were read. n as above.
template <class Arch = cpu::default_arch>
[[nodiscard]] float read(const float* from, index_t n) {
    using Batch = xsimd::batch<float, Arch>;
    constexpr index_t size = static_cast<index_t>(Batch::size);
    const index_t stream = n / kStreams;
    Batch sums[kStreams] = {Batch(0.0F), Batch(0.0F), Batch(0.0F), Batch(0.0F)};
    for (index_t i = 0; i < stream; i += 16) {
        for (index_t s = 0; s < kStreams; ++s) {
            for (index_t b = 0; b < 16; b += size)
                sums[s] = sums[s] + Batch::load_unaligned(from + s * stream + i + b);
        }
    }
    return cpu::compat::reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/// One sample of the bandwidth: walks through a large buffer in pieces, so that each call meets
/// memory that the caches have forgotten (`piece` large), or the same piece again and again
/// (`piece` small).
class Bandwidth {
  public:
    enum class Kind { update, copy, read };

    Bandwidth(Kind kind, index_t total_floats, index_t piece_floats)
        : kind_(kind),
          piece_(std::min(piece_floats, total_floats)),
          from_(total_floats),
          to_(kind == Kind::copy ? total_floats : index_t{0}) {}

    /// Bytes read and written per second by `executor`'s threads together.
    template <class E>
    [[nodiscard]] double sample(E& executor) {
        const index_t pieces = from_.size() / piece_;
        // At least a few hundred microseconds: small pieces are walked over several times.
        const index_t repeats = std::max(index_t{1}, (index_t{1} << 20) / piece_);
        const index_t threads = executor.concurrency();
        double bytes = 0.0;
        const double time = seconds([&] {
            for (index_t repeat = 0; repeat < repeats; ++repeat) {
                const index_t first = next_ * piece_;
                next_ = (next_ + 1) % pieces;
                float* const from = from_.data() + first;
                float* const to = kind_ == Kind::copy ? to_.data() + first : from;
                executor.parallel_for(threads, [&](index_t part, index_t) {
                    const index_t begin = piece_ * part / threads / 64 * 64;
                    const index_t end = piece_ * (part + 1) / threads / 64 * 64;
                    if (kind_ == Kind::read) {
                        float sum = read(from + begin, end - begin);
                        opaque(sum);
                    } else {
                        scale(from + begin, to + begin, end - begin, 1.0F);
                    }
                });
                const double passes = kind_ == Kind::read ? 1.0 : 2.0;
                bytes += passes * sizeof(float) * static_cast<double>(piece_);
            }
        });
        return bytes / time;
    }

  private:
    Kind kind_;
    index_t piece_;
    Buffer from_;
    Buffer to_;
    index_t next_ = 0;
};

}  // namespace deltanet::bench
