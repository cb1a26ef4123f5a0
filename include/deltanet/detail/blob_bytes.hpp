// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// The bytes of a saved slot (state_blob.hpp): words of the header, checksum, writing and reading
/// in order.
#pragma once

#include <deltanet/dtype.hpp>
#include <deltanet/memory_space.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace deltanet::detail {

static_assert(std::endian::native == std::endian::little,
              "saved slots are little-endian and are copied as they are");

/// View of a blob's header.
class BlobHeader {
  public:
    enum Word : index_t {
        magic,
        version,
        bytes,
        checksum,
        tag,
        layers,
        n_heads_k,
        n_heads_v,
        d_k,
        d_v,
        conv_taps,
        head_map,
        state,
        position,
        pending,
        tree,
        n_words
    };
    static constexpr std::uint64_t magic_word = 0x54454E41544C4544;  // "DELTANET"
    static constexpr std::uint64_t current_version = 1;

    explicit BlobHeader(std::span<const std::byte> blob) noexcept : blob_(blob) {}
    [[nodiscard]] std::uint64_t word(index_t i) const noexcept {
        std::uint64_t value = 0;
        std::memcpy(&value, blob_.data() + 8 * i, 8);
        return value;
    }

    [[nodiscard]] static constexpr index_t number_of(DType type) noexcept {
        return type == DType::f32 ? 0 : type == DType::bf16 ? 1 : type == DType::f16 ? 2 : 3;
    }
    [[nodiscard]] static constexpr DType dtype_of(index_t number) noexcept {
        return number == 0   ? DType::f32
               : number == 1 ? DType::bf16
               : number == 2 ? DType::f16
                             : DType::i8;
    }

  private:
    std::span<const std::byte> blob_;
};

/// Of all words but that of the checksum; sizes of blobs are multiples of 8. Each step is a
/// bijection of the sum and of the word, so no change of a single word goes unseen.
[[nodiscard]] inline std::uint64_t blob_checksum(std::span<const std::byte> blob) noexcept {
    constexpr std::uint64_t prime = 0x9E3779B97F4A7C15;
    std::uint64_t sums[4] = {1, 2, 3, 4};  // side by side, for speed
    for (std::size_t i = 0; 8 * i + 8 <= blob.size(); ++i) {
        if (i == BlobHeader::checksum) continue;
        std::uint64_t word = 0;
        std::memcpy(&word, blob.data() + 8 * i, 8);
        std::uint64_t& sum = sums[i % 4];
        sum = std::rotl((sum ^ word) * prime, 29);
    }
    std::uint64_t all = blob.size();
    for (const std::uint64_t sum : sums) all = std::rotl((all ^ sum) * prime, 31);
    return all;
}

class BlobWriter {
  public:
    explicit BlobWriter(std::span<std::byte> to) noexcept : to_(to) {}

    void header(std::uint64_t tag, std::uint64_t total) noexcept {
        for (const std::uint64_t value :
             {BlobHeader::magic_word, BlobHeader::current_version, total, std::uint64_t{0}, tag})
            word(value);
    }
    void word(std::uint64_t value) noexcept { bytes(&value, 8); }
    void bytes(const void* from, index_t n) noexcept {
        if (n > 0) std::memcpy(to_.data() + used_, from, static_cast<std::size_t>(n));
        used_ += n;
    }
    /// Of another memory space.
    void bytes(const MemorySpace& space, const void* from, index_t n) {
        if (n > 0) space.download(to_.data() + used_, from, n);
        used_ += n;
    }
    void pad_to(index_t end) noexcept {
        std::memset(to_.data() + used_, 0, static_cast<std::size_t>(end - used_));
        used_ = end;
    }
    void pad_to_word() noexcept { pad_to((used_ + 7) / 8 * 8); }
    [[nodiscard]] index_t used() const noexcept { return used_; }
    void finish() noexcept {
        const std::uint64_t sum = blob_checksum(to_);
        std::memcpy(to_.data() + 8 * BlobHeader::checksum, &sum, 8);
    }

  private:
    std::span<std::byte> to_;
    index_t used_ = 0;
};

class BlobReader {
  public:
    BlobReader(std::span<const std::byte> blob, index_t first) noexcept
        : blob_(blob), used_(first) {}
    [[nodiscard]] const std::byte* take(index_t n) noexcept {
        const std::byte* const piece = blob_.data() + used_;
        used_ += n;
        return piece;
    }
    void skip_to(index_t byte) noexcept { used_ = byte; }

  private:
    std::span<const std::byte> blob_;
    index_t used_;
};

}  // namespace deltanet::detail
