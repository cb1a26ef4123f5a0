// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The two halves of reading a safetensors header: from JSON to entries (`SafetensorsReader`), and from
/// entries to tensors whose bytes are known to lie in the file and to fill it (`place_tensors`).
// IWYU pragma: private, include <deltanet/io/safetensors.hpp>
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <deltanet/config.hpp>
#include <deltanet/error.hpp>
#include <deltanet/io/detail/json_reader.hpp>
#include <deltanet/io/detail/names.hpp>
#include <deltanet/io/tensor_info.hpp>

namespace deltanet::detail {

inline constexpr std::string_view safetensors_function = "parse_safetensors";

/// A tensor as the header has it: `begin` and `end` count from the first byte behind the header.
struct SafetensorsEntry {
    TensorInfo tensor;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

/// Takes the header's events. The shape of the JSON is fixed, so the reader is a state machine three
/// levels deep, and whatever does not fit the state ends the call.
class SafetensorsReader : public JsonReader<SafetensorsReader> {
    using Base = JsonReader<SafetensorsReader>;

  public:
    static constexpr std::size_t max_rank = 64;

    explicit SafetensorsReader(std::string_view file) : file_(file) {}

    std::vector<SafetensorsEntry> entries;
    std::map<std::string, std::string, std::less<>> metadata;

    bool start_object(std::size_t unknown) {
        switch (state_) {
            case State::header: return go(State::names);
            case State::metadata: return go(State::metadata_keys);
            case State::tensor: return go(State::fields);
            default: return Base::start_object(unknown);
        }
    }

    bool key(std::string& name) {
        if (state_ == State::names) return name == "__metadata__" ? start_metadata() : start_tensor(name);
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
             "the key " + in_quotes(name));
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
            fail(safetensors_function, where(), concat("at most ", max_rank, " dimensions"), "more");
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
        const std::string tensor = concat(file_, ": tensor ", in_quotes(entries.back().tensor.name));
        return field_.empty() ? tensor : concat(tensor, ": ", field_);
    }

    [[nodiscard]] const char* expected() const noexcept {
        switch (state_) {
            case State::metadata:
            case State::metadata_keys: return "an object of strings";
            case State::metadata_text:
            case State::dtype: return "a string";
            case State::tensor:
            case State::fields: return "an object with dtype, shape and data_offsets";
            case State::shape:
            case State::extents: return "an array of sizes from 0 to 2^63 - 1";
            case State::offsets:
            case State::offset_pair: return "an array of two byte offsets";
            case State::header:
            case State::names: break;
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

/// Bits of an element, 0 for a dtype that the format does not have.
[[nodiscard]] inline index_t safetensors_bits(std::string_view dtype) noexcept {
    struct Width {
        std::string_view dtype;
        index_t bits;
    };
    static constexpr std::array<Width, 22> widths{{
        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8},        {"U8", 8},
        {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E5M2FNUZ", 8}, {"F8_E4M3FNUZ", 8},
        {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},        {"BF16", 16},
        {"I32", 32},    {"U32", 32},    {"F32", 32},    {"C64", 64},        {"F64", 64},
        {"I64", 64},    {"U64", 64},
    }};
    for (const Width& width : widths) {
        if (width.dtype == dtype) return width.bits;
    }
    return 0;
}

[[nodiscard]] inline std::string extents_text(const std::vector<index_t>& shape) {
    std::string text = "[";
    for (std::size_t d = 0; d < shape.size(); ++d) text += concat(d == 0 ? "" : ", ", shape[d]);
    return text + "]";
}

/// Bytes that dtype and shape ask for. The product of the extents other than 0 must be a number too,
/// so that no order of multiplication overflows later.
[[nodiscard]] inline index_t safetensors_bytes(const std::string& where, const TensorInfo& tensor) {
    const index_t bits = safetensors_bits(tensor.dtype);
    if (bits == 0) {
        fail(safetensors_function, where + ": dtype", "a dtype of the safetensors format",
             in_quotes(tensor.dtype));
    }
    index_t product = bits;
    bool empty = false;
    for (const index_t extent : tensor.shape) {
        if (extent == 0) {
            empty = true;
        } else if (product > std::numeric_limits<index_t>::max() / extent) {
            fail(safetensors_function, where + ": shape", "less than 2^63 bits of data",
                 concat(tensor.dtype, " of shape ", extents_text(tensor.shape)));
        } else {
            product *= extent;
        }
    }
    if (empty) return 0;
    if (product % 8 != 0) {
        fail(safetensors_function, where + ": shape", "a whole number of bytes",
             concat(product, " bits"));
    }
    return product / 8;
}

[[nodiscard]] inline std::string tensor_text(std::string_view file, const TensorInfo& tensor) {
    return concat(file, ": tensor ", in_quotes(tensor.name));
}

/// Sets `data` and `byte_size` from the entry's own fields; the data lie within `data`.
inline void place_tensor(std::string_view file, SafetensorsEntry& entry,
                         std::span<const std::byte> data) {
    TensorInfo& tensor = entry.tensor;
    const std::string where = tensor_text(file, tensor);
    tensor.byte_size = safetensors_bytes(where, tensor);
    if (entry.begin > entry.end || entry.end > data.size()) {
        fail(safetensors_function, where + ": data_offsets",
             concat("begin <= end <= ", data.size(), ", the bytes of data in the file"),
             concat("[", entry.begin, ", ", entry.end, "]"));
    }
    const std::uint64_t size = entry.end - entry.begin;
    if (size != static_cast<std::uint64_t>(tensor.byte_size)) {
        fail(safetensors_function, where + ": data_offsets",
             concat(tensor.byte_size, " bytes for ", tensor.dtype, " of shape ",
                    extents_text(tensor.shape)),
             concat(size, " bytes"));
    }
    tensor.data = data.data() + entry.begin;
}

/// All entries together fill the data exactly, each byte once. Sorts them by where they lie.
inline void check_filled(std::string_view file, std::vector<SafetensorsEntry>& entries,
                         std::size_t data_bytes) {
    std::sort(entries.begin(), entries.end(),
              [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
                  return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
              });
    std::uint64_t filled = 0;
    for (const SafetensorsEntry& entry : entries) {
        if (entry.begin != filled) {
            fail(safetensors_function, tensor_text(file, entry.tensor) + ": data_offsets",
                 concat("data from byte ", filled, ", where those before end"),
                 concat("byte ", entry.begin, entry.begin < filled ? " (overlap)" : " (hole)"));
        }
        filled = entry.end;
    }
    if (filled != data_bytes) {
        fail(safetensors_function, file, concat(filled, " bytes of data, where the last tensor ends"),
             concat(data_bytes, " bytes"));
    }
}

/// Checks every entry against the bytes behind the header and against the others. Returns the tensors
/// sorted by name.
[[nodiscard]] inline std::vector<TensorInfo> place_tensors(std::string_view file,
                                                           std::vector<SafetensorsEntry> entries,
                                                           std::span<const std::byte> data) {
    const auto by_name = [](const auto& a, const auto& b) { return a.tensor.name < b.tensor.name; };
    std::sort(entries.begin(), entries.end(), by_name);
    const auto twice = std::adjacent_find(
        entries.begin(), entries.end(),
        [](const auto& a, const auto& b) { return a.tensor.name == b.tensor.name; });
    if (twice != entries.end()) {
        fail(safetensors_function, tensor_text(file, twice->tensor), "one value", "the key twice");
    }
    for (SafetensorsEntry& entry : entries) place_tensor(file, entry, data);
    check_filled(file, entries, data.size());
    std::sort(entries.begin(), entries.end(), by_name);
    std::vector<TensorInfo> tensors;
    tensors.reserve(entries.size());
    for (SafetensorsEntry& entry : entries) tensors.push_back(std::move(entry.tensor));
    return tensors;
}

}  // namespace deltanet::detail
