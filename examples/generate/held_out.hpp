// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Text that the model was not trained on.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

namespace generate {

/// Its bytes, at least two.
inline std::vector<int> held_out_text(const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / "held_out.txt";
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path.string());
    std::vector<int> text;
    for (std::istreambuf_iterator<char> c(file), end; c != end; ++c)
        text.push_back(static_cast<unsigned char>(*c));
    if (text.size() < 2) throw std::runtime_error(path.string() + " has no text");
    return text;
}

}  // namespace generate
