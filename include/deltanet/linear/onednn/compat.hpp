// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What differs between builds of oneDNN, and nowhere else: the interface of 2.x and 3.x, and the
/// threads that it was built for. oneDNN starts threads of its own wherever it finds a runtime for
/// them; here the executor alone decides, so everything of oneDNN runs inside `on_one_thread`.
#pragma once

#include <deltanet/detail/check.hpp>

#include <oneapi/dnnl/dnnl.hpp>
#include <utility>

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <dlfcn.h>
#elif DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_TBB
#include <tbb/task_arena.h>
#elif DNNL_CPU_THREADING_RUNTIME != DNNL_RUNTIME_SEQ
#error "deltanet::onednn needs a oneDNN built for OpenMP, for TBB or without threads"
#endif

namespace deltanet::detail::onednn {

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP

/// The number of threads of the OpenMP runtime that oneDNN was linked with, which need not be the
/// one of the program's compiler, if there is any; so it is asked for by name. The number belongs
/// to the calling thread.
struct OpenMpRuntime {
    int (*threads)();
    void (*set_threads)(int);

    [[nodiscard]] static const OpenMpRuntime& get() {
        static const OpenMpRuntime runtime{function<int()>("omp_get_max_threads"),
                                           function<void(int)>("omp_set_num_threads")};
        return runtime;
    }

  private:
    template <class F>
    [[nodiscard]] static F* function(const char* name) {
        void* const found = dlsym(RTLD_DEFAULT, name);
        if (found == nullptr)
            fail("deltanet::onednn", name, "in the process, as oneDNN was built for OpenMP",
                 "none");
        return reinterpret_cast<F*>(found);
    }
};

/// f() with oneDNN on the calling thread alone.
template <class F>
void on_one_thread(F&& f) {
    struct OneThread {
        const OpenMpRuntime& runtime = OpenMpRuntime::get();
        int before = runtime.threads();
        OneThread() { runtime.set_threads(1); }
        OneThread(const OneThread&) = delete;
        OneThread& operator=(const OneThread&) = delete;
        ~OneThread() { runtime.set_threads(before); }
    } const one_thread;
    f();
}

#elif DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_TBB

template <class F>
void on_one_thread(F&& f) {
    thread_local tbb::task_arena arena(1);  // with the calling thread in its only place
    arena.execute(std::forward<F>(f));
}

#else

template <class F>
void on_one_thread(F&& f) {
    f();
}

#endif

/// Weights [in, out], x [n_tokens, in], y [n_tokens, out]. Empty if oneDNN has no such product on
/// this CPU. Scratch memory is the caller's.
[[nodiscard]] inline dnnl::matmul::primitive_desc describe_matmul(const dnnl::engine& engine,
                                                                  const dnnl::memory::desc& x,
                                                                  const dnnl::memory::desc& weights,
                                                                  const dnnl::memory::desc& y) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    constexpr bool or_empty = true;
#if DNNL_VERSION_MAJOR >= 3
    return {engine, x, weights, y, attributes, or_empty};
#else
    return {dnnl::matmul::desc(x, weights, y), attributes, engine, or_empty};
#endif
}

/// Whether products of unsigned and signed bytes are added up in 32 bits. Other CPUs add pairs of
/// them in 16 bits first, which overflow at 255 x 127 x 2.
[[nodiscard]] inline bool has_wide_integer_sums() {
    constexpr auto vnni = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_vnni);
    return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & vnni) == vnni;
}

}  // namespace deltanet::detail::onednn
