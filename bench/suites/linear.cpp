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
#include <deltanet/linear/quantized.hpp>

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

/// One call after the other, each with the next copy of the weights.
template <class L>
class LinearData {
  public:
    LinearData(WeightFormat format, index_t tokens, ThreadPoolExecutor executor)
        : weights_(format, kOut, kIn, copies_of(format)),
          x_(tokens * kIn),
          y_(tokens * kOut),
          tokens_(tokens),
          executor_(executor) {
        std::mt19937 random(2);
        fill_random(random, x_.data(), x_.size(), -1.0F, 1.0F);
        for (index_t i = 0; i < weights_.copies(); ++i) operators_.push_back(L(weights_.matrix(i)));
    }

    void run() {
        const L& linear = operators_[static_cast<std::size_t>(next())];
        linear(x(), y(), scratch_.acquire(linear.scratch_bytes(tokens_, executor_.concurrency())),
               executor_);
    }
    /// As one would write it with Eigen alone.
    void run_eigen() {
        using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        const View<const float, 2> w = weights_.matrix(next()).as_float();
        Eigen::Map<Matrix>(y_.data(), tokens_, kOut).noalias() =
            Eigen::Map<const Matrix>(x_.data(), tokens_, kIn) *
            Eigen::Map<const Matrix>(w.data(), kOut, kIn).transpose();
    }
    [[nodiscard]] const WeightData& weights() const noexcept { return weights_; }

  private:
    static index_t copies_of(WeightFormat format) {
        const index_t bytes = kOut * kIn / block_weights(format) * block_bytes(format);
        return (index_t{320} << 20) / bytes + 1;
    }
    index_t next() { return round_ = (round_ + 1) % weights_.copies(); }
    [[nodiscard]] View<const float, 2> x() const { return {x_.data(), {tokens_, kIn}}; }
    [[nodiscard]] View<float, 2> y() const { return {y_.data(), {tokens_, kOut}}; }

    WeightData weights_;
    Buffer x_, y_;
    index_t tokens_;
    ThreadPoolExecutor executor_;
    std::vector<L> operators_;
    Workspace scratch_;
    index_t round_ = 0;
};

/// Operations a second of the kind that the format is multiplied by.
double peak_for(WeightFormat format) {
    return block_weights(format) > 1 ? integer_peak() : product_peak();
}

template <class L>
CaseMaker linear_case(WeightFormat format, index_t tokens) {
    const std::string name = detail::concat("linear_", lower_case(name_of(format)), "_K", kIn, "xN",
                                            kOut, "_T", tokens, "_t1");
    return {name, [=] {
                const ThreadPoolExecutor executor = pool(1);
                const auto data = std::make_shared<LinearData<L>>(format, tokens, executor);
                const auto read = std::make_shared<Bandwidth>(Bandwidth::Kind::read,
                                                              index_t{64} << 20, index_t{4} << 20);
                const auto n = static_cast<double>(tokens);
                const double flops = 2.0 * n * data->weights().weights();
                const double bytes = data->weights().bytes();
                Case work{.name = name,
                          .tokens = n,
                          .units = n * data->weights().weights(),
                          .run = [=] { data->run(); },
                          .floor =
                              [=] {
                                  ThreadPoolExecutor same = executor;
                                  return std::max(flops / peak_for(format),
                                                  bytes / read->sample(same));
                              }};
                if (format == WeightFormat::f32) {
                    // Else Eigen's packing buffers are mapped and unmapped in every call.
                    mallopt(M_MMAP_THRESHOLD, 1 << 30);
                    mallopt(M_TRIM_THRESHOLD, 1 << 30);
                    work.rivals.push_back({"eigen", [=] { data->run_eigen(); }});
                }
                return work;
            }};
}

}  // namespace

Suite linear_suite() {
    Suite suite;
    for (const index_t tokens : {1, 4, 8, 64, 512}) {
        for (const WeightFormat format : {WeightFormat::f32, WeightFormat::bf16})
            suite.push_back(linear_case<EigenLinear>(format, tokens));
        for (const WeightFormat format :
             {WeightFormat::q8_0, WeightFormat::q4_0, WeightFormat::q4_k, WeightFormat::q6_k})
            suite.push_back(linear_case<QuantizedLinear<>>(format, tokens));
    }
    return suite;
}

}  // namespace deltanet::bench
