// Bounds of many short rows at once. The rows are sorted, condensed and evaluated side by side, one
// in each lane of a vector. The bits are those of BoundCurve, row by row.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "smoothbound/detail/binning.hpp"
#include "smoothbound/detail/curve.hpp"
#include "smoothbound/detail/range.hpp"

namespace smoothbound::detail {

// It keeps its memory from call to call: use one per thread. Members that allocate may throw
// std::bad_alloc.
class ShortRows {
 public:
  // The levels of the knots must outlive this object; null for rows that are only sorted.
  explicit ShortRows(const KnotLevels* levels) : levels_(levels) {}

  // together() is how many rows of the same size this class takes at once. worthwhile() is whether
  // n_rows of them take less time with this class than one by one.
  static std::size_t together(std::size_t n_draws) noexcept;
  static bool worthwhile(std::size_t n_rows) noexcept;

  // Sorts up to together() rows of the same size, of half or float.
  // \return false if a score is NaN or outside the range
  template <class T>
  bool sort(std::span<const Row<T>> rows, const Range& range);

  // Score i of a row, counted from the least.
  double at(std::size_t row, std::size_t i) const noexcept;

  // Condenses the sorted rows, where every draw is a knot. fits() is whether it can take these
  // levels: no group may have more than moment_block knots.
  static bool fits(const KnotLevels& levels) noexcept;
  void condense(const Range& range);

  // Sets distances[row * radii.size() + j] to distance(r) of a row at radius j.
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
