// The draws of a row as shares: distances from the safe end in units of the range.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "rounding.hpp"
#include "smoothbound/detail/binning.hpp"
#include "smoothbound/detail/permute.hpp"
#include "smoothbound/detail/range.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"

namespace smoothbound::detail {

// Keeps its memory from row to row.
template <class T>
class RowShares {
 public:
  explicit RowShares(const Options& options)
      : options_(options), range_{options.a, options.b, options.side} {}

  // Takes all draws. \return false if a score is NaN or outside the range
  bool take_all(Row<T> row) { return fill(row, draws_); }

  // Takes the pilot and the other draws separately. `number` is the number of the row, which keys
  // its permutation. \return false if a score is NaN or outside the range
  bool split(Row<T> row, std::uint64_t number) {
    const std::size_t n_pilot = options_.n_pilot;
    // The order within the pilot and within the rest has no effect.
    if (options_.order == Order::drawn) {
      return fill({row.data, n_pilot, row.stride}, pilot_) && fill(row.after(n_pilot), draws_);
    }
    if (!sort_(row, range_.a, range_.b)) return false;
    permute_ranks(row.size, n_pilot, number);
    is_pilot_.assign(row.size, false);
    for (std::size_t i = 0; i < n_pilot; ++i) is_pilot_[ranks_[i]] = true;
    pilot_.clear();
    draws_.clear();
    for (std::size_t rank = 0; rank < row.size; ++rank) {
      (is_pilot_[rank] ? pilot_ : draws_).push_back(share(sorted(rank, row.size)));
    }
    return true;
  }

  // Takes all draws in their order, which `number` keys if it is unknown. A score at the far end of
  // the range has the share 1. \return false if a score is NaN or outside the range
  bool take_in_order(Row<T> row, std::uint64_t number) {
    const bool unknown = options_.order == Order::unknown;
    if (unknown) {
      if (!sort_(row, range_.a, range_.b)) return false;
      permute_ranks(row.size, row.size, number);
    }
    const double far_end = range_.side == Side::lower ? range_.b : range_.a;
    draws_.resize(row.size);
    for (std::size_t i = 0; i < row.size; ++i) {
      const double score = unknown ? sorted(ranks_[i], row.size) : to_double(row[i]);
      if (!(score >= range_.a && score <= range_.b)) return false;
      draws_[i] = score == far_end ? 1.0 : share(score);
    }
    return true;
  }

  // The shares: in ascending order, or after take_in_order() in their own.
  std::span<const double> pilot() const noexcept { return pilot_; }
  std::span<const double> draws() const noexcept { return draws_; }

 private:
  // Permutes the ranks of a row whose order is unknown, so that its order has no effect. Only the
  // first n_first places have to be random.
  void permute_ranks(std::size_t size, std::size_t n_first, std::uint64_t number) {
    ranks_.resize(size);
    std::iota(ranks_.begin(), ranks_.end(), 0u);
    permute(std::span<std::uint32_t>(ranks_), n_first, options_.seed, number);
  }

  // The score with a rank by its distance from the safe end, of the row sorted last.
  double sorted(std::size_t rank, std::size_t size) const noexcept {
    return sort_[range_.side == Side::lower ? rank : size - 1 - rank];
  }

  // A share has an error of 3 units, and is lowered by at least as much.
  double share(double score) const noexcept {
    return std::max(0.0, below(range_.distance(score) / range_.width() * (1.0 - 4 * unit)));
  }

  bool fill(Row<T> row, std::vector<double>& shares) {
    if (!sort_(row, range_.a, range_.b)) return false;
    shares.resize(row.size);
    for (std::size_t i = 0; i < row.size; ++i) shares[i] = share(sorted(i, row.size));
    return true;
  }

  const Options& options_;
  Range range_;
  Sorter<T> sort_;
  std::vector<double> pilot_, draws_;
  std::vector<std::uint32_t> ranks_;
  std::vector<bool> is_pilot_;
};

}  // namespace smoothbound::detail
