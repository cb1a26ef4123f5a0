// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A weight matrix in oneDNN's order: panels of output rows, each of them reordered once, in memory
/// of their own.
#pragma once

#include <deltanet/cpu/arch.hpp>
#include <deltanet/cpu/kernels/quantize_token.hpp>
#include <deltanet/detail/aligned_memory.hpp>
#include <deltanet/huge_pages.hpp>
#include <deltanet/linear/onednn/products.hpp>
#include <deltanet/linear/weight_matrix.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

namespace deltanet {

/// What a OneDnnLinear holds its weights as. `as_stored`: bfloat16 as bfloat16, float32 and float16
/// as float32.
enum class OneDnnFormat : std::uint8_t { as_stored, f32, bf16, int8 };

namespace detail::onednn {

/// Not copied: operators share it. Immutable but for handles that PanelProducts lends out.
class PackedMatrix {
  public:
    /// Throws `Error` when the format cannot be had from the matrix.
    PackedMatrix(const WeightMatrix& matrix, OneDnnFormat wanted)
        : in_(matrix.cols()), out_(matrix.rows()), panel_rows_(rows_of_panel(matrix.rows())) {
        on_one_thread([&] {
            choose_format(matrix, wanted);
            pack(matrix);
        });
    }

    [[nodiscard]] OneDnnFormat format() const noexcept { return format_; }
    /// Of the weights as they lie in oneDNN's order.
    [[nodiscard]] index_t weight_bytes() const noexcept { return panels() * panel_bytes_; }
    [[nodiscard]] index_t panels() const noexcept { return (out_ + panel_rows_ - 1) / panel_rows_; }
    [[nodiscard]] index_t panel_rows() const noexcept { return panel_rows_; }
    [[nodiscard]] index_t rows_of(index_t panel) const noexcept {
        return std::min(panel_rows_, out_ - panel * panel_rows_);
    }
    [[nodiscard]] index_t scratchpad_bytes() const noexcept { return scratchpad_bytes_; }

    /// kTokenCounts[count] rows of x, in the type that the format wants, times a panel: rows of
    /// `rows_of(panel)` float, or int32 for int8.
    void run(std::size_t count, index_t panel, const void* x, void* y, void* scratchpad) const {
        const PanelProducts& products = rows_of(panel) == panel_rows_ ? *whole_ : *rest_;
        products.run(count, x, panels_[static_cast<std::size_t>(panel)], y, scratchpad);
    }

    /// Int8 only, of an output row: its scale, and what the offset of activations adds to a sum.
    [[nodiscard]] float scale(index_t row) const noexcept {
        return scales_[static_cast<std::size_t>(row)];
    }
    [[nodiscard]] std::int32_t offset_sum(index_t row) const noexcept {
        return offset_sums_[static_cast<std::size_t>(row)];
    }
    /// Activations are unsigned bytes, the integer plus this.
    static constexpr unsigned kOffset = 128;

  private:
    using Type = dnnl::memory::data_type;

    /// Enough panels for the threads of a machine, and each wide enough that calling oneDNN for it
    /// costs nothing beside its work.
    [[nodiscard]] static index_t rows_of_panel(index_t out) noexcept {
        constexpr index_t panels = 32, least = 128, most = 512, block = 64;
        const index_t rows = (out + panels * block - 1) / (panels * block) * block;
        return std::min(out, std::clamp(rows, least, most));
    }

    void choose_format(const WeightMatrix& matrix, OneDnnFormat wanted) {
        const char* const where = "OneDnnLinear";
        if (wanted == OneDnnFormat::as_stored) {
            if (block_weights(matrix.format()) > 1) {
                fail(where, "weight format",
                     "F32, BF16 or F16, or a format to convert them to (OneDnnFormat)",
                     name_of(matrix.format()));
            }
            wanted = matrix.format() == WeightFormat::bf16 ? OneDnnFormat::bf16 : OneDnnFormat::f32;
        }
        constexpr index_t most_in = std::numeric_limits<std::int32_t>::max() / (255 * 127);
        if (wanted == OneDnnFormat::int8 && in_ > most_in) {
            fail(where, "inputs", concat("at most ", most_in, ", whose sum fits into 32 bits"),
                 concat(in_));
        }
        round_to_bf16_ = wanted == OneDnnFormat::bf16;
        if (make_products(wanted)) return;
        // No products of bfloat16 on this CPU: the same numbers as float32.
        if (wanted != OneDnnFormat::bf16 || !make_products(OneDnnFormat::f32))
            fail(where, "format", "one that oneDNN multiplies on this CPU", "another");
    }

    [[nodiscard]] bool make_products(OneDnnFormat format) {
        format_ = format;
        const auto products = [&](index_t width) {
            const bool narrow = format == OneDnnFormat::bf16,
                       integer = format == OneDnnFormat::int8;
            return std::make_unique<PanelProducts>(engine_, in_, width,
                                                   integer  ? Type::u8
                                                   : narrow ? Type::bf16
                                                            : Type::f32,
                                                   integer  ? Type::s8
                                                   : narrow ? Type::bf16
                                                            : Type::f32,
                                                   integer ? Type::s32 : Type::f32);
        };
        whole_ = products(panel_rows_);
        if (out_ % panel_rows_ != 0) rest_ = products(out_ % panel_rows_);
        return whole_->supported() && (rest_ == nullptr || rest_->supported());
    }

    void pack(const WeightMatrix& matrix) {
        const auto bytes_of = [](const PanelProducts* p) {
            return p == nullptr ? 0 : static_cast<index_t>(p->weights().get_size());
        };
        const index_t most = std::max(bytes_of(whole_.get()), bytes_of(rest_.get()));
        panel_bytes_ = (most + kLineBytes - 1) / kLineBytes * kLineBytes;
        scratchpad_bytes_ = std::max(whole_->scratchpad_bytes(),
                                     rest_ == nullptr ? index_t{0} : rest_->scratchpad_bytes());
        constexpr index_t huge_page = index_t{2} << 20;
        memory_ = allocate_aligned<std::byte>(weight_bytes(), huge_page);
        advise_huge_pages(memory_.get(), weight_bytes());

        const index_t number = format_ == OneDnnFormat::int8   ? 1
                               : format_ == OneDnnFormat::bf16 ? 2
                                                               : 4;
        const auto rows = allocate_aligned<std::byte>(panel_rows_ * in_ * number);
        const auto row = allocate_aligned<float>(in_);
        dnnl::stream stream(engine_);
        for (index_t panel = 0; panel < panels(); ++panel) {
            const index_t n = rows_of(panel);
            for (index_t r = 0; r < n; ++r) {
                matrix.load(panel * panel_rows_ + r, 0, in_, row.get());
                store_row(row.get(), rows.get() + r * in_ * number);
            }
            const PanelProducts& products = n == panel_rows_ ? *whole_ : *rest_;
            dnnl::memory from({{in_, n},
                               format_ == OneDnnFormat::int8   ? Type::s8
                               : format_ == OneDnnFormat::bf16 ? Type::bf16
                                                               : Type::f32,
                               dnnl::memory::format_tag::ba},
                              engine_, rows.get());
            dnnl::memory to(products.weights(), engine_, memory_.get() + panel * panel_bytes_);
            dnnl::reorder(from, to).execute(stream, from, to);
            stream.wait();
            panels_.push_back(to);
        }
    }

    /// One output's weights in the type that they are held as.
    void store_row(const float* row, std::byte* to) {
        if (format_ == OneDnnFormat::int8) {
            // Where sums are 16 bits wide for two products, the weights are halved.
            const int largest = has_wide_integer_sums() ? 127 : 63;
            auto* const bytes = reinterpret_cast<std::uint8_t*>(to);
            scales_.push_back(
                cpu::kernels::quantize_token<cpu::default_arch>(row, in_, largest, 0, bytes));
            std::int32_t sum = 0;
            for (index_t i = 0; i < in_; ++i) sum += static_cast<std::int8_t>(bytes[i]);
            offset_sums_.push_back(static_cast<std::int32_t>(kOffset) * sum);
            return;
        }
        for (index_t i = 0; i < in_; ++i) {
            const bf16 rounded = to_bf16(row[i]);
            if (format_ == OneDnnFormat::bf16) {
                reinterpret_cast<bf16*>(to)[i] = rounded;
            } else {
                reinterpret_cast<float*>(to)[i] = round_to_bf16_ ? to_float(rounded) : row[i];
            }
        }
    }

    dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
    index_t in_, out_, panel_rows_;
    OneDnnFormat format_ = OneDnnFormat::f32;
    bool round_to_bf16_ = false;
    std::unique_ptr<PanelProducts> whole_, rest_;  // rest_: of the last panel, if it is narrower
    AlignedMemory<std::byte> memory_;
    index_t panel_bytes_ = 0, scratchpad_bytes_ = 0;
    std::vector<dnnl::memory> panels_;
    std::vector<float> scales_;
    std::vector<std::int32_t> offset_sums_;
};

}  // namespace detail::onednn
}  // namespace deltanet
