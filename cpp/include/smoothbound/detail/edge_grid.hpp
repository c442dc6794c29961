/// \file detail/edge_grid.hpp
/// A grid over the edges of a sketch, in which the place of a score is found without a search.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace smoothbound::detail {

/// A guess at the place of a score among the edges, in arithmetic of the type Real.
template <class Real>
struct GridCells {
  /// The grid cell of x is floor(clamp((x - shift) * scale, low, high)) - low: never decreasing in
  /// x, whatever is rounded.
  Real scale, shift, low, high;
  /// Least and greatest number of type Real in [e_0, e_K].
  Real a, b;
};

/// The guess, and what makes it exact.
template <class Real>
struct EdgeGrid {
  /// \pre valid_edges(edges)
  explicit EdgeGrid(std::span<const double> edges);

  GridCells<Real> cells{};
  /// Whether the grid cells are the intervals, and no rounding puts a number on the wrong side of
  /// an edge: then `least` and `first` are not needed.
  bool exact = false;
  /// If not exact: true if no grid cell holds more than one edge.
  bool sparse = false;
  /// The least number of type Real that is >= e_j: x >= e_j if and only if x >= least[j]. Unless
  /// the grid is exact, a NaN follows the last.
  std::vector<Real> least;
  /// How many of `least` lie in grid cells before this one.
  std::vector<std::uint32_t> first;
};

}  // namespace smoothbound::detail
