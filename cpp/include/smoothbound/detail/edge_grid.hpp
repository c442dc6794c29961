/// \file detail/edge_grid.hpp
/// A grid over the edges of a sketch, which finds the cell of a score without a search.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace smoothbound::detail {

/// A first guess at the position of a score among the edges, in arithmetic of the type Real.
template <class Real>
struct GridCells {
  /// The grid cell of x is floor(clamp((x - shift) * scale, low, high)) - low. It never decreases
  /// in x, because rounding is monotone.
  Real scale, shift, low, high;
  /// Least and largest number of type Real in [e_0, e_K].
  Real a, b;
};

/// The guess, with the numbers that correct it.
template <class Real>
struct EdgeGrid {
  /// \pre valid_edges(edges)
  explicit EdgeGrid(std::span<const double> edges);

  GridCells<Real> cells{};
  /// Whether the grid cells are the intervals between the edges, and rounding never puts a number
  /// on the wrong side of an edge. If so, the guess is exact, and `least` and `first` are not
  /// needed.
  bool exact = false;
  /// If not exact: true if no grid cell holds more than one edge.
  bool sparse = false;
  /// least[j] is the least number of type Real that is >= e_j, so x >= e_j if and only if
  /// x >= least[j]. Unless the grid is exact, a NaN follows the last.
  std::vector<Real> least;
  /// first[c] is how many of `least` lie in grid cells before cell c.
  std::vector<std::uint32_t> first;
};

}  // namespace smoothbound::detail
