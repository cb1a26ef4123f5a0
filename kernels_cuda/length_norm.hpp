// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The numbers of an L2 norm as kernels take them.
#pragma once

#include <deltanet/layer_config.hpp>

namespace deltanet::cuda {

struct LengthNorm {
    float eps = 0.0F;
    float limit = 0.0F;  ///< 1 / eps
    bool max_form = false;
};

[[nodiscard]] inline LengthNorm length_norm(L2Form form, double eps) noexcept {
    return {static_cast<float>(eps), static_cast<float>(1.0 / eps), form == L2Form::max};
}

}  // namespace deltanet::cuda
