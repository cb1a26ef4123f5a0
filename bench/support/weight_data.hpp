// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Weight matrices of any format, several of them, so that a run through all meets memory that the
/// caches have forgotten.
#pragma once

#include "bandwidth.hpp"
#include <deltanet/linear/weight_matrix.hpp>

#include <cstring>
#include <random>

namespace deltanet::bench {

class WeightData {
  public:
    /// `copies` matrices [rows, cols].
    WeightData(WeightFormat format, index_t rows, index_t cols, index_t copies = 1)
        : format_(format),
          shape_{rows, cols},
          bytes_(rows * cols / block_weights(format) * block_bytes(format)),
          copies_(copies),
          memory_((copies * bytes_ + 3) / 4) {
        auto* const first = reinterpret_cast<std::byte*>(memory_.data());
        fill(first);
        for (index_t copy = 1; copy < copies; ++copy)
            std::memcpy(first + copy * bytes_, first, static_cast<std::size_t>(bytes_));
    }

    [[nodiscard]] index_t copies() const noexcept { return copies_; }
    /// Of one matrix.
    [[nodiscard]] double bytes() const noexcept { return static_cast<double>(bytes_); }
    [[nodiscard]] double weights() const noexcept {
        return static_cast<double>(shape_[0] * shape_[1]);
    }
    [[nodiscard]] WeightMatrix matrix(index_t copy = 0) const {
        const std::byte* const at =
            reinterpret_cast<const std::byte*>(memory_.data()) + copy * bytes_;
        const void* const any = at;
        switch (format_) {
            case WeightFormat::f32:
                return View<const float, 2>(static_cast<const float*>(any), shape_);
            case WeightFormat::bf16:
                return View<const bf16, 2>(static_cast<const bf16*>(any), shape_);
            case WeightFormat::f16:
                return View<const f16, 2>(static_cast<const f16*>(any), shape_);
            default:
                return {format_, at, shape_};
        }
    }

  private:
    /// Numbers of about 1 / sqrt(cols); of blocks any bits, with such scales.
    void fill(std::byte* to) {
        std::mt19937 random(1);
        const float unit = std::sqrt(3.0F / static_cast<float>(shape_[1]));
        std::uniform_real_distribution<float> uniform(-unit, unit);
        if (block_weights(format_) > 1) {
            for (index_t i = 0; i < bytes_; ++i)
                to[i] = static_cast<std::byte>(random() >> 24 & 0xFFU);
            const index_t stride = block_bytes(format_);
            for (index_t block = 0; block < bytes_ / stride; ++block) {
                const f16 scale = to_f16(uniform(random) / 64);
                const index_t at = format_ == WeightFormat::q6_k ? 208 : 0;
                std::memcpy(to + block * stride + at, &scale, sizeof(scale));
                if (format_ == WeightFormat::q4_k)
                    std::memcpy(to + block * stride + 2, &scale, sizeof(scale));
            }
            return;
        }
        for (index_t i = 0; i < shape_[0] * shape_[1]; ++i) {
            const float x = uniform(random);
            const bf16 brain = to_bf16(x);
            const f16 half = to_f16(x);
            const void* const from = format_ == WeightFormat::f32 ? static_cast<const void*>(&x)
                                     : format_ == WeightFormat::bf16
                                         ? static_cast<const void*>(&brain)
                                         : &half;
            const index_t size = block_bytes(format_);
            std::memcpy(to + i * size, from, static_cast<std::size_t>(size));
        }
    }

    WeightFormat format_;
    Shape<2> shape_;
    index_t bytes_;
    index_t copies_;
    Buffer memory_;
};

}  // namespace deltanet::bench
