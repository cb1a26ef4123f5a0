// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include "fixtures.hpp"

#include <cstring>
#include <memory>
#include <new>

namespace deltanet::test {

template <class Backend, class T>
void run_delta_rule(Backend& backend, const DeltaRuleArgs<T>& args) {
    const auto bytes = static_cast<std::size_t>(backend.delta_rule_scratch_bytes(args));
    struct Free {
        void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
    };
    const std::unique_ptr<std::byte, Free> memory(
        static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64})));
    std::memset(memory.get(), 0xFF, bytes);
    delta_rule(backend, args, {memory.get(), bytes});
}

template <class Backend, class T>
void run_conv1d(Backend& backend, const Conv1dArgs<T>& args) {
    conv1d(backend, args);
}

template <class Backend, class T>
void run_conv_gates(Backend& backend, const ConvGatesArgs<T>& args) {
    conv_gates(backend, args);
}

template void run_delta_rule(TestBackend&, const DeltaRuleArgs<float>&);
template void run_delta_rule(TestBackend&, const DeltaRuleArgs<double>&);
template void run_delta_rule(BackwardBackend&, const DeltaRuleArgs<float>&);
template void run_delta_rule(BackwardBackend&, const DeltaRuleArgs<double>&);
template void run_conv1d(TestBackend&, const Conv1dArgs<float>&);
template void run_conv1d(TestBackend&, const Conv1dArgs<double>&);
template void run_conv1d(BackwardBackend&, const Conv1dArgs<float>&);
template void run_conv1d(BackwardBackend&, const Conv1dArgs<double>&);
template void run_conv_gates(TestBackend&, const ConvGatesArgs<float>&);
template void run_conv_gates(TestBackend&, const ConvGatesArgs<double>&);
template void run_conv_gates(BackwardBackend&, const ConvGatesArgs<float>&);
template void run_conv_gates(BackwardBackend&, const ConvGatesArgs<double>&);

}  // namespace deltanet::test
