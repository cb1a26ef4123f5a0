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
#if defined(WITH_CUDA)
#include <deltanet/cuda/backend.hpp>
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
#if defined(WITH_CUDA)
    // All of it is linked; without a GPU making the memory space says why not.
    try {
        deltanet::CudaMemory memory;
        deltanet::CudaBackend backend(memory);
        const deltanet::detail::OwnedMemory row = deltanet::detail::allocate_in(memory, 16);
        std::vector<float> x = {3.0F, 4.0F, 0.0F, 0.0F};
        memory.upload(row.get(), x.data(), 16);
        const deltanet::View<float, 3> head(reinterpret_cast<float*>(row.get()), {1, 1, 4});
        deltanet::l2norm(backend, deltanet::L2NormArgs<float>{head, head});
        memory.download(x.data(), row.get(), 16);
        std::printf("%s: %g %g\n", memory.name().data(), static_cast<double>(x[0]),
                    static_cast<double>(x[1]));
    } catch (const deltanet::Error& error) {
        std::printf("%s\n", error.what());
    }
#endif
    return 0;
}
