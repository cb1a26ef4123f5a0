// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Ranks that are MPI processes. Not part of deltanet.hpp: link `deltanet::mpi` (CMake option
/// DELTANET_MPI, COMPONENTS mpi), or compile and link as your MPI wants it.
#pragma once

#include <deltanet/detail/check.hpp>
#include <deltanet/parallel/communicator.hpp>

#include <limits>
#include <mpi.h>
#include <utility>

namespace deltanet {

/// Models Communicator. Speaks on a duplicate of the communicator that it is made of: messages and
/// error handler of the engine's are left alone. Made by all its ranks together, between MPI_Init
/// and MPI_Finalize; used by one thread of a rank at a time, of those that MPI was initialised for.
/// Move-only. What MPI reports as an error is an `Error` with MPI's text.
class MpiCommunicator {
  public:
    explicit MpiCommunicator(MPI_Comm communicator = MPI_COMM_WORLD) {
        int initialised = 0;
        MPI_Initialized(&initialised);
        if (initialised == 0)
            detail::fail("MpiCommunicator", "MPI", "MPI_Init before it", "that nobody called it");
        check("MPI_Comm_dup", MPI_Comm_dup(communicator, &own_.communicator));
        check("MPI_Comm_set_errhandler",
              MPI_Comm_set_errhandler(own_.communicator, MPI_ERRORS_RETURN));
        check("MPI_Comm_rank", MPI_Comm_rank(own_.communicator, &rank_));
        check("MPI_Comm_size", MPI_Comm_size(own_.communicator, &world_));
        check("MPI_Op_create", MPI_Op_create(&add_bf16, 1, &own_.add_bf16));
    }

    [[nodiscard]] index_t rank() const noexcept { return rank_; }
    [[nodiscard]] index_t world() const noexcept { return world_; }

    /// In the order that MPI chooses; bfloat16 sums are rounded at each addition.
    void all_reduce(std::span<float> values) { reduce(values, MPI_FLOAT, MPI_SUM); }
    void all_reduce(std::span<bf16> values) { reduce(values, MPI_UINT16_T, own_.add_bf16); }

    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
        const char* const where = "MpiCommunicator::all_gather";
        if (all.size() != mine.size() * static_cast<std::size_t>(world_)) {
            detail::fail(where, "all",
                         detail::concat(mine.size(), " bytes for each of ", world_, " ranks"),
                         detail::concat(all.size(), " bytes"));
        }
        const int n = count(where, mine.size());
        check("MPI_Allgather",
              MPI_Allgather(mine.data(), n, MPI_BYTE, all.data(), n, MPI_BYTE, own_.communicator));
    }

  private:
    /// What MPI knows of this, given back to it unless it has gone already.
    struct Handles {
        MPI_Comm communicator = MPI_COMM_NULL;
        MPI_Op add_bf16 = MPI_OP_NULL;

        Handles() = default;
        Handles(Handles&& other) noexcept
            : communicator(std::exchange(other.communicator, MPI_COMM_NULL)),
              add_bf16(std::exchange(other.add_bf16, MPI_OP_NULL)) {}
        Handles& operator=(Handles&& other) noexcept {
            std::swap(communicator, other.communicator);
            std::swap(add_bf16, other.add_bf16);
            return *this;
        }
        ~Handles() {
            int finalised = 0;
            MPI_Finalized(&finalised);
            if (finalised != 0) return;
            if (add_bf16 != MPI_OP_NULL) MPI_Op_free(&add_bf16);
            if (communicator != MPI_COMM_NULL) MPI_Comm_free(&communicator);
        }
    };

    static void check(const char* call, int status) {
        if (status == MPI_SUCCESS) return;
        char text[MPI_MAX_ERROR_STRING];
        int length = 0;
        if (MPI_Error_string(status, text, &length) != MPI_SUCCESS) length = 0;
        detail::fail("MpiCommunicator", call, "success",
                     detail::concat("error ", status, ": ",
                                    std::string_view(text, static_cast<std::size_t>(length))));
    }

    /// MPI counts in int.
    static int count(const char* where, std::size_t n) {
        constexpr auto most = static_cast<std::size_t>(std::numeric_limits<int>::max());
        if (n > most) {
            detail::fail(where, "size", detail::concat("at most ", most, " elements"),
                         detail::concat(n));
        }
        return static_cast<int>(n);
    }

    template <class T>
    void reduce(std::span<T> values, MPI_Datatype type, MPI_Op operation) {
        const int n = count("MpiCommunicator::all_reduce", values.size());
        check("MPI_Allreduce",
              MPI_Allreduce(MPI_IN_PLACE, values.data(), n, type, operation, own_.communicator));
    }

    /// MPI's signature.
    static void add_bf16(void* in, void* in_out, int* n, MPI_Datatype* /*type*/) {
        const bf16* const from = static_cast<const bf16*>(in);
        bf16* const to = static_cast<bf16*>(in_out);
        for (int i = 0; i < *n; ++i) to[i] = to_bf16(to_float(from[i]) + to_float(to[i]));
    }

    Handles own_;
    int rank_ = 0;
    int world_ = 1;
};

static_assert(Bf16Communicator<MpiCommunicator>);

}  // namespace deltanet
