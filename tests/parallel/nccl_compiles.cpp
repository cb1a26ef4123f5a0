// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Every function of the adapter, compiled and never run.
#include <deltanet/parallel/nccl.hpp>

#include <type_traits>

using namespace deltanet;

static_assert(std::is_nothrow_move_constructible_v<NcclCommunicator>);
static_assert(std::is_nothrow_move_assignable_v<NcclCommunicator>);
static_assert(!std::is_copy_constructible_v<NcclCommunicator>);

void use(ncclComm_t communicator, cudaStream_t stream, std::span<float> floats,
         std::span<bf16> halves, std::span<std::byte> bytes);
void use(ncclComm_t communicator, cudaStream_t stream, std::span<float> floats,
         std::span<bf16> halves, std::span<std::byte> bytes) {
    NcclCommunicator made(communicator, stream);
    NcclCommunicator moved(std::move(made));
    moved.all_reduce(floats);
    moved.all_reduce(halves);
    moved.all_gather(bytes.first(bytes.size() / static_cast<std::size_t>(moved.world())), bytes);
}
