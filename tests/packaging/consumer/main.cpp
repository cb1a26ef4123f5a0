// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
#include <deltanet/deltanet.hpp>
#if defined(WITH_DISPATCH)
#include <deltanet/dispatch/backend.hpp>
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
