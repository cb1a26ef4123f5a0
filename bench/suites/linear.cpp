// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Projections: [T, 2048] x [2048, 12288], about the input projection of Qwen3-Next-80B, whose
/// weights come from memory. Floor: the bytes of the weights at the bandwidth of reading, or the
/// arithmetic at the peak of its kind, whichever takes longer.
#include "support/bandwidth.hpp"
#include "support/delta_data.hpp"
#include "support/peak.hpp"
#include "support/suite.hpp"
#include "support/weight_data.hpp"
#include <deltanet/linear/dense.hpp>
#include <deltanet/linear/eigen.hpp>
#include <deltanet/linear/quantized.hpp>
#if defined(DELTANET_BENCH_ONEDNN)
#include "support/onednn_direct.hpp"
#include <deltanet/linear/onednn.hpp>
#endif

#include <Eigen/Core>

#include <malloc.h>
#include <memory>

namespace deltanet::bench {

namespace {

constexpr index_t kIn = 2048, kOut = 12288;

std::string lower_case(std::string_view name) {
    std::string lower(name);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return lower;
}

/// A case's weights: what the matrix is stored as, and what the operator holds it as.
struct Weights {
    WeightFormat stored;
    double bytes;            ///< that a call reads
    double (*peak)();        ///< operations a second of the kind that they are multiplied by
    bool owned_by_operator;  ///< all operators can be made from one copy
};

/// One call after the other, each with the next copy of the weights.
template <class L>
class LinearData {
  public:
    LinearData(const Weights& weights, index_t tokens, ThreadPoolExecutor executor)
        : copies_(static_cast<index_t>((index_t{320} << 20) / weights.bytes) + 1),
          weights_(weights.stored, kOut, kIn, weights.owned_by_operator ? 1 : copies_),
          x_(tokens * kIn),
          y_(tokens * kOut),
          tokens_(tokens),
          executor_(executor) {
        std::mt19937 random(2);
        fill_random(random, x_.data(), x_.size(), -1.0F, 1.0F);
        for (index_t i = 0; i < copies_; ++i)
            operators_.push_back(L(weights_.matrix(i % weights_.copies())));
    }

    void run() {
        const L& linear = operators_[static_cast<std::size_t>(next())];
        linear(x(), y(), scratch_.acquire(linear.scratch_bytes(tokens_, executor_.concurrency())),
               executor_);
    }
    /// As one would write it with Eigen alone.
    void run_eigen() {
        using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        const View<const float, 2> w = weights_.matrix(next() % weights_.copies()).as_float();
        Eigen::Map<Matrix>(y_.data(), tokens_, kOut).noalias() =
            Eigen::Map<const Matrix>(x_.data(), tokens_, kIn) *
            Eigen::Map<const Matrix>(w.data(), kOut, kIn).transpose();
    }
    [[nodiscard]] index_t copies() const noexcept { return copies_; }
    [[nodiscard]] const WeightData& weights() const noexcept { return weights_; }

  private:
    index_t next() { return round_ = (round_ + 1) % copies_; }
    [[nodiscard]] View<const float, 2> x() const { return {x_.data(), {tokens_, kIn}}; }
    [[nodiscard]] View<float, 2> y() const { return {y_.data(), {tokens_, kOut}}; }

    index_t copies_;
    WeightData weights_;
    Buffer x_, y_;
    index_t tokens_;
    ThreadPoolExecutor executor_;
    std::vector<L> operators_;
    Workspace scratch_;
    index_t round_ = 0;
};

/// oneDNN called directly on float32 or bfloat16 weights; nothing without oneDNN.
void add_onednn(Case& work, const WeightMatrix& matrix, index_t tokens, index_t copies) {
#if defined(DELTANET_BENCH_ONEDNN)
    const auto direct = std::make_shared<OneDnnDirect>(matrix, tokens, copies);
    if (direct->supported()) work.rivals.push_back({"onednn", [=] { direct->run(); }});
#else
    static_cast<void>(work), static_cast<void>(matrix), static_cast<void>(tokens),
        static_cast<void>(copies);
#endif
}

constexpr double kCount = static_cast<double>(kOut * kIn);

/// Read where they are stored; quantised blocks are multiplied as integers, all else as float32.
Weights in_place(WeightFormat format) {
    const auto block = static_cast<double>(block_weights(format));
    return {format, kCount / block * static_cast<double>(block_bytes(format)),
            block > 1 ? &integer_peak : &product_peak<>, false};
}

template <class L>
CaseMaker linear_case(const std::string& format, const Weights& weights, index_t tokens) {
    const std::string name =
        detail::concat("linear_", format, "_K", kIn, "xN", kOut, "_T", tokens, "_t1");
    return {name, [=] {
                const ThreadPoolExecutor executor = pool(1);
                const auto data = std::make_shared<LinearData<L>>(weights, tokens, executor);
                const auto read = std::make_shared<Bandwidth>(Bandwidth::Kind::read,
                                                              index_t{64} << 20, index_t{4} << 20);
                const auto n = static_cast<double>(tokens);
                const double flops = 2.0 * n * kCount;
                Case work{.name = name,
                          .tokens = n,
                          .units = n * kCount,
                          .run = [=] { data->run(); },
                          .floor =
                              [=] {
                                  ThreadPoolExecutor same = executor;
                                  return std::max(flops / weights.peak(),
                                                  weights.bytes / read->sample(same));
                              }};
                if (weights.stored == WeightFormat::f32) {
                    // Else Eigen's packing buffers are mapped and unmapped in every call.
                    mallopt(M_MMAP_THRESHOLD, 1 << 30);
                    mallopt(M_TRIM_THRESHOLD, 1 << 30);
                    work.rivals.push_back({"eigen", [=] { data->run_eigen(); }});
                }
                if (weights.peak != &integer_peak)
                    add_onednn(work, data->weights().matrix(), tokens, data->copies());
                return work;
            }};
}

}  // namespace

Suite linear_suite() {
    Suite suite;
    for (const index_t tokens : {1, 4, 8, 64, 512}) {
        for (const WeightFormat format : {WeightFormat::f32, WeightFormat::bf16}) {
            suite.push_back(
                linear_case<EigenLinear>(lower_case(name_of(format)), in_place(format), tokens));
            suite.push_back(linear_case<DenseLinear<>>("dense_" + lower_case(name_of(format)),
                                                       in_place(format), tokens));
        }
        for (const WeightFormat format :
             {WeightFormat::q8_0, WeightFormat::q4_0, WeightFormat::q4_k, WeightFormat::q6_k}) {
            suite.push_back(linear_case<QuantizedLinear<>>(lower_case(name_of(format)),
                                                           in_place(format), tokens));
        }
#if defined(DELTANET_BENCH_ONEDNN)
        using Bf16 = Bf16OrPlain<cpu::default_arch>::type;
        suite.push_back(linear_case<OneDnnLinear>(
            "onednn_f32", {WeightFormat::f32, 4 * kCount, &product_peak<>, true}, tokens));
        suite.push_back(linear_case<OneDnnLinear>(
            "onednn_bf16", {WeightFormat::bf16, 2 * kCount, &product_peak<Bf16>, true}, tokens));
        suite.push_back(linear_case<OneDnnInt8Linear>(
            "onednn_int8", {WeightFormat::bf16, kCount, &integer_peak, true}, tokens));
#endif
    }
    return suite;
}

}  // namespace deltanet::bench
