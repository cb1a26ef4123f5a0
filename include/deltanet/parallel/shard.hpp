// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// Tensor parallelism: a layer cut by key heads, with the value heads that read them. Every rank
/// has slots for its own heads, computes partial outputs, and the ranks' outputs add up to the
/// layer's:
///   y = sum over ranks of y_rank          (the engine's all-reduce)
/// Projections are views of the whole ones; the few small tensors are copied.
#pragma once

#include <deltanet/linear/sharded.hpp>
#include <deltanet/weights.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace deltanet {

/// Move-only: the views follow the storage, whose memory does not move. The whole layer's weights
/// must outlive it.
template <SliceableOperator L>
struct LayerShard {
    LayerConfig config;  ///< of the rank's heads; the residual is rank 0's
    LayerWeights<ShardedLinear<L>> weights;
    std::vector<std::vector<float>> storage;
    index_t first_key_head = 0;

    LayerShard() = default;
    LayerShard(LayerShard&&) = default;
    LayerShard& operator=(LayerShard&&) = default;
};

namespace detail {

/// Some of a row's columns.
struct ColumnRange {
    index_t first, n;
};

template <SliceableOperator L>
class Sharder {
  public:
    Sharder(const LayerConfig& config, const LayerWeights<L>& weights, index_t rank, index_t world)
        : whole_(config), weights_(weights) {
        const index_t step = heads_per_cut(world);
        const index_t cuts = config.n_heads_k / step;
        first_ = rank * cuts / world * step;
        n_ = rank + 1 == world ? config.n_heads_k - first_
                               : (rank + 1) * cuts / world * step - first_;
        shard_.first_key_head = first_;
        shard_.config = config;
        shard_.config.n_heads_k = n_;
        shard_.config.n_heads_v = n_ * config.heads_per_group();
        shard_.config.residual = config.residual && rank == 0;
    }

    LayerShard<L> cut() && {
        cut_in_proj();
        LayerWeights<ShardedLinear<L>>& w = shard_.weights;
        for (const ColumnRange& range : value_ranges(whole_.d_v))
            w.out_proj.add(weights_.out_proj.inputs(range.first, range.n));
        w.conv = rows_of_channels(weights_.conv);
        if (weights_.conv_bias.data() != nullptr) {
            const View<const float, 2> bias(weights_.conv_bias.data(), {whole_.conv_dim(), 1},
                                            {weights_.conv_bias.stride(0), 1});
            w.conv_bias = {rows_of_channels(bias).data(), {shard_.config.conv_dim()}};
        }
        w.A_log = of_value_heads(weights_.A_log);
        w.dt_bias = of_value_heads(weights_.dt_bias);
        w.norm = weights_.norm;
        w.pre_norm = weights_.pre_norm;
        w.validate(shard_.config);
        return std::move(shard_);
    }

  private:
    /// Key heads that cannot be parted because blocks of the output projection's weights hold
    /// several.
    [[nodiscard]] index_t heads_per_cut(index_t world) const {
        const index_t r = whole_.heads_per_group();
        const index_t columns = tiled() ? whole_.d_v : r * whole_.d_v;  // side by side
        const index_t block = weights_.out_proj.input_block();
        index_t step = 1;
        while (step * columns % block != 0 && step < whole_.n_heads_k) ++step;
        const bool whole_only = step * columns % block != 0;
        const index_t cuts = whole_only ? 1 : whole_.n_heads_k / step;
        if (cuts < world) {
            fail("shard", "world",
                 concat("at most ", cuts, ", for ", whole_.n_heads_k, " key heads with ", columns,
                        " columns each in an output projection in blocks of ", block),
                 concat(world));
        }
        return whole_only ? whole_.n_heads_k : step;
    }

    [[nodiscard]] bool tiled() const noexcept {
        return whole_.head_map == HeadMap::tiled && whole_.heads_per_group() > 1;
    }

    /// The rank's value heads, `width` columns each, where all heads stand side by side.
    [[nodiscard]] std::vector<ColumnRange> value_ranges(index_t width) const {
        const index_t r = whole_.heads_per_group();
        if (!tiled()) return {{first_ * r * width, n_ * r * width}};
        std::vector<ColumnRange> ranges;
        for (index_t j = 0; j < r; ++j)
            ranges.push_back({(j * whole_.n_heads_k + first_) * width, n_ * width});
        return ranges;
    }

    /// A piece of the rank's share of a segment.
    struct Piece {
        ColumnRange range;           ///< in a row of the whole layer
        ProjectionSegment* segment;  ///< of the rank's layout
        index_t ordinal;             ///< among the segment's pieces
        bool is_group;               ///< of several, between those of other segments
    };

    /// In one piece, in pieces of value heads, or group by group.
    void add_pieces(const ProjectionSegment& whole, ProjectionSegment& local, index_t per_group,
                    bool of_values, std::vector<Piece>& pieces) const {
        local = {0, per_group};
        if (of_values && tiled()) {
            index_t ordinal = 0;
            for (const ColumnRange& range : value_ranges(per_group / whole_.heads_per_group()))
                pieces.push_back({{whole.offset + range.first, range.n}, &local, ordinal++, false});
        } else if (whole.group_stride == per_group) {
            pieces.push_back(
                {{whole.offset + first_ * per_group, n_ * per_group}, &local, 0, false});
        } else {
            for (index_t g = 0; g < n_; ++g) {
                const index_t first = whole.offset + (first_ + g) * whole.group_stride;
                pieces.push_back({{first, per_group}, &local, g, true});
            }
        }
    }

    /// The rank's columns in the order in which they stand in the whole row, as parts of the
    /// projections, and the layout that they have side by side.
    void cut_in_proj() {
        const index_t r = whole_.heads_per_group();
        const ProjectionLayout& from = weights_.layout;
        ProjectionLayout& to = shard_.weights.layout;
        std::vector<Piece> pieces;
        add_pieces(from.q, to.q, whole_.d_k, false, pieces);
        add_pieces(from.k, to.k, whole_.d_k, false, pieces);
        add_pieces(from.v, to.v, r * whole_.d_v, true, pieces);
        if (whole_.has_gate()) add_pieces(from.z, to.z, r * whole_.d_v, true, pieces);
        add_pieces(from.b, to.b, r, true, pieces);
        add_pieces(from.a, to.a, r, true, pieces);
        std::sort(pieces.begin(), pieces.end(),
                  [](const Piece& a, const Piece& b) { return a.range.first < b.range.first; });
        std::vector<ColumnRange> parts;
        for (const Piece& piece : pieces) {
            if (piece.ordinal == 0) piece.segment->offset = to.width;
            if (piece.ordinal == 1 && piece.is_group)
                piece.segment->group_stride = to.width - piece.segment->offset;
            to.width += piece.range.n;
            if (!parts.empty() && parts.back().first + parts.back().n == piece.range.first) {
                parts.back().n += piece.range.n;
            } else {
                parts.push_back(piece.range);
            }
        }
        for (const ColumnRange& part : parts) add_outputs(part);
    }

    /// Columns of the whole row, out of the projection or projections that make them.
    void add_outputs(ColumnRange range) {
        index_t begin = 0;
        for (const L& projection : weights_.in_proj) {
            const index_t end = begin + projection.out_features();
            const index_t first = std::max(begin, range.first);
            const index_t last = std::min(end, range.first + range.n);
            if (first < last) {
                shard_.weights.in_proj.push_back(
                    ShardedLinear<L>(projection.outputs(first - begin, last - first)));
            }
            begin = end;
        }
    }

    [[nodiscard]] const float* keep(std::vector<float> values) {
        shard_.storage.push_back(std::move(values));
        return shard_.storage.back().data();
    }

    /// Channels q, k, v of the rank's heads, one after another.
    [[nodiscard]] View<const float, 2> rows_of_channels(View<const float, 2> rows) {
        std::vector<ColumnRange> ranges{{first_ * whole_.d_k, n_ * whole_.d_k},
                                        {whole_.key_dim() + first_ * whole_.d_k, n_ * whole_.d_k}};
        for (const ColumnRange& range : value_ranges(whole_.d_v))
            ranges.push_back({2 * whole_.key_dim() + range.first, range.n});
        std::vector<float> values;
        for (const ColumnRange& range : ranges) {
            for (index_t c = range.first; c < range.first + range.n; ++c) {
                for (index_t t = 0; t < rows.size(1); ++t) values.push_back(rows(c, t));
            }
        }
        return {keep(std::move(values)), {shard_.config.conv_dim(), rows.size(1)}};
    }

    [[nodiscard]] View<const float, 1> of_value_heads(View<const float, 1> whole) {
        std::vector<float> values;
        for (const ColumnRange& range : value_ranges(1)) {
            for (index_t h = range.first; h < range.first + range.n; ++h)
                values.push_back(whole(h));
        }
        return {keep(std::move(values)), {shard_.config.n_heads_v}};
    }

    const LayerConfig& whole_;
    const LayerWeights<L>& weights_;
    LayerShard<L> shard_;
    index_t first_ = 0;  ///< key head
    index_t n_ = 0;
};

}  // namespace detail

/// The share of rank `rank` of `world`: key heads as even as whole ones go, and as blocks of a
/// quantised output projection allow. Each rank has at least one. Throws `Error` where there are
/// not that many, naming what stands in the way.
template <SliceableOperator L>
[[nodiscard]] LayerShard<L> shard(const LayerConfig& config, const LayerWeights<L>& weights,
                                  index_t rank, index_t world) {
    config.validate();
    weights.validate(config);
    detail::check_at_least("shard", "world", world, 1);
    detail::check_range("shard", "rank", rank, world);
    return detail::Sharder<L>(config, weights, rank, world).cut();
}

}  // namespace deltanet
