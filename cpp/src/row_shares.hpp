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
    if (options_.order == Order::unknown) {
      permuted_.resize(row.size);
      for (std::size_t i = 0; i < row.size; ++i) permuted_[i] = row[i];
      // The order within the pilot and within the rest has no effect.
      permute(std::span<T>(permuted_), n_pilot, options_.seed, number);
      row = {permuted_.data(), row.size, sizeof(T)};
    }
    return fill({row.data, n_pilot, row.stride}, pilot_) && fill(row.after(n_pilot), draws_);
  }

  // The shares, in ascending order.
  std::span<const double> pilot() const noexcept { return pilot_; }
  std::span<const double> draws() const noexcept { return draws_; }

 private:
  // The shares have an error of 3 units, and are lowered by at least as much.
  bool fill(Row<T> row, std::vector<double>& shares) {
    if (!sort_(row, range_.a, range_.b)) return false;
    const bool lower = range_.side == Side::lower;
    const double width = range_.width();
    shares.resize(row.size);
    for (std::size_t i = 0; i < row.size; ++i) {
      const double distance = range_.distance(sort_[lower ? i : row.size - 1 - i]);
      shares[i] = std::max(0.0, below(distance / width * (1.0 - 4 * unit)));
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
