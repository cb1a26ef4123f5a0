// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include <deltanet/deltanet.hpp>
#if defined(WITH_DISPATCH)
#include <deltanet/dispatch/backend.hpp>
#endif
#if defined(WITH_ONEDNN)
#include <deltanet/linear/onednn.hpp>
#endif
#if defined(WITH_MPI)
#include <deltanet/parallel/mpi.hpp>
#endif

#include <cstdio>

int main() {
    std::printf("deltanet %d.%d.%d\n", DELTANET_VERSION_MAJOR, DELTANET_VERSION_MINOR,
                DELTANET_VERSION_PATCH);
#if defined(WITH_DISPATCH)
    deltanet::DispatchedCpuBackend<> backend;
    std::vector<float> x = {3.0F, 4.0F};
    const deltanet::View<float, 3> head(x.data(), {1, 1, 2});
    deltanet::l2norm(backend, deltanet::L2NormArgs<float>{head, head});
    std::printf("%s: %g %g\n", deltanet::cpu_info().text().c_str(), static_cast<double>(x[0]),
                static_cast<double>(x[1]));
#endif
#if defined(WITH_ONEDNN)
    const std::vector<float> weights(64, 0.5F), ones(8, 1.0F);
    std::vector<float> sums(8);
    const deltanet::OneDnnLinear linear(deltanet::View<const float, 2>(weights.data(), {8, 8}));
    deltanet::Workspace workspace;
    deltanet::SequentialExecutor executor;
    linear(deltanet::View<const float, 2>(ones.data(), {1, 8}),
           deltanet::View<float, 2>(sums.data(), {1, 8}),
           workspace.acquire(linear.scratch_bytes(1, 1)), executor);
    std::printf("oneDNN: %g\n", static_cast<double>(sums[7]));
    if (sums[7] != 4.0F) return 1;
#endif
#if defined(WITH_MPI)
    // Linked and called, without starting MPI.
    try {
        deltanet::MpiCommunicator ranks;
        return 1;
    } catch (const deltanet::Error& error) {
        std::printf("%s\n", error.what());
    }
#endif
    return 0;
}
