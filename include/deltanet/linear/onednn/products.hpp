// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// oneDNN's products of some tokens with a panel of weights: one primitive for each of a fixed set
/// of token counts, all made at once, so that a call makes none.
#pragma once

#include <deltanet/linear/onednn/compat.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <memory>
#include <mutex>
#include <vector>

namespace deltanet::detail::onednn {

/// Tokens of a primitive. Any number of tokens is cut into these.
inline constexpr index_t kTokenCounts[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,   10,
                                           11, 12, 13, 14, 15, 16, 32, 64, 128, 256};
inline constexpr index_t kMostTokens = kTokenCounts[std::size(kTokenCounts) - 1];

/// The largest of them that fits and leaves no token alone: alone it may be summed in another
/// order.
[[nodiscard]] constexpr std::size_t next_token_count(index_t n_tokens) noexcept {
    std::size_t i = std::size(kTokenCounts) - 1;
    while (kTokenCounts[i] > n_tokens || n_tokens - kTokenCounts[i] == 1) --i;
    return i;
}

/// x [n_tokens, in] times a panel [in, width] in oneDNN's own order. Types: x and weights f32 (y
/// f32), bf16 (f32), or u8 and s8 (s32). Thread-safe.
class PanelProducts {
  public:
    /// Empty (`supported()` false) if oneDNN has no product of such types here.
    PanelProducts(const dnnl::engine& engine, index_t in, index_t width,
                  dnnl::memory::data_type x_type, dnnl::memory::data_type weight_type,
                  dnnl::memory::data_type y_type) {
        using dnnl::memory;
        memory::desc weights({in, width}, weight_type, memory::format_tag::any);
        // The order of the weights is chosen for many tokens, and holds for few.
        for (std::size_t i = std::size(kTokenCounts); i-- > 0;) {
            const memory::desc x({kTokenCounts[i], in}, x_type, memory::format_tag::ab);
            const memory::desc y({kTokenCounts[i], width}, y_type, memory::format_tag::ab);
            const dnnl::matmul::primitive_desc description = describe_matmul(engine, x, weights, y);
            if (!description) {
                products_.clear();
                return;
            }
            weights = description.weights_desc();
            products_.push_back(std::make_unique<Product>(engine, dnnl::matmul(description), x, y,
                                                          description.scratchpad_desc()));
        }
        std::reverse(products_.begin(), products_.end());
        weights_ = weights;
    }

    [[nodiscard]] bool supported() const noexcept { return !products_.empty(); }
    [[nodiscard]] const dnnl::memory::desc& weights() const noexcept { return weights_; }
    [[nodiscard]] index_t scratchpad_bytes() const {
        std::size_t bytes = 0;
        for (const auto& product : products_)
            bytes = std::max(bytes, product->scratchpad.get_size());
        return static_cast<index_t>(bytes);
    }

    /// kTokenCounts[count] tokens from x to y, rows side by side in both. On one thread.
    void run(std::size_t count, const void* x, const dnnl::memory& weights, void* y,
             void* scratchpad) const {
        Product& product = *products_[count];
        std::unique_ptr<Call> call = product.take();
        // oneDNN only reads the source.
        call->x.set_data_handle(const_cast<void*>(x));
        call->y.set_data_handle(y);
        call->scratchpad.set_data_handle(scratchpad);
        // The C++ interface would copy the arguments into a map in every call.
        const std::array<dnnl_exec_arg_t, 4> arguments{
            {{DNNL_ARG_SRC, call->x.get()},
             {DNNL_ARG_WEIGHTS, weights.get()},
             {DNNL_ARG_DST, call->y.get()},
             {DNNL_ARG_SCRATCHPAD, call->scratchpad.get()}}};
        const dnnl_status_t status =
            dnnl_primitive_execute(product.primitive.get(), call->stream.get(),
                                   static_cast<int>(arguments.size()), arguments.data());
        product.give_back(std::move(call));
        if (status != dnnl_success)
            fail("deltanet::onednn", "product", "success", concat("oneDNN's status ", int{status}));
    }

  private:
    /// oneDNN's handles of a call's arguments; one call uses them at a time.
    struct Call {
        dnnl::stream stream;
        dnnl::memory x, y, scratchpad;
    };

    struct Product {
        dnnl::engine engine;
        dnnl::matmul primitive;
        dnnl::memory::desc x, y, scratchpad;

        Product(const dnnl::engine& e, const dnnl::matmul& p, const dnnl::memory::desc& x_desc,
                const dnnl::memory::desc& y_desc, const dnnl::memory::desc& scratchpad_desc)
            : engine(e), primitive(p), x(x_desc), y(y_desc), scratchpad(scratchpad_desc) {}

        /// Handles that no call uses, new ones if there are none.
        [[nodiscard]] std::unique_ptr<Call> take() {
            {
                const std::lock_guard lock(mutex);
                if (!idle.empty()) {
                    std::unique_ptr<Call> call = std::move(idle.back());
                    idle.pop_back();
                    return call;
                }
            }
            const auto handle = [&](const dnnl::memory::desc& desc) {
                return dnnl::memory(desc, engine, DNNL_MEMORY_NONE);
            };
            return std::make_unique<Call>(
                Call{dnnl::stream(engine), handle(x), handle(y), handle(scratchpad)});
        }
        void give_back(std::unique_ptr<Call> call) {
            const std::lock_guard lock(mutex);
            idle.push_back(std::move(call));
        }

      private:
        std::mutex mutex;
        std::vector<std::unique_ptr<Call>> idle;
    };

    std::vector<std::unique_ptr<Product>> products_;  // as kTokenCounts
    dnnl::memory::desc weights_;
};

}  // namespace deltanet::detail::onednn
