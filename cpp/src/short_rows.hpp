// Bounds of many short rows at once: they are sorted, condensed and evaluated side by side, one in
// each lane of a vector. The bits are those of BoundCurve, row by row.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "smoothbound/detail/binning.hpp"
#include "smoothbound/detail/curve.hpp"
#include "smoothbound/detail/range.hpp"

namespace smoothbound::detail {

// Keeps its memory from call to call: use one per thread. What allocates may throw std::bad_alloc.
class ShortRows {
 public:
  // For rows whose knots have these levels; null for rows that are only sorted. They must outlive
  // this object.
  explicit ShortRows(const KnotLevels* levels) : levels_(levels) {}

  // Whether so many rows of the same size are better taken together, with this class, than one by
  // one; from 1 on up to together() rows.
  static std::size_t together(std::size_t n_draws) noexcept;
  static bool worthwhile(std::size_t n_rows) noexcept;

  // Sorts up to together() rows of the same size, of half or float.
  // \return false if a score is NaN or outside the range
  template <class T>
  bool sort(std::span<const Row<T>> rows, const Range& range);

  // Score number i of a row, from the least on.
  double at(std::size_t row, std::size_t i) const noexcept;

  // Condenses the rows sorted, where every draw is a knot. Not for levels with more than
  // moment_block knots in a group, of which fits() tells.
  static bool fits(const KnotLevels& levels) noexcept;
  void condense(const Range& range);

  // distance(r) of each row at each of the radii: bounds[row * radii.size() + j].
  void evaluate(const CurveRadii& radii, std::span<double> distances);

  // The curves of the rows condensed.
  std::span<const BoundCurve> curves();

 private:
  std::size_t count_ = 0, n_draws_ = 0;
  std::vector<float> memory_;
  float* sorted_ = nullptr;  // in memory_, at a multiple of 64 bytes
  std::vector<float> packed_;
  const KnotLevels* levels_;
  std::vector<double> moments_, sums_;
  std::vector<BoundCurve> curves_;
  double totals_[most_row_lanes];
};

}  // namespace smoothbound::detail
