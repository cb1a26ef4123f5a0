// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// What one core can do at most, measured in the running process next to every sample:
/// multiply-adds per second, in float32 and in bfloat16 pairs, and the clock.
#pragma once

#include <deltanet/cpu/arch.hpp>
#include <deltanet/cpu/integer_products.hpp>
#include <deltanet/cpu/products.hpp>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace deltanet::bench {

using Clock = std::chrono::steady_clock;

template <class F>
[[nodiscard]] double seconds(F&& f) {
    const auto begin = Clock::now();
    f();
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Keeps the compiler from knowing or dropping `value`.
template <class T>
DELTANET_FORCE_INLINE void opaque(T& value) {
    asm volatile("" : "+m"(value)::"memory");
}

/// Flop/s of independent chains of multiply-adds, enough to cover their latency and few enough for
/// the registers.
template <class Arch, class Products, int... I>
[[nodiscard]] double product_burst(std::int64_t steps, std::integer_sequence<int, I...>) {
    using Batch = xsimd::batch<float, Arch>;
    Batch acc[] = {Batch(static_cast<float>(I))...};
    float factor = 0.5F;
    opaque(factor);
    const Batch a(factor);
    const Batch b(1.0F);
    const double time = seconds([&] {
        Batch r[] = {acc[I]...};
        for (std::int64_t step = 0; step < steps; ++step) {
            // As a factor where it can be one: a constant product could be taken out of the loop.
            if constexpr (Products::depth == 1) {
                ((r[I] = Products::add(r[I], a, b)), ...);
            } else {
                ((r[I] = Products::add(a, b, r[I])), ...);
            }
        }
        ((acc[I] = r[I]), ...);
    });
    for (Batch& batch : acc) opaque(batch);
    constexpr double flops = 2.0 * Products::depth * Batch::size * sizeof...(I);
    return flops * static_cast<double>(steps) / time;
}

/// Multiply-adds of one core in flop/s: the best of a few short bursts. As many chains as there are
/// registers for: with few a core may settle in an order in which its ports wait for each other.
template <class Products = cpu::PlainProducts>
[[nodiscard]] double product_peak() {
    constexpr int chains = cpu::n_registers<cpu::default_arch> == 32 ? 24 : 12;
    double best = 0.0;
    for (int burst = 0; burst < 3; ++burst) {
        best = std::max(best, product_burst<cpu::default_arch, Products>(
                                  240000 / chains, std::make_integer_sequence<int, chains>{}));
    }
    return best;
}

template <class Products, int... I>
[[nodiscard]] double integer_burst(std::int64_t steps, std::integer_sequence<int, I...>) {
    using Words = typename Products::Sum;
    std::int32_t word = 0x01010101;
    opaque(word);
    const Words a = Words{} + word;
    Words acc[] = {(Words{} + I)...};
    const double time = seconds([&] {
        Words r[] = {acc[I]...};
        for (std::int64_t step = 0; step < steps; ++step) {
            Words w = a;
            asm volatile("" : "+v"(w));  // or the products would be taken out of the loop
            ((r[I] = Products::add(r[I], w, a)), ...);
        }
        ((acc[I] = r[I]), ...);
    });
    for (Words& words : acc) opaque(words);
    constexpr double ops = 2.0 * sizeof(Words) / sizeof(typename Products::number) * sizeof...(I);
    return ops * static_cast<double>(steps) / time;
}

/// Multiplications and additions of int8 numbers a second, as one core does the dot products of
/// Q8_0: by its instruction for them, or by pmaddwd on x86 without one, in which the way by
/// pmaddubsw would be as long.
[[nodiscard]] inline double integer_peak() {
    using Products = cpu::IntegerProducts<cpu::default_arch, WeightFormat::q8_0>;
    double best = 0.0;
    for (int burst = 0; burst < 3; ++burst) {
        best =
            std::max(best, integer_burst<Products>(20000, std::make_integer_sequence<int, 12>{}));
    }
    return best;
}

/// The products that `ScanCompute::bf16` gets on this arch: bfloat16 pairs, or plain ones.
template <class Arch, bool = cpu::has_bf16_products<Arch>>
struct Bf16OrPlain {
    using type = cpu::PlainProducts;
};
template <class Arch>
struct Bf16OrPlain<Arch, true> {
    using type = cpu::Bf16Products<Arch>;
};

/// The sum over an executor's threads, all busy at once.
template <class Products = cpu::PlainProducts, class E>
[[nodiscard]] double peak_of_all(E executor) {
    const index_t threads = executor.concurrency();
    if (threads == 1) return product_peak<Products>();
    std::vector<double> peaks(static_cast<std::size_t>(threads));
    executor.parallel_for(threads, [&](index_t part, index_t) {
        peaks[static_cast<std::size_t>(part)] = product_peak<Products>();
    });
    double sum = 0.0;
    for (const double peak : peaks) sum += peak;
    return sum;
}

/// Cycles per second, from a chain of integer multiplications of known latency: 3 cycles on every
/// x86 core since 2008 and on most 64-bit Arm cores.
[[nodiscard]] inline double clock_rate() {
    constexpr std::int64_t steps = 60000;
    double best = 0.0;
    for (int burst = 0; burst < 3; ++burst) {
        std::uint64_t value = 3;
        const double time = seconds([&] {
            for (std::int64_t step = 0; step < steps; ++step) {
                value *= value;
                asm volatile("" : "+r"(value));
            }
        });
        opaque(value);
        best = std::max(best, 3.0 * static_cast<double>(steps) / time);
    }
    return best;
}

}  // namespace deltanet::bench
