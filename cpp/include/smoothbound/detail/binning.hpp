/// \file detail/binning.hpp
/// Sorted scores and equal-count bins (Kumar et al. 2020, author feedback, lines 25-29).
///
/// Functions here that allocate memory may throw std::bad_alloc, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "smoothbound/scores.hpp"

namespace smoothbound::detail {

struct Spread;

/// Sorts long rows of floats. A sample of the row determines how to divide the range into buckets
/// with about the same number of draws. Each draw is moved to its bucket. The buckets are sorted in
/// the cache, several at once.
class BucketSort {
 public:
  enum class Outcome {
    sorted,
    bad_score,  ///< a score is NaN or outside [a, b]
    uneven,     ///< the sample differs too much from the row; nothing is sorted
  };

  /// Whether this is the fastest sort of the Sorter for a row.
  static bool suits(Row<float> row) noexcept;

  /// \param keys  receives the keys of the scores, ascending (sort.hpp)
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

/// The scores of one row in ascending order, sorted by their bits. A Sorter keeps its memory from
/// row to row: use one per thread.
template <class T>
class Sorter {
 public:
  /// Sorts a row.
  ///
  /// \param row  scores, any layout; \pre 0 < row.size < 2^32
  /// \param a    smallest score allowed; may be infinite
  /// \param b    largest score allowed, a < b; may be infinite
  /// \return false, with nothing sorted, if a score is NaN or outside [a, b]
  bool operator()(Row<T> row, double a, double b);

  /// Score i, exactly, of the row sorted last, counted from the smallest. \pre i < size of the row
  double operator[](std::size_t i) const noexcept;

  /// out[i] = the score at positions[i], counted from the largest if `descending`.
  /// \pre out.size() <= positions.size(), and all positions are below the size of the row
  void pick(std::span<const std::size_t> positions, bool descending,
            std::span<double> out) const noexcept;

  /// out[i] = score first + i. \pre first + out.size() <= size of the row
  void copy(std::size_t first, std::span<double> out) const noexcept;

 private:
  using Key = std::conditional_t<sizeof(T) == 2, std::uint16_t,
                                 std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
  // Takes the keys of a row. \return false if a score is NaN or outside [a, b]
  bool take(Row<T> row, double a, double b);
  void sort();

  std::vector<Key> keys_, other_;  // keys minus base_ (sort.hpp)
  Key base_ = 0, least_ = 0, most_ = 0;
  std::vector<std::uint32_t> histogram_;
  struct Nothing {};
  [[no_unique_address]] std::conditional_t<std::is_same_v<T, float>, BucketSort, Nothing> buckets_;
};

/// Positions, from 0, of the knots of `n_bins` equal-count bins among the draws in ascending order.
/// Knot i is the score at floor(i n_draws / n_bins), and at least
/// n_draws - floor(i n_draws / n_bins) draws are >= it. Every draw is a knot if n_bins is 0 or at
/// least n_draws.
std::vector<std::size_t> equal_count_positions(std::size_t n_draws, std::size_t n_bins);

}  // namespace smoothbound::detail
