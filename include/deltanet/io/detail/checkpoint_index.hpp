// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The index of a sharded checkpoint, model.safetensors.index.json: which file holds which tensor.
// IWYU pragma: private, include <deltanet/io/checkpoint.hpp>
#pragma once

#include <deltanet/error.hpp>
#include <deltanet/io/detail/json_reader.hpp>
#include <deltanet/io/detail/names.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace deltanet::detail {

/// Tensor name to file name.
using WeightMap = std::map<std::string, std::string, std::less<>>;

/// Takes the events of an index: an object whose `weight_map` maps names to files. Everything
/// beside it (such as `metadata` with total_size) is passed over.
class CheckpointIndexReader : public JsonReader<CheckpointIndexReader> {
    using Base = JsonReader<CheckpointIndexReader>;

  public:
    static constexpr int max_depth = 64;
    static constexpr std::string_view function = "parse_checkpoint_index";

    explicit CheckpointIndexReader(std::string_view file) : file_(file) {}

    WeightMap weight_map;

    bool null() { return skipped() || Base::null(); }
    bool boolean(bool value) { return skipped() || Base::boolean(value); }
    bool number_integer(std::int64_t value) { return skipped() || Base::number_integer(value); }
    bool number_unsigned(std::uint64_t value) { return skipped() || Base::number_unsigned(value); }
    bool number_float(double value, const std::string& text) {
        return skipped() || Base::number_float(value, text);
    }

    bool string(std::string& value) {
        if (skipped()) return true;
        if (state_ != State::file_name) return Base::string(value);
        check_file_name(value);
        *file_name_ = std::move(value);
        return go(State::names);
    }

    bool start_object(std::size_t unknown) {
        if (state_ == State::start) return go(State::keys);
        if (state_ == State::weight_map) return go(State::names);
        return deeper() || Base::start_object(unknown);
    }

    bool start_array(std::size_t unknown) { return deeper() || Base::start_array(unknown); }
    bool end_array() { return shallower(); }

    bool end_object() {
        if (state_ == State::skipping) return shallower();
        return go(state_ == State::names ? State::keys : State::start);
    }

    bool key(std::string& name) {
        if (state_ == State::skipping) return true;
        if (state_ == State::keys) {
            if (name != "weight_map") return go(State::skipping);
            if (std::exchange(has_weight_map_, true)) {
                fail(function, file_ + ": weight_map", "one value", "the key twice");
            }
            return go(State::weight_map);
        }
        const auto [place, is_new] = weight_map.try_emplace(std::move(name));
        if (!is_new) fail(function, entry_text(place->first), "one value", "the key twice");
        name_ = &place->first;
        file_name_ = &place->second;
        return go(State::file_name);
    }

    [[noreturn]] bool refuse(const std::string& found) {
        if (state_ == State::file_name) fail(function, entry_text(*name_), "a file name", found);
        if (state_ == State::skipping) {
            fail(function, file_, concat("at most ", max_depth, " levels of nesting"), found);
        }
        const bool root = state_ == State::start;
        fail(function, root ? file_ : file_ + ": weight_map", "an object", found);
    }

    [[noreturn]] bool refuse_json(const std::string& found) {
        fail(function, file_, "JSON in UTF-8", found);
    }

  private:
    enum class State : std::uint8_t {
        start,       // before and behind the outermost braces
        keys,        // between them
        skipping,    // in the value of another key, depth_ levels deep
        weight_map,  // its value comes next
        names,       // in it
        file_name,
    };

    bool go(State next) noexcept {
        state_ = next;
        return true;
    }

    /// A scalar that is passed over.
    bool skipped() noexcept {
        if (state_ != State::skipping) return false;
        return depth_ > 0 || go(State::keys);
    }

    bool deeper() noexcept {
        if (state_ != State::skipping || depth_ == max_depth) return false;
        ++depth_;
        return true;
    }

    bool shallower() noexcept { return --depth_ > 0 || go(State::keys); }

    [[nodiscard]] std::string entry_text(std::string_view name) const {
        return concat(file_, ": weight_map: ", in_quotes(name));
    }

    /// A plain name stays inside the index's directory.
    void check_file_name(std::string_view name) const {
        const bool plain =
            !name.empty() && name != "." && name != ".." &&
            name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
        if (!plain) {
            fail(function, entry_text(*name_), "the name of a file beside the index",
                 in_quotes(name));
        }
    }

    std::string file_;
    State state_ = State::start;
    int depth_ = 0;
    bool has_weight_map_ = false;
    const std::string* name_ = nullptr;
    std::string* file_name_ = nullptr;
};

/// Reads an index that messages call `name`. Throws `Error` unless it is JSON with a `weight_map`
/// of at least one tensor, all of them in files with plain names, at most 100 MiB long.
[[nodiscard]] inline WeightMap parse_checkpoint_index(std::span<const std::byte> bytes,
                                                      std::string_view name) {
    constexpr std::size_t longest = std::size_t{100} << 20U;
    if (bytes.size() > longest) {
        fail(CheckpointIndexReader::function, name, concat("at most ", longest, " bytes"),
             concat(bytes.size(), " bytes"));
    }
    CheckpointIndexReader reader(name);
    read_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, reader);
    if (reader.weight_map.empty()) {
        fail(CheckpointIndexReader::function, concat(name, ": weight_map"), "at least one tensor",
             "none");
    }
    return std::move(reader.weight_map);
}

}  // namespace deltanet::detail
