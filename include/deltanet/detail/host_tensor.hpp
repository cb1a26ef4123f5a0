// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A copy of a tensor of another memory space, for the host to look at.
#pragma once

#include <deltanet/memory_space.hpp>
#include <deltanet/views.hpp>

#include <vector>

namespace deltanet::detail {

/// With the strides of the original, none of them negative, and what lies between its rows.
class HostTensor {
  public:
    /// Waits for the space.
    HostTensor(const MemorySpace& space, View<const float, 4> tensor)
        : values_(static_cast<std::size_t>(floats(tensor))),
          view_(values_.data(), tensor.shape(), tensor.strides()) {
        if (values_.empty()) return;
        space.download(values_.data(), tensor.data(),
                       floats(tensor) * static_cast<index_t>(sizeof(float)));
    }
    HostTensor(const HostTensor&) = delete;
    HostTensor& operator=(const HostTensor&) = delete;

    [[nodiscard]] View<const float, 4> view() const noexcept { return view_; }

  private:
    /// From the first element to behind the last.
    [[nodiscard]] static index_t floats(View<const float, 4> tensor) noexcept {
        if (tensor.empty()) return 0;
        index_t reach = 1;
        for (int d = 0; d < 4; ++d) reach += (tensor.size(d) - 1) * tensor.stride(d);
        return reach;
    }

    std::vector<float> values_;
    View<const float, 4> view_;
};

}  // namespace deltanet::detail
