// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// oneDNN as an engine would call it that knows its sizes: one primitive for all of y, weights
/// reordered ahead, x in the type that is multiplied, one thread. Only with DELTANET_BENCH_ONEDNN.
#pragma once

#include "bandwidth.hpp"
#include "weight_data.hpp"
#include <deltanet/linear/onednn/compat.hpp>

#include <vector>

namespace deltanet::bench {

class OneDnnDirect {
  public:
    /// y [tokens, out] = x W^T for `copies` of a matrix of float32 or bfloat16.
    OneDnnDirect(const WeightMatrix& matrix, index_t tokens, index_t copies)
        : x_memory_(tokens * matrix.cols()), y_memory_(tokens * matrix.rows()) {
        using dnnl::memory;
        const bool narrow = matrix.format() == WeightFormat::bf16;
        const auto type = narrow ? memory::data_type::bf16 : memory::data_type::f32;
        const auto f32 = memory::data_type::f32;
        const memory::dims weights{matrix.cols(), matrix.rows()};
        on_one_thread([&] {
            const memory::desc x({tokens, matrix.cols()}, type, memory::format_tag::ab);
            const memory::desc y({tokens, matrix.rows()}, f32, memory::format_tag::ab);
            const auto description = detail::onednn::describe_matmul(
                engine_, x, memory::desc(weights, type, memory::format_tag::any), y);
            if (!description) return;
            product_ = dnnl::matmul(description);
            x_ = memory(x, engine_, x_memory_.data());
            y_ = memory(y, engine_, y_memory_.data());
            scratchpad_ = memory(description.scratchpad_desc(), engine_);
            // Only read.
            memory plain({weights, type, memory::format_tag::ba}, engine_,
                         const_cast<std::byte*>(matrix.row(0)));
            const auto floats = static_cast<index_t>(description.weights_desc().get_size() + 3) / 4;
            for (index_t copy = 0; copy < copies; ++copy) {
                weight_memory_.emplace_back(floats);
                memory packed(description.weights_desc(), engine_, weight_memory_.back().data());
                dnnl::reorder(plain, packed).execute(stream_, plain, packed);
                weights_.push_back(packed);
            }
        });
    }

    /// False where oneDNN has no such product.
    [[nodiscard]] bool supported() const noexcept { return !weights_.empty(); }
    void run() {
        next_ = (next_ + 1) % weights_.size();
        on_one_thread([&] {
            product_.execute(stream_, {{DNNL_ARG_SRC, x_},
                                       {DNNL_ARG_WEIGHTS, weights_[next_]},
                                       {DNNL_ARG_DST, y_},
                                       {DNNL_ARG_SCRATCHPAD, scratchpad_}});
        });
    }

  private:
    template <class F>
    static void on_one_thread(F&& f) {
        detail::onednn::on_one_thread(f);
    }

    dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream_{engine_};
    Buffer x_memory_, y_memory_;  // bfloat16 takes half of it: every pair of them is 0.5 and 0
    std::vector<Buffer> weight_memory_;
    dnnl::matmul product_;
    dnnl::memory x_, y_, scratchpad_;
    std::vector<dnnl::memory> weights_;
    std::size_t next_ = 0;
};

}  // namespace deltanet::bench
