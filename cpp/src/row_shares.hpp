// The draws of a row as shares: distances from the safe end in units of the range.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
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
    row = ordered(row, n_pilot, number);
    return fill({row.data, n_pilot, row.stride}, pilot_) && fill(row.after(n_pilot), draws_);
  }

  // Takes all draws in their order, which `number` keys if it is unknown. A score at the far end of
  // the range has the share 1. \return false if a score is NaN or outside the range
  bool take_in_order(Row<T> row, std::uint64_t number) {
    row = ordered(row, row.size, number);
    const double far_end = range_.side == Side::lower ? range_.b : range_.a;
    draws_.resize(row.size);
    for (std::size_t i = 0; i < row.size; ++i) {
      const double score = to_double(row[i]);
      if (!(score >= range_.a && score <= range_.b)) return false;
      draws_[i] = score == far_end ? 1.0 : share(score);
    }
    return true;
  }

  // The shares: in ascending order, or after take_in_order() in their own.
  std::span<const double> pilot() const noexcept { return pilot_; }
  std::span<const double> draws() const noexcept { return draws_; }

 private:
  // The row, permuted if its order is unknown: only its first n_first places have to be random.
  Row<T> ordered(Row<T> row, std::size_t n_first, std::uint64_t number) {
    if (options_.order != Order::unknown) return row;
    permuted_.resize(row.size);
    for (std::size_t i = 0; i < row.size; ++i) permuted_[i] = row[i];
    permute(std::span<T>(permuted_), n_first, options_.seed, number);
    return {permuted_.data(), row.size, sizeof(T)};
  }

  // A share has an error of 3 units, and is lowered by at least as much.
  double share(double score) const noexcept {
    return std::max(0.0, below(range_.distance(score) / range_.width() * (1.0 - 4 * unit)));
  }

  bool fill(Row<T> row, std::vector<double>& shares) {
    if (!sort_(row, range_.a, range_.b)) return false;
    const bool lower = range_.side == Side::lower;
    shares.resize(row.size);
    for (std::size_t i = 0; i < row.size; ++i) {
      shares[i] = share(sort_[lower ? i : row.size - 1 - i]);
    }
    return true;
  }

  const Options& options_;
  Range range_;
  Sorter<T> sort_;
  std::vector<double> pilot_, draws_;
  std::vector<T> permuted_;
};

}  // namespace smoothbound::detail
