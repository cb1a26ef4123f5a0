// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// First half of reading a safetensors file: from the JSON of its header to one entry a tensor,
/// whose numbers nothing has been checked of but that they are numbers.
// IWYU pragma: private, include <deltanet/io/safetensors.hpp>
#pragma once

#include <deltanet/config.hpp>
#include <deltanet/error.hpp>
#include <deltanet/io/detail/json_reader.hpp>
#include <deltanet/io/detail/names.hpp>
#include <deltanet/io/tensor_info.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deltanet::detail {

inline constexpr std::string_view safetensors_function = "parse_safetensors";

/// A tensor as the header has it: `begin` and `end` count from the first byte behind the header.
struct SafetensorsEntry {
    TensorInfo tensor;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

/// Takes the header's events. The shape of the JSON is fixed, so the reader is a state machine
/// three levels deep, and whatever does not fit the state ends the call.
class SafetensorsReader : public JsonReader<SafetensorsReader> {
    using Base = JsonReader<SafetensorsReader>;

  public:
    static constexpr std::size_t max_rank = 64;

    explicit SafetensorsReader(std::string_view file) : file_(file) {}

    std::vector<SafetensorsEntry> entries;
    std::map<std::string, std::string, std::less<>> metadata;

    bool start_object(std::size_t unknown) {
        switch (state_) {
            case State::header:
                return go(State::names);
            case State::metadata:
                return go(State::metadata_keys);
            case State::tensor:
                return go(State::fields);
            default:
                return Base::start_object(unknown);
        }
    }

    bool key(std::string& name) {
        if (state_ == State::names)
            return name == "__metadata__" ? start_metadata() : start_tensor(name);
        if (state_ == State::metadata_keys) {
            const auto [place, is_new] = metadata.try_emplace(std::move(name));
            if (!is_new) refuse_twice(concat(": __metadata__: ", in_quotes(place->first)));
            text_ = &place->second;
            return go(State::metadata_text);
        }
        field_ = {};
        if (name == "dtype") return start_field(0, State::dtype, "dtype");
        if (name == "shape") return start_field(1, State::shape, "shape");
        if (name == "data_offsets") return start_field(2, State::offsets, "data_offsets");
        fail(safetensors_function, where(), "dtype, shape and data_offsets",
             concat("the key ", in_quotes(name)));
    }

    bool string(std::string& value) {
        if (state_ == State::metadata_text) {
            *text_ = std::move(value);
            return go(State::metadata_keys);
        }
        if (state_ != State::dtype) return Base::string(value);
        entries.back().tensor.dtype = std::move(value);
        return go(State::fields);
    }

    bool start_array(std::size_t unknown) {
        if (state_ == State::shape) return go(State::extents);
        if (state_ == State::offsets) return go(State::offset_pair);
        return Base::start_array(unknown);
    }

    bool number_unsigned(std::uint64_t value) {
        if (state_ == State::offset_pair && n_offsets_ < 2) {
            (n_offsets_++ == 0 ? entries.back().begin : entries.back().end) = value;
            return true;
        }
        std::vector<index_t>* const shape =
            state_ == State::extents ? &entries.back().tensor.shape : nullptr;
        if (shape == nullptr || value > std::uint64_t{std::numeric_limits<index_t>::max()}) {
            return Base::number_unsigned(value);
        }
        if (shape->size() == max_rank) {
            fail(safetensors_function, where(), concat("at most ", max_rank, " dimensions"),
                 "more");
        }
        shape->push_back(static_cast<index_t>(value));
        return true;
    }

    bool end_array() {
        if (state_ == State::offset_pair && n_offsets_ != 2) {
            fail(safetensors_function, where(), expected(), concat("an array of ", n_offsets_));
        }
        return go(State::fields);
    }

    bool end_object() {
        if (state_ == State::metadata_keys) return go(State::names);
        if (state_ != State::fields) return go(State::header);
        field_ = {};
        for (std::size_t i = 0; i < seen_.size(); ++i) {
            static constexpr std::array<const char*, 3> fields{"dtype", "shape", "data_offsets"};
            if (!seen_[i]) {
                fail(safetensors_function, where(), "dtype, shape and data_offsets",
                     concat("no ", fields[i]));
            }
        }
        return go(State::names);
    }

    [[noreturn]] bool refuse(const std::string& found) {
        fail(safetensors_function, where(), expected(), found);
    }

    [[noreturn]] bool refuse_json(const std::string& found) {
        fail(safetensors_function, concat(file_, ": header"), "JSON in UTF-8", found);
    }

  private:
    enum class State : std::uint8_t {
        header,         // before and behind the outermost braces
        names,          // between them: a tensor's name or __metadata__ comes next
        metadata,       // the value of __metadata__ comes next
        metadata_keys,  // in it
        metadata_text,
        tensor,  // the value of a tensor's name comes next
        fields,  // in it
        dtype,
        shape,
        extents,
        offsets,
        offset_pair,
    };

    bool go(State next) noexcept {
        state_ = next;
        return true;
    }

    bool start_metadata() {
        if (std::exchange(has_metadata_, true)) refuse_twice(": __metadata__");
        return go(State::metadata);
    }

    bool start_tensor(std::string& name) {
        entries.emplace_back().tensor.name = std::move(name);
        seen_ = {};
        field_ = {};
        n_offsets_ = 0;
        return go(State::tensor);
    }

    bool start_field(std::size_t index, State state, std::string_view name) {
        field_ = name;
        if (std::exchange(seen_[index], true)) {
            fail(safetensors_function, where(), "one value", "the key twice");
        }
        return go(state);
    }

    [[noreturn]] void refuse_twice(const std::string& place) const {
        fail(safetensors_function, file_ + place, "one value", "the key twice");
    }

    [[nodiscard]] std::string where() const {
        if (state_ == State::header || state_ == State::names) return file_ + ": header";
        if (state_ <= State::metadata_text) return file_ + ": __metadata__";
        const std::string tensor =
            concat(file_, ": tensor ", in_quotes(entries.back().tensor.name));
        return field_.empty() ? tensor : concat(tensor, ": ", field_);
    }

    [[nodiscard]] const char* expected() const noexcept {
        switch (state_) {
            case State::metadata:
            case State::metadata_keys:
                return "an object of strings";
            case State::metadata_text:
            case State::dtype:
                return "a string";
            case State::tensor:
            case State::fields:
                return "an object with dtype, shape and data_offsets";
            case State::shape:
            case State::extents:
                return "an array of sizes from 0 to 2^63 - 1";
            case State::offsets:
            case State::offset_pair:
                return "an array of two byte offsets";
            case State::header:
            case State::names:
                break;
        }
        return "an object of tensors";
    }

    std::string file_;
    State state_ = State::header;
    std::string_view field_;
    std::array<bool, 3> seen_{};
    bool has_metadata_ = false;
    int n_offsets_ = 0;
    std::string* text_ = nullptr;
};

}  // namespace deltanet::detail
