/// \file detail/binning.hpp
/// Sorted scores and equal-count bins (Kumar et al. 2020, author feedback, lines 25-29).
///
/// What allocates memory here may throw std::bad_alloc, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "smoothbound/scores.hpp"

namespace smoothbound::detail {

struct Spread;

/// A sort of long rows of floats. A sample of the row says where to cut the range into buckets of
/// about the same number of draws; each draw is moved to its bucket, and each bucket is sorted in
/// the cache, several at once.
class BucketSort {
 public:
  enum class Outcome {
    sorted,
    bad_score,  ///< one is NaN or outside [a, b]
    uneven,     ///< the sample tells too little of the rest: nothing is sorted
  };

  /// Whether this is the fastest sort of a row that the Sorter has.
  static bool suits(Row<float> row) noexcept;

  /// \param keys  gets the bits of the scores, in ascending order and so that they ascend, too
  Outcome operator()(Row<float> row, double a, double b, std::vector<std::uint32_t>& keys);

 private:
  Spread plan(Row<float> row, double a, double b);
  void sort_each();
  void sort_large(float* begin, float* end);

  std::vector<std::int32_t> sample_;
  std::vector<std::uint32_t> histogram_;
  std::vector<std::uint16_t> bucket_;         // of each cell
  std::vector<std::uint32_t> starts_, ends_;  // of each bucket in room_
  std::vector<float> room_, scratch_;
  std::vector<std::uint32_t> large_, other_;
};

/// The scores of one row in ascending order, by a sort of their bits. Keeps its memory from row to
/// row: use one per thread.
template <class T>
class Sorter {
 public:
  /// Sorts a row.
  ///
  /// \param row  scores, any layout; \pre 0 < row.size < 2^32
  /// \param a    least score allowed
  /// \param b    greatest score allowed, a < b
  /// \return false, with nothing sorted, if a score is NaN or outside [a, b]
  bool operator()(Row<T> row, double a, double b);

  /// Score number i of the row last sorted, from the least on, exactly. \pre i < its size
  double operator[](std::size_t i) const noexcept;

  /// The scores number positions[i], counted from the greatest on if `descending`.
  /// \pre out.size() <= positions.size(), and all positions are below the size of the row
  void pick(std::span<const std::size_t> positions, bool descending,
            std::span<double> out) const noexcept;

  /// The scores number `first` and on, as many as `out` holds. \pre first + out.size() <= its size
  void copy(std::size_t first, std::span<double> out) const noexcept;

 private:
  using Key = std::conditional_t<sizeof(T) == 2, std::uint16_t,
                                 std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
  // The keys of a row, and whether its scores are good; then they may be sorted.
  bool take(Row<T> row, double a, double b);
  void sort();

  std::vector<Key> keys_, other_;  // bits in an order of their own, less base_
  Key base_ = 0, least_ = 0, most_ = 0;
  std::vector<std::uint32_t> histogram_;
  struct Nothing {};
  [[no_unique_address]] std::conditional_t<std::is_same_v<T, float>, BucketSort, Nothing> buckets_;
};

/// Positions of the knots of `n_bins` equal-count bins among the draws in ascending order, from 0:
/// knot i is the score at floor(i n_draws / n_bins), and n_draws - floor(i n_draws / n_bins) draws
/// or more are >= it. Every draw is a knot if n_bins is 0 or at least n_draws.
std::vector<std::size_t> equal_count_positions(std::size_t n_draws, std::size_t n_bins);

}  // namespace smoothbound::detail
