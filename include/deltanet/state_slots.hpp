// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The recurrent state of many sequences through many layers of one shape, in memory that the
/// caller owns or in one aligned allocation. A slot is one sequence's state; slot operations act on
/// all layers of it at once. Per slot and layer a row holds the convolution state, then the
/// recurrent state:
///   row = [ conv [W - 1, conv_dim], oldest input first | recurrent [H_v, d_k, d_v] ]
/// The first is float32, the second float32, bfloat16 or float16. Strides and sizes count floats.
/// Rows of a layer are a slot stride apart, layers are apart by a layer stride or stand at their
/// own addresses. state_exchange.hpp converts to and from the layouts of other programs.
#pragma once

#include <deltanet/huge_pages.hpp>
#include <deltanet/layer_config.hpp>
#include <deltanet/ops/state_view.hpp>

#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

namespace deltanet {

/// How many slots and layers, how caller's memory is strided (in floats; 0 means dense, rows
/// rounded up to 64 bytes, layer after layer), and what the recurrent state is stored as. A 16-bit
/// state halves what decode reads and writes; it is rounded once per forward (docs/numerics.md).
struct StateSlotsOptions {
    index_t slots = 1;
    index_t layers = 1;
    index_t slot_stride = 0;
    index_t layer_stride = 0;
    DType state = DType::f32;
    bool huge_pages = false;  ///< asks for them; own memory is then aligned to 2 MiB
};

/// Move-only. Not synchronised: operations on distinct slots may run at the same time.
class StateSlots {
  public:
    /// Own memory, aligned to 64 bytes, all zeros.
    StateSlots(const LayerConfig& config, const StateSlotsOptions& options)
        : StateSlots(Sizes{resolve(config, options)}, config) {
        const index_t floats = floats_needed(config, options);
        const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float);
        const Free free(options.huge_pages ? kHugePage : kLine);
        owned_ = {static_cast<float*>(::operator new(bytes, free.alignment)), free};
        if (options.huge_pages) advise_huge_pages(owned_.get(), static_cast<index_t>(bytes));
        std::memset(owned_.get(), 0, bytes);
        for (index_t l = 0; l < n_layers(); ++l)
            bases_[at(l)] = owned_.get() + l * options_.layer_stride;
    }

    /// Caller's memory, which must outlive this object and hold at least `floats_needed(config,
    /// options)`. It is not cleared: start sequences fresh, or `reset` their slots.
    StateSlots(const LayerConfig& config, const StateSlotsOptions& options, std::span<float> memory)
        : StateSlots(Sizes{resolve(config, options)}, config) {
        const index_t needed = floats_needed(config, options);
        if (memory.data() == nullptr || static_cast<index_t>(memory.size()) < needed) {
            detail::fail(kName, "memory", detail::concat("at least ", needed, " floats"),
                         memory.data() == nullptr ? "a null pointer"
                                                  : detail::concat(memory.size(), " floats"));
        }
        if (options.huge_pages)
            advise_huge_pages(memory.data(), needed * static_cast<index_t>(sizeof(float)));
        for (index_t l = 0; l < n_layers(); ++l)
            bases_[at(l)] = memory.data() + l * options_.layer_stride;
    }

    /// Caller's memory in one piece per layer; `options.layers`, `layer_stride` and `huge_pages`
    /// are not looked at. Each layer's piece must hold (slots - 1) * slot_stride + row floats.
    StateSlots(const LayerConfig& config, StateSlotsOptions options, std::span<float* const> layers)
        : StateSlots(Sizes{resolve(config, with_layers(options, layers.size()))}, config) {
        for (std::size_t l = 0; l < layers.size(); ++l) {
            if (layers[l] == nullptr)
                detail::fail(kName, detail::concat("layers[", l, "]"), "memory", "a null pointer");
            bases_[l] = layers[l];
        }
    }

    /// Floats of one slot in one layer; an odd number of 16-bit elements is rounded up.
    [[nodiscard]] static constexpr index_t row_floats(const LayerConfig& config,
                                                      DType state = DType::f32) noexcept {
        const index_t bytes = config.n_heads_v * config.d_k * config.d_v * size_of(state);
        constexpr auto size = static_cast<index_t>(sizeof(float));
        return config.conv_taps() * config.conv_dim() + (bytes + size - 1) / size;
    }
    /// Bytes that one more slot costs through `layers` layers, without padding between rows.
    [[nodiscard]] static constexpr index_t bytes_per_slot(const LayerConfig& config,
                                                          index_t layers = 1,
                                                          DType state = DType::f32) noexcept {
        return row_floats(config, state) * layers * static_cast<index_t>(sizeof(float));
    }
    /// Floats from the first to behind the last row of an arena with these options.
    [[nodiscard]] static index_t floats_needed(const LayerConfig& config,
                                               const StateSlotsOptions& options) {
        const StateSlotsOptions o = resolve(config, options);
        return (o.layers - 1) * o.layer_stride + (o.slots - 1) * o.slot_stride +
               row_floats(config, o.state);
    }

    [[nodiscard]] index_t n_slots() const noexcept { return options_.slots; }
    [[nodiscard]] index_t n_layers() const noexcept { return static_cast<index_t>(bases_.size()); }
    [[nodiscard]] index_t conv_dim() const noexcept { return conv_dim_; }
    [[nodiscard]] index_t conv_taps() const noexcept { return conv_taps_; }
    [[nodiscard]] index_t n_heads_v() const noexcept { return n_heads_v_; }
    [[nodiscard]] index_t d_k() const noexcept { return d_k_; }
    [[nodiscard]] index_t d_v() const noexcept { return d_v_; }

    /// [n_slots, W - 1, conv_dim], oldest input first; channels q, k, v.
    [[nodiscard]] View<float, 3> conv(index_t layer) const {
        check_layer("StateSlots::conv", layer);
        return {bases_[at(layer)],
                {n_slots(), conv_taps_, conv_dim_},
                {options_.slot_stride, conv_dim_, 1}};
    }
    /// [n_slots, H_v, d_k, d_v]. Throws `Error` when the states are stored as something else than
    /// S.
    template <class S = float>
    [[nodiscard]] View<S, 4> recurrent(index_t layer) const {
        check_layer("StateSlots::recurrent", layer);
        if (options_.state != dtype_v<S>) {
            detail::fail("StateSlots::recurrent", "S",
                         detail::concat("the element type of ", name_of(options_.state)),
                         name_of(dtype_v<S>));
        }
        return recurrent_as<S>(layer);
    }
    /// The same of whatever type, as the delta rule takes it.
    [[nodiscard]] StateView<float> recurrent_state(index_t layer) const {
        check_layer("StateSlots::recurrent_state", layer);
        switch (options_.state) {
            case DType::bf16:
                return recurrent_as<bf16>(layer);
            case DType::f16:
                return recurrent_as<f16>(layer);
            case DType::f32:
                break;
        }
        return recurrent_as<float>(layer);
    }
    /// What the recurrent state is stored as.
    [[nodiscard]] DType state_dtype() const noexcept { return options_.state; }

    /// Zeros in every layer of the slot. A fresh start needs no reset.
    void reset(index_t slot) {
        check_slot("StateSlots::reset", "slot", slot);
        for (index_t l = 0; l < n_layers(); ++l) std::memset(row(l, slot), 0, row_bytes_);
    }

    /// Makes `to` an equal of `from` in every layer. Copying a slot to itself does nothing.
    void copy(index_t from, index_t to) {
        check_slot("StateSlots::copy", "from", from);
        check_slot("StateSlots::copy", "to", to);
        if (from == to) return;
        for (index_t l = 0; l < n_layers(); ++l) std::memcpy(row(l, to), row(l, from), row_bytes_);
    }

    /// Throws unless this arena holds the state of such a layer.
    void check_matches(std::string_view function, const LayerConfig& config) const {
        const Shape<4> expected{config.n_heads_v, config.d_k, config.d_v, config.conv_dim()};
        const Shape<4> found{n_heads_v_, d_k_, d_v_, conv_dim_};
        if (expected != found || config.conv_taps() != conv_taps_) {
            detail::fail(function, "slots",
                         detail::concat(
                             "state of [H_v, d_k, d_v, conv_dim] = ", detail::shape_text(expected),
                             " and ", config.conv_taps(), " conv taps"),
                         detail::concat(detail::shape_text(found), " and ", conv_taps_));
        }
    }

    void check_slot(std::string_view function, std::string_view argument, index_t slot) const {
        check_range(function, argument, slot, n_slots());
    }
    void check_layer(std::string_view function, index_t layer) const {
        check_range(function, "layer", layer, n_layers());
    }

  private:
    static constexpr const char* kName = "StateSlots";
    static constexpr std::align_val_t kLine{64}, kHugePage{std::size_t{2} << 20};
    struct Free {
        std::align_val_t alignment;
        Free() noexcept : alignment(kLine) {}
        explicit Free(std::align_val_t a) noexcept : alignment(a) {}
        void operator()(float* memory) const noexcept { ::operator delete(memory, alignment); }
    };
    struct Sizes {
        StateSlotsOptions resolved;
    };

    /// Sizes only: the layers' addresses are still to be set.
    StateSlots(const Sizes& sizes, const LayerConfig& config)
        : options_(sizes.resolved),
          conv_dim_(config.conv_dim()),
          conv_taps_(config.conv_taps()),
          n_heads_v_(config.n_heads_v),
          d_k_(config.d_k),
          d_v_(config.d_v),
          row_bytes_(static_cast<std::size_t>(bytes_per_slot(config, 1, options_.state))),
          bases_(static_cast<std::size_t>(options_.layers), nullptr) {}

    static StateSlotsOptions with_layers(StateSlotsOptions options, std::size_t layers) {
        options.layers = static_cast<index_t>(layers);
        options.layer_stride = 0;
        return options;
    }

    /// Checks, and fills in the strides that were left 0.
    static StateSlotsOptions resolve(const LayerConfig& config, StateSlotsOptions options) {
        config.validate();
        detail::check_at_least(kName, "slots", options.slots, 1);
        detail::check_at_least(kName, "layers", options.layers, 1);
        if (name_of(options.state) == "unknown") {
            detail::fail(kName, "state", "a DType",
                         detail::concat(static_cast<index_t>(options.state)));
        }
        const index_t row = row_floats(config, options.state);
        if (options.slot_stride == 0) options.slot_stride = (row + 15) / 16 * 16;
        if (options.layer_stride == 0) options.layer_stride = options.slots * options.slot_stride;
        detail::check_at_least(kName, "slot_stride", options.slot_stride, row);
        const float* const unread = nullptr;
        detail::check_writable(
            kName, "layer_stride",
            View<const float, 3>(unread, {options.layers, options.slots, row},
                                 {options.layer_stride, options.slot_stride, 1}));
        return options;
    }

    static void check_range(std::string_view function, std::string_view argument, index_t value,
                            index_t count) {
        if (value < 0 || value >= count) {
            detail::fail(function, argument, detail::range_text(count), detail::concat(value));
        }
    }

    static std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
    [[nodiscard]] float* row(index_t layer, index_t slot) const noexcept {
        return bases_[at(layer)] + slot * options_.slot_stride;
    }
    template <class S>
    [[nodiscard]] View<S, 4> recurrent_as(index_t layer) const noexcept {
        constexpr auto per_float = static_cast<index_t>(sizeof(float) / sizeof(S));
        void* const first = bases_[at(layer)] + conv_taps_ * conv_dim_;
        return {static_cast<S*>(first),
                {n_slots(), n_heads_v_, d_k_, d_v_},
                {options_.slot_stride * per_float, d_k_ * d_v_, d_v_, 1}};
    }

    StateSlotsOptions options_;
    index_t conv_dim_, conv_taps_, n_heads_v_, d_k_, d_v_;
    std::size_t row_bytes_;
    std::vector<float*> bases_;  ///< per layer: the row of slot 0
    std::unique_ptr<float, Free> owned_;
};

}  // namespace deltanet
