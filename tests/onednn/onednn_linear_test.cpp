// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// OneDnnLinear against the oracle and against its own formulas around panel and block sizes; its
/// promises of equal bits; what it allocates; in a layer. Runs a second time with oneDNN kept from
/// AVX-512 (tests/CMakeLists.txt), where it has neither bfloat16 nor wide integer sums.
#include "support/allocation_counter.hpp"
#include "support/catch_compat.hpp"
#include "support/compare.hpp"
#include "support/layer_fixture.hpp"
#include "support/linear_run.hpp"
#include "support/random.hpp"
#include <deltanet/linear/onednn.hpp>
#include <deltanet/linear/reference.hpp>
#include <deltanet/parallel/shard.hpp>

#include <cmath>
#include <filesystem>
#include <limits>

using namespace deltanet;
using namespace deltanet::test;

namespace {

std::vector<bf16> narrowed(const std::vector<float>& values) {
    std::vector<bf16> narrow;
    for (const float x : values) narrow.push_back(to_bf16(x));
    return narrow;
}

/// |a - b| <= limit(t, o) for all; NaN never is.
template <class Limit>
double worst_ratio(const std::vector<float>& a, const std::vector<float>& b, index_t width,
                   Limit limit) {
    double worst = a.size() == b.size() ? 0.0 : 1e9;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const auto at = static_cast<index_t>(i);
        const double ratio = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])) /
                             limit(at / width, at % width);
        worst = std::isnan(ratio) ? 1e9 : std::max(worst, ratio);
    }
    return worst;
}

struct Sizes {
    index_t out, in;
};
/// Panels have 64 rows at least, more of them where there are more than 4096 outputs.
const std::vector<Sizes> kSizes{{1, 1}, {7, 33}, {128, 64}, {129, 300}, {4300, 40}};

}  // namespace

TEST_CASE("OneDnnLinear equals the oracle", "[onednn]") {
    for (const Sizes& size : kSizes) {
        const std::vector<float> wide = Random(1).normals(size.out * size.in);
        const std::vector<bf16> narrow = narrowed(wide);
        const Shape<2> shape{size.out, size.in};
        for (const WeightMatrix& weights :
             {WeightMatrix(View<const float, 2>(wide.data(), shape)),
              WeightMatrix(View<const bf16, 2>(narrow.data(), shape))}) {
            const OneDnnLinear linear(weights);
            CHECK(linear.in_features() == size.in);
            CHECK(linear.out_features() == size.out);
            const index_t most = size.out > 1000 ? 40 : 600;
            const std::vector<float> values = Random(2).normals(most * size.in);
            const View<const float, 2> x(values.data(), {most, size.in});
            const std::vector<float> expected = run_linear(ReferenceLinear(weights), x);
            // Each product of x rounded to bfloat16 is off by 2^-9 of itself at most, at random;
            // sums in float32 by sqrt(n) eps of the root of the summed squares, as with Eigen.
            const double rounding = linear.format() == OneDnnFormat::bf16 ? 0x1p-9 : 0.0;
            std::vector<float> row(static_cast<std::size_t>(size.in));
            const auto limit = [&](index_t t, index_t o) {
                weights.load(o, 0, size.in, row.data());
                double squares = 0.0;
                for (index_t i = 0; i < size.in; ++i) {
                    const double product = static_cast<double>(row[static_cast<std::size_t>(i)]) *
                                           static_cast<double>(x(t, i));
                    squares += product * product;
                }
                return 4.0 * std::sqrt(squares) *
                           (0x1p-23 * std::sqrt(static_cast<double>(size.in)) + rounding) +
                       1e-30;
            };
            for (const index_t n : {index_t{1}, index_t{2}, index_t{17}, index_t{33}, most}) {
                CAPTURE(size.out, size.in, name_of(weights.format()), n);
                const std::vector<float> y = run_linear(linear, x.slice(0, 0, n));
                const std::vector<float> first(expected.begin(), expected.begin() + n * size.out);
                CHECK(worst_ratio(y, first, size.out, limit) <= 1.0);
            }
        }
    }
}

TEST_CASE("OneDnnLinear rounds x to the nearest bfloat16 and nothing else", "[onednn]") {
    // Numbers that are bfloat16 already: the sums alone differ.
    const Sizes size{130, 97};
    const std::vector<float> wide = Random(3).normals(size.out * size.in);
    const std::vector<bf16> weights = narrowed(wide);
    std::vector<float> values = Random(4).normals(20 * size.in);
    std::vector<float> rounded;
    for (const float v : values) rounded.push_back(to_float(to_bf16(v)));
    const OneDnnLinear linear(View<const bf16, 2>(weights.data(), {size.out, size.in}));
    const View<const float, 2> x(values.data(), {20, size.in});
    const View<const float, 2> x_rounded(rounded.data(), {20, size.in});
    const bool rounds = linear.format() == OneDnnFormat::bf16;
    CHECK(bit_equal(run_linear(linear, x), run_linear(linear, x_rounded)) == rounds);
    CHECK(linear.weight_bytes() >= (rounds ? 2 : 4) * size.out * size.in);
    // The same numbers from float32 weights, wherever they are held.
    const OneDnnBf16Linear converted(View<const float, 2>(wide.data(), {size.out, size.in}));
    CHECK(bit_equal(run_linear(converted, x), run_linear(linear, x)));
    CHECK(converted.format() == linear.format());
}

TEST_CASE("OneDnnLinear: float16 weights are held as float32", "[onednn]") {
    const std::vector<float> values = Random(5).normals(50 * 20);
    std::vector<f16> half;
    std::vector<float> exact;
    for (const float v : values) {
        half.push_back(to_f16(v));
        exact.push_back(to_float(half.back()));
    }
    const std::vector<float> x = Random(6).normals(5 * 20);
    const View<const float, 2> rows(x.data(), {5, 20});
    const OneDnnLinear linear(View<const f16, 2>(half.data(), {50, 20}));
    CHECK(linear.format() == OneDnnFormat::f32);
    CHECK(bit_equal(run_linear(linear, rows),
                    run_linear(OneDnnLinear(View<const float, 2>(exact.data(), {50, 20})), rows)));
}

TEST_CASE("OneDnnInt8Linear is what its formula says, to the bit", "[onednn]") {
    const int largest = detail::onednn::has_wide_integer_sums() ? 127 : 63;
    for (const Sizes& size : kSizes) {
        std::vector<float> weights = Random(7).normals(size.out * size.in);
        std::vector<float> values = Random(8).normals(300 * size.in);
        // Integers as large as can be, all of one sign: where 16 bits would not do.
        std::fill_n(weights.begin(), size.in, 3.0F);
        std::fill_n(values.begin(), size.in, 2.0F);
        const View<const float, 2> w(weights.data(), {size.out, size.in});
        const OneDnnInt8Linear linear(w);
        for (const index_t n : {1, 3, 300}) {
            if (n * size.out > 100000) continue;
            const View<const float, 2> x(values.data(), {n, size.in});
            const std::vector<float> y = run_linear(linear, x);
            std::vector<float> expected;
            const auto quantised = [&](const float* row, int most, std::vector<int>& integers) {
                float top = 0.0F;
                for (index_t i = 0; i < size.in; ++i) top = std::max(top, std::abs(row[i]));
                const float inverse = static_cast<float>(most) / top;
                integers.clear();
                for (index_t i = 0; i < size.in; ++i)
                    integers.push_back(static_cast<int>(std::nearbyint(row[i] * inverse)));
                return top / static_cast<float>(most);
            };
            std::vector<std::vector<int>> rows(static_cast<std::size_t>(size.out));
            std::vector<float> scales;
            for (index_t o = 0; o < size.out; ++o)
                scales.push_back(quantised(w.ptr(o), largest, rows[static_cast<std::size_t>(o)]));
            std::vector<int> token;
            for (index_t t = 0; t < n; ++t) {
                const float scale = quantised(x.ptr(t), 127, token);
                for (std::size_t o = 0; o < rows.size(); ++o) {
                    int sum = 0;
                    for (std::size_t i = 0; i < token.size(); ++i) sum += token[i] * rows[o][i];
                    expected.push_back(static_cast<float>(sum) * (scales[o] * scale));
                }
            }
            CAPTURE(size.out, size.in, n);
            CHECK(bit_equal(y, expected));
        }
    }
}

TEST_CASE("OneDnnInt8Linear: what is not finite, and zeros", "[onednn]") {
    std::vector<float> weights = Random(9).normals(40 * 30);
    std::fill_n(weights.begin() + 2 * 30, 30, 0.0F);
    weights[3 * 30 + 7] = std::numeric_limits<float>::infinity();
    std::vector<float> values = Random(10).normals(4 * 30);
    std::fill_n(values.begin() + 30, 30, 0.0F);
    values[2 * 30 + 29] = std::numeric_limits<float>::quiet_NaN();
    const OneDnnInt8Linear linear(View<const float, 2>(weights.data(), {40, 30}));
    const std::vector<float> y = run_linear(linear, View<const float, 2>(values.data(), {4, 30}));
    for (index_t t = 0; t < 4; ++t) {
        for (index_t o = 0; o < 40; ++o) {
            const float v = y[static_cast<std::size_t>(t * 40 + o)];
            CAPTURE(t, o);
            if (t == 2 || o == 3) {
                CHECK(std::isnan(v));
            } else {
                CHECK((v == 0.0F) == (t == 1 || o == 2));
            }
        }
    }
}

TEST_CASE("OneDnnLinear: strides, workers and the neighbours in a batch change no bit",
          "[onednn]") {
    const Sizes size{300, 70};
    const std::vector<float> wide = Random(11).normals(size.out * size.in);
    const std::vector<bf16> narrow = narrowed(wide);
    const View<const float, 2> f32(wide.data(), {size.out, size.in});
    const View<const bf16, 2> bf(narrow.data(), {size.out, size.in});
    const auto check = [&](const auto& linear) {
        for (const index_t n : {1, 2, 66}) {
            const std::vector<float> dense = Random(12).normals(n * size.in);
            const View<const float, 2> x(dense.data(), {n, size.in});
            const std::vector<float> expected = run_linear(linear, x);
            CAPTURE(linear.format() == OneDnnFormat::f32, n);
            for (const index_t workers : {2, 5})
                CHECK(bit_equal(run_linear(linear, x, 300, BackwardExecutor{workers}), expected));
            ThreadPool pool(3);
            CHECK(bit_equal(run_linear(linear, x, 311, ThreadPoolExecutor(pool)), expected));
            std::vector<float> spread(static_cast<std::size_t>(n * 83), 7.0F);
            for (index_t t = 0; t < n; ++t)
                std::copy_n(x.ptr(t), size.in, spread.begin() + t * 83 + 3);
            const View<const float, 2> apart(spread.data() + 3, {n, size.in}, {83, 1});
            CHECK(bit_equal(run_linear(linear, apart, 320, SequentialExecutor{}), expected));
            // Other tokens of as many: row 0 does not see them.
            std::vector<float> others = Random(13).normals(n * size.in);
            std::copy_n(dense.begin(), size.in, others.begin());
            const std::vector<float> y =
                run_linear(linear, View<const float, 2>(others.data(), {n, size.in}));
            CHECK(std::equal(y.begin(), y.begin() + size.out, expected.begin()));
        }
    };
    check(OneDnnLinear(f32));
    check(OneDnnLinear(bf));
    check(OneDnnInt8Linear(f32));
}

TEST_CASE("OneDnnInt8Linear: bits do not depend on the number of tokens", "[onednn]") {
    const std::vector<float> weights = Random(14).normals(200 * 65);
    const std::vector<float> values = Random(15).normals(530 * 65);
    const View<const float, 2> x(values.data(), {530, 65});
    const OneDnnInt8Linear linear(View<const float, 2>(weights.data(), {200, 65}));
    const std::vector<float> all = run_linear(linear, x);
    for (const index_t n : {1, 2, 16, 17, 18, 33, 129, 257, 258, 511, 513}) {
        CAPTURE(n);
        const std::vector<float> y = run_linear(linear, x.slice(0, 1, n));
        CHECK(std::equal(y.begin(), y.end(), all.begin() + 200));
    }
}

TEST_CASE("oneDNN's products of any number of tokens leave none alone", "[onednn]") {
    using namespace detail::onednn;
    for (index_t n = 2; n <= 512; ++n) {
        index_t blocks = 0;
        for (index_t left = n; left > 0; ++blocks) {
            const index_t count = kTokenCounts[next_token_count(left)];
            REQUIRE((count > 1 && count <= left));
            left -= count;
        }
        CHECK(blocks <= 16);
    }
    CHECK(kTokenCounts[next_token_count(1)] == 1);
}

TEST_CASE("OneDnnLinear: parts are operators, copies share the weights", "[onednn]") {
    const std::vector<float> weights = Random(16).normals(300 * 64);
    const std::vector<float> values = Random(17).normals(3 * 64);
    const View<const float, 2> w(weights.data(), {300, 64}), x(values.data(), {3, 64});
    const OneDnnInt8Linear linear(w);
    const OneDnnInt8Linear part = linear.outputs(130, 50);
    CHECK(part.out_features() == 50);
    CHECK(bit_equal(run_linear(part, x), run_linear(OneDnnInt8Linear(w.slice(0, 130, 50)), x)));
    const OneDnnLinear share = OneDnnLinear(w).inputs(32, 16);
    CHECK(share.in_features() == 16);
    CHECK(bit_equal(run_linear(share, x.slice(1, 0, 16)),
                    run_linear(OneDnnLinear(w.slice(1, 32, 16)), x.slice(1, 0, 16))));
    CHECK(OneDnnLinear().out_features() == 0);
    CHECK(OneDnnLinear().weight_bytes() == 0);
}

TEST_CASE("OneDnnLinear: mistakes", "[onednn]") {
    const std::vector<std::byte> blocks(18 * 4);
    const WeightMatrix q4_0(WeightFormat::q4_0, blocks.data(), {4, 32});
    CHECK(message_of([&] { OneDnnLinear linear(q4_0); }) ==
          "OneDnnLinear: weight format: expected F32, BF16 or F16, or a format to convert them to "
          "(OneDnnFormat), found Q4_0");
    CHECK(OneDnnBf16Linear(q4_0).out_features() == 4);
    const std::vector<float> wide(66312);
    CHECK(message_of([&] {
              OneDnnInt8Linear linear(View<const float, 2>(wide.data(), {1, 66312}));
          }) ==
          "OneDnnLinear: inputs: expected at most 66311, whose sum fits into 32 bits, found 66312");
}

TEST_CASE("OneDnnLinear: no threads, and few allocations, all of them oneDNN's", "[onednn]") {
    const std::vector<float> weights = Random(18).normals(300 * 64);
    const std::vector<float> values = Random(19).normals(100 * 70);
    const OneDnnLinear linear(View<const float, 2>(weights.data(), {300, 64}));
    std::vector<float> y(100 * 300);
    Workspace workspace;
    SequentialExecutor executor;
    const auto scratch = workspace.acquire(linear.scratch_bytes(100, 1));
    const auto call = [&](index_t n) {
        const long before = allocations;
        linear(View<const float, 2>(values.data(), {n, 64}, {70, 1}),
               View<float, 2>(y.data(), {n, 300}), scratch, executor);
        return allocations - before;
    };
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
    const auto& openmp = detail::onednn::OpenMpRuntime::get();
    const int before = openmp.threads();
    openmp.set_threads(3);  // as many as it likes, were it asked
#endif
    const auto threads = [] {
        const std::filesystem::directory_iterator tasks("/proc/self/task");
        return std::distance(begin(tasks), end(tasks));
    };
    const auto threads_before = threads();
    for (const index_t n : {1, 2, 40, 100}) {
        call(n);
        const index_t products = 3 * (n == 40    ? 2
                                      : n == 100 ? 3
                                                 : 1);  // 3 panels, blocks of tokens
        const long warm = call(n);
        CAPTURE(n, warm);
        CHECK(warm <= 8 * products);
        CHECK(warm == call(n));
    }
    CHECK(threads() == threads_before);
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
    CHECK(openmp.threads() == 3);
    openmp.set_threads(before);
#endif
}

TEST_CASE("a layer with OneDnnLinear is the layer with the oracle", "[onednn]") {
    const LayerConfig config = small_config(4, 8, 16, 16, 48);
    const RandomLayer random(config);
    const std::vector<float> x = Random(20).normals(70 * config.hidden);
    const auto forward = [&]<class L>(const LayerWeights<L>& weights) {
        DeltaNetLayer<LayerBackend<>, L> layer(config, weights);
        StateSlots slots(config, {.slots = 1});
        std::vector<float> y(x.size());
        Batch batch;
        batch.add({.slot = 0, .n_tokens = 70, .start = Start::fresh});
        layer.forward(batch, View<const float, 2>(x.data(), {70, config.hidden}),
                      View<float, 2>(y.data(), {70, config.hidden}), slots);
        return y;
    };
    const std::vector<float> expected = forward(random.split<ReferenceLinear>());
    // As the limit of recorded layers: float32 in both.
    CHECK(relative_rms(forward(random.split<OneDnnLinear>()), expected) < 5e-6);
    // Rounding to 127 steps of the largest weight and activation, about 1 % of each sum, in two
    // projections and what is between them.
    CHECK(relative_rms(forward(random.split<OneDnnInt8Linear>()), expected) < 0.1);

    const LayerShard<OneDnnLinear> half = shard(config, random.split<OneDnnLinear>(), 1, 2);
    CHECK(half.weights.out_proj.in_features() == config.value_dim() / 2);
}
