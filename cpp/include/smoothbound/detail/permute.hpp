/// \file detail/permute.hpp
/// The permutation of draws whose order is unknown (Order::unknown).
///
/// Betting uses the draws in turn, and the tangent and the joint bound use the first draws as a
/// pilot, so the order must not depend on the values. Draws of unknown history may be sorted or
/// arranged by value. All their positions are therefore permuted first by a pseudo-random
/// permutation with the key (seed, number of the row). The failure probability alpha is then a
/// probability over the draws and the key, for every arrangement that does not depend on the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "smoothbound/detail/philox.hpp"

namespace smoothbound::detail {

/// The random words of one row: word i is word i % 4 of the Philox block with the counter (i / 4,
/// low half of the row, 2^31, high half of the row), under the key `seed`. Noise (noise.hpp) keeps
/// its third counter word below 2^31, so no word is used for both.
class RowWords {
 public:
  RowWords(std::uint64_t seed, std::uint64_t row) noexcept
      : seed_(seed),
        low_(static_cast<std::uint32_t>(row)),
        high_(static_cast<std::uint32_t>(row >> 32)) {}

  std::uint32_t operator()() noexcept {
    if (used_ == 4) {
      block_ = philox({{number_++, low_, 0x80000000u, high_}}, seed_);
      used_ = 0;
    }
    return block_.word[used_++];
  }

  /// A number that is exactly uniform on 0, ..., n - 1 (Lemire 2019): the high half of word * n.
  /// Words whose low half is below 2^32 mod n are skipped. \pre n > 0
  std::uint32_t below(std::uint32_t n) noexcept {
    std::uint64_t product = std::uint64_t{(*this)()} * n;
    if (static_cast<std::uint32_t>(product) < n) {
      const std::uint32_t rest = (0u - n) % n;
      while (static_cast<std::uint32_t>(product) < rest) product = std::uint64_t{(*this)()} * n;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

 private:
  std::uint64_t seed_;
  std::uint32_t low_, high_, number_ = 0;
  PhiloxBlock block_{};
  unsigned used_ = 4;
};

/// The permutation of a row (Fisher and Yates): for i = 0, 1, ..., element i is exchanged with
/// element i + below(size - i). After `steps` steps the first `steps` elements are those of the
/// whole permutation, and the others follow in some order.
/// \pre draws.size() < 2^32, steps <= draws.size()
template <class T>
void permute(std::span<T> draws, std::size_t steps, std::uint64_t seed,
             std::uint64_t row) noexcept {
  RowWords words(seed, row);
  for (std::size_t i = 0; i < steps; ++i) {
    std::swap(draws[i], draws[i + words.below(static_cast<std::uint32_t>(draws.size() - i))]);
  }
}

}  // namespace smoothbound::detail
